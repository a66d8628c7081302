"""An operator's own pronunciations, found in a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from ishowtts.text.pieces import MOST_CHARS, pieces
from ishowtts.text.scripts import ScriptRun

MOST_SPANS = 10_000  # of patterns, in one text
_GROUP = re.compile(r"\\([0-9])")


@dataclass(frozen=True)
class Pronunciation:
    """One pronunciation.

    Attributes:
        written: the word as it is written, in small letters; empty where `pattern` says what is meant.
        pattern: a compiled pattern of RE2.
        spoken: what is said in its place; with a pattern, `\\1` to `\\9` are its groups.
        language: of the text that it holds for, without a region; `None`: all.
        voice: that it holds for; `None`: all.
    """

    written: str
    pattern: Any
    spoken: str
    language: str | None = None
    voice: str | None = None

    def holds(self, language: str, voice: str) -> bool:
        """Whether it is meant for such text in this voice."""
        return self.language in (None, language) and self.voice in (None, voice)

    @property
    def closeness(self) -> tuple[bool, bool]:
        """The greater, the more it is meant for this one voice and language."""
        return (self.voice is not None, self.language is not None)


class Span(NamedTuple):
    """What is said in place of `start` to `end`."""

    start: int
    end: int
    spoken: str


@dataclass(frozen=True)
class Pronunciations:
    """Entries, ready to be looked for."""

    entries: tuple[Pronunciation, ...] = ()
    _words: dict[str, list[Pronunciation]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words: dict[str, list[Pronunciation]] = defaultdict(list)
        for entry in self.entries:
            if entry.written:
                words[entry.written[0]].append(entry)
        for same in words.values():
            same.sort(key=lambda entry: (len(entry.written), entry.closeness), reverse=True)
        object.__setattr__(self, "_words", dict(words))

    def spans(self, text: str, runs: Sequence[ScriptRun], voice: str) -> list[Span]:
        """What is to be said otherwise, in order; no two of them overlap, and none is looked at again.

        Words go first, the longest of those that start at a place; then patterns, in the order of the file.
        """
        found = self._find_words(text, runs, voice) if self._words else []
        left = MOST_SPANS
        for entry in self.entries:
            if entry.pattern is not None and entry.voice in (None, voice):
                more = list(islice(_find_pattern(entry, text, runs), left))
                left -= len(more)
                found = _joined(found, more)
        return found

    def _find_words(self, text: str, runs: Sequence[ScriptRun], voice: str) -> list[Span]:
        folded, found, reached = fold(text), [], 0
        for run in runs:
            for at in range(run.start, run.end):
                if at < reached or folded[at] not in self._words:
                    continue
                for entry in self._words[folded[at]]:
                    end = at + len(entry.written)
                    if (
                        entry.holds(run.language, voice)
                        and folded.startswith(entry.written, at)
                        and _whole(text, at, end)
                    ):
                        found.append(Span(at, end, entry.spoken))
                        reached = end
                        break
        return found


def fold(text: str) -> str:
    """The text in small letters, each at its own place."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _find_pattern(entry: Pronunciation, text: str, runs: Sequence[ScriptRun]) -> Iterator[Span]:
    # A search takes time in proportion to what it looks at, and may look at all of it for each thing that it finds.
    for first, last in pieces(text):
        for start in range(first, last, MOST_CHARS):
            for match in entry.pattern.finditer(text[start : min(last, start + MOST_CHARS)]):
                at = start + match.start()
                if match.end() > match.start() and (entry.language is None or _language(runs, at) == entry.language):
                    yield Span(at, start + match.end(), _expand(entry.spoken, match))


def _expand(spoken: str, match: Any) -> str:
    return _GROUP.sub(lambda group: match.group(int(group[1])) or "", spoken)


def _language(runs: Sequence[ScriptRun], at: int) -> str:
    return runs[bisect_right(runs, at, key=lambda run: run.start) - 1].language


def _joined(first: list[Span], second: list[Span]) -> list[Span]:
    """All of the first, and of the second what overlaps none of them."""
    taken = bytearray(max((span.end for span in (*first, *second)), default=0))
    for span in first:
        taken[span.start : span.end] = b"\1" * (span.end - span.start)
    return sorted([*first, *(span for span in second if not any(taken[span.start : span.end]))])


def _whole(text: str, start: int, end: int) -> bool:
    """Whether no word goes on over an edge; Han has no edges."""
    return not (_tied(text, start) or _tied(text, end))


def _tied(text: str, at: int) -> bool:
    return 0 < at < len(text) and _in_word(text[at - 1]) and _in_word(text[at])


def _in_word(character: str) -> bool:
    return (character.isalnum() or character == "_") and not "\u2e80" <= character <= "\u9fff"
