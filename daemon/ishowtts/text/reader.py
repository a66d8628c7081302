"""Turns the text of a line into the text that an engine speaks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from ishowtts.text import pronunciation_file
from ishowtts.text.capitals import lower_capitals
from ishowtts.text.cleaning import clean
from ishowtts.text.dotted_words import separate_sentences
from ishowtts.text.language_identifier import identifier_fault, load_identifier
from ishowtts.text.languages import LanguageRun, language_runs
from ishowtts.text.look_alikes import fold_look_alikes, keep_number_marks
from ishowtts.text.normalisation import grammar_fault, load_grammars, normalise
from ishowtts.text.number_formats import COMMA_REGIONS, Decimal
from ishowtts.text.pronunciations import Pronunciations, Span
from ishowtts.text.scripts import region
from ishowtts.util.live_file import LiveFile


@dataclass(frozen=True)
class ReadingStep:
    """A text after one step of its reading.

    Attributes:
        step: `cleaned`, `pronunciations` or `words`.
    """

    step: str
    text: str


@dataclass(frozen=True)
class _WrittenText:
    """A clean text, its languages, the places of the operator's pronunciations in it, and its decimal sign."""

    text: str
    runs: Sequence[LanguageRun]
    spans: Sequence[Span]
    decimal: Decimal | None

    def spoken(self, read_aloud: Callable[[str, str], str]) -> str:
        """The text with each span replaced, and the rest read aloud."""
        parts: list[str] = []
        for run in self.runs:
            start = run.start
            first = bisect_right(self.spans, run.start, key=lambda span: span.end)
            for span in islice(self.spans, first, None):
                if span.start >= run.end:
                    break
                parts.append(read_aloud(self.text[start : max(start, span.start)], run.language))
                if span.start >= run.start:  # else it began in the run before, which has added it
                    parts.append(span.spoken)
                start = min(span.end, run.end)
            parts.append(read_aloud(self.text[start : run.end], run.language))
        return "".join(_separate_words(parts))


class TextReader:
    """Turns written text into spoken text. Any thread may use it.

    Args:
        pronunciations: The operator's file, read again after each change; `None` if there is none.
        language_of: Returns the language of a voice by its name; `None` from it means English.
        normalise: Put numbers, units, times, money and symbols into words, in English and Chinese.
        default_voice: The voice of lines that name none.
        decimal: How English text writes `1.234` and `1,234`; `auto`: as in the region of the voice's language.
    """

    def __init__(
        self,
        pronunciations: Path | None,
        language_of: Callable[[str | None], str | None],
        normalise: bool = True,
        default_voice: str = "default",
        decimal: Literal["auto", "point", "comma"] = "auto",
    ) -> None:
        self._file = None
        if pronunciations is not None:
            self._file = LiveFile(
                pronunciations,
                pronunciation_file.read,
                Pronunciations(),
                key="text.pronunciations",
                entries="pronunciation",
            )
        self._language_of = language_of
        self._normalise = normalise
        self._default_voice = default_voice
        self._decimal = decimal

    @property
    def file_fault(self) -> str | None:
        """What is wrong with the file of pronunciations; `None` if nothing is."""
        return None if self._file is None else self._file.fault

    @property
    def fault(self) -> str | None:
        """What is wrong with the file of pronunciations, or with the grammars once they were needed."""
        grammars = grammar_fault() if self._normalise else None
        return "; ".join(fault for fault in (self.file_fault, grammars, identifier_fault()) if fault) or None

    def warm(self) -> None:
        """Load the grammars and the statistics of languages, so that the first line does not wait a second for them."""
        load_identifier()
        if self._normalise:
            load_grammars()

    def read(self, text: str, voice: str | None, language: str | None = None) -> str:
        """The clean, spoken text of a written one. An engine gets it in segments. Never raises.

        Each part is read by the rules of its own language. Of languages without rules the figures and signs stay.
        The operator's pronunciations are searched in the written text. What they insert is not normalised, so that
        `5G` or `C++` can be spelled. Everything else is put into words.

        Args:
            voice: Name of the voice; `None` means the default one.
            language: The language that the line names; `None`: that of the voice, unless the text shows another.
        """
        written = self._prepared(text, voice, language)
        if not written.spans and not self._normalise:
            return written.text
        return clean(written.spoken(lambda part, language: self._normalised(part, language, written.decimal)))

    def explain(self, text: str, voice: str | None, language: str | None = None) -> list[ReadingStep]:
        """The text after each step of `read`, in order, also if a step changes nothing."""
        written = self._prepared(text, voice, language)
        replaced = clean(written.spoken(lambda part, _: part)) if written.spans else written.text
        return [
            ReadingStep("cleaned", written.text),
            ReadingStep("pronunciations", replaced),
            ReadingStep("words", self.read(text, voice, language)),
        ]

    def runs(self, text: str, voice: str | None, language: str | None = None) -> list[LanguageRun]:
        """The languages of a text that was read, or of a written one."""
        return language_runs(text, language or self._language_of(voice), fixed=language is not None)

    def _prepared(self, text: str, voice: str | None, language: str | None) -> _WrittenText:
        text = fold_look_alikes(clean(keep_number_marks(text))) if self._normalise else clean(text)
        text = separate_sentences(text)
        default = language or self._language_of(voice)
        runs = language_runs(text, default, fixed=language is not None)
        spans = [] if self._file is None else self._file.current().spans(text, runs, voice or self._default_voice)
        if self._normalise:  # after the search for pronunciations, which may be meant for capitals
            text = "".join(_lower_capitals(text, run) for run in runs)
        return _WrittenText(text, runs, spans, self._decimal_sign(default))

    def _decimal_sign(self, language: str | None) -> Decimal | None:
        """The sign before decimals; `None` if the text may show it."""
        if self._decimal != "auto":
            return self._decimal
        return "comma" if region(language) in COMMA_REGIONS else None

    def _normalised(self, text: str, language: str, decimal: Decimal | None) -> str:
        return normalise(text, language, decimal) if self._normalise else text


def _lower_capitals(text: str, run: LanguageRun) -> str:
    """The part of the text, of the same length, with shouted words in lower case."""
    part = text[run.start : run.end]
    return part if part == part.lower() else lower_capitals(part, english=run.language == "en")


def _separate_words(parts: Sequence[str]) -> Iterator[str]:
    """The parts, with a blank between two that would become one word."""
    before = ""
    for part in parts:
        if before and part and _is_ascii_word_char(before) and _is_ascii_word_char(part[0]):
            yield " "
        yield part
        before = part[-1:] or before


def _is_ascii_word_char(character: str) -> bool:
    return character.isascii() and character.isalnum()
