"""From the text of a line to what an engine is given."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from ishowtts.text import number_library, pronunciation_file
from ishowtts.text.cleaning import clean
from ishowtts.text.normalisation import normalise
from ishowtts.text.pronunciations import Pronunciations, Span
from ishowtts.text.scripts import ScriptRun, runs
from ishowtts.util.live_file import LiveFile


class TextReader:
    """Turns written text into text that sounds as it is meant; may be used from any thread.

    Args:
        pronunciations: the operator's file, taken up again whenever it changes; `None`: there is none.
        language_of: the language of a voice by name; `None` from it is English.
        normalise: put numbers, units, times, money and signs into words, in English and Chinese.
        default_voice: the voice of lines that name none.
    """

    def __init__(
        self,
        pronunciations: Path | None,
        language_of: Callable[[str | None], str | None],
        normalise: bool = True,
        default_voice: str = "default",
    ) -> None:
        self._file = None
        if pronunciations is not None:
            self._file = LiveFile(pronunciations, pronunciation_file.read, Pronunciations(), key="text.pronunciations")
        self._language_of = language_of
        self._normalise = normalise
        self._default_voice = default_voice

    @property
    def fault(self) -> str | None:
        """What is wrong with the file of pronunciations, and with the grammars once they were asked for."""
        of_file = None if self._file is None else self._file.fault
        of_library = number_library.fault() if self._normalise else None
        return "; ".join(fault for fault in (of_file, of_library) if fault) or None

    def warm(self) -> None:
        """Load the grammars, half a second and 45 MB, that the first line would wait for."""
        if self._normalise:
            number_library.load()

    def read(self, text: str, voice: str | None) -> str:
        """What is to be said of a text, clean: it is what an engine is given, after it was cut into segments.

        The operator's pronunciations are looked for in the text as it is written, and what they put in its place is
        not read any further, so that `5G` or `C++` can be spelled. All else is put into words. Never raises.
        """
        text = clean(text)
        in_runs = runs(text, self._language_of(voice))
        spans = [] if self._file is None else self._file.current().spans(text, in_runs, voice or self._default_voice)
        if not spans and not self._normalise:
            return text
        return clean(self._said(text, in_runs, spans))

    def _said(self, text: str, in_runs: Sequence[ScriptRun], spans: Sequence[Span]) -> str:
        """The text with each span as it says, and the rest in words."""
        said: list[str] = []
        for run in in_runs:
            start = run.start
            first = bisect_right(spans, run.start, key=lambda span: span.end)
            for span in islice(spans, first, None):
                if span.start >= run.end:
                    break
                said.append(self._words(text[start : max(start, span.start)], run.language))
                if span.start >= run.start:  # else it began in the run before, and was said there
                    said.append(span.spoken)
                start = min(span.end, run.end)
            said.append(self._words(text[start : run.end], run.language))
        return "".join(_apart(said))

    def _words(self, text: str, language: str) -> str:
        return normalise(text, language) if self._normalise else text


def _apart(parts: Sequence[str]) -> Iterator[str]:
    """The parts, with a blank where two would become one word."""
    before = ""
    for part in parts:
        if before and part and _in_word(before) and _in_word(part[0]):
            yield " "
        yield part
        before = part[-1:] or before


def _in_word(character: str) -> bool:
    return character.isascii() and character.isalnum()
