"""Finds the operator's own pronunciations in a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from ishowtts.text.languages import LanguageRun
from ishowtts.text.segmentation import MAX_CHUNK_CHARS, chunks

MAX_PATTERN_SPANS = 10_000  # in one text
_GROUP = re.compile(r"\\([0-9])")


@dataclass(frozen=True)
class Pronunciation:
    """How one word, or the matches of one pattern, are spoken.

    Attributes:
        written: The word as it is written, in lower case; empty if there is a pattern.
        pattern: A compiled pattern of RE2; `None` if there is a word.
        spoken: The text that replaces it. With a pattern, `\\1` to `\\9` are its groups.
        language: Language of the texts that it is for, without a region; `None` means all.
        voice: Name of the voice that it is for; `None` means all.
    """

    written: str
    pattern: Any
    spoken: str
    language: str | None = None
    voice: str | None = None

    def applies(self, language: str, voice: str) -> bool:
        """Whether it is for text in this language and voice."""
        return self.language in (None, language) and self.voice in (None, voice)

    @property
    def specificity(self) -> tuple[bool, bool]:
        """Greater if it is for one voice, and then if it is for one language."""
        return (self.voice is not None, self.language is not None)


class Span(NamedTuple):
    """Replaces the text from `start` to `end` by `spoken`."""

    start: int
    end: int
    spoken: str


@dataclass(frozen=True)
class Pronunciations:
    """All pronunciations of a file, with an index of their words."""

    entries: tuple[Pronunciation, ...] = ()
    _words: dict[str, list[Pronunciation]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words: dict[str, list[Pronunciation]] = defaultdict(list)
        for entry in self.entries:
            if entry.written:
                words[entry.written[0]].append(entry)
        for same in words.values():
            same.sort(key=lambda entry: (len(entry.written), entry.specificity), reverse=True)
        object.__setattr__(self, "_words", dict(words))

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.entries)

    def spans(self, text: str, runs: Sequence[LanguageRun], voice: str) -> list[Span]:
        """The spans to replace, in order; they do not overlap. What they insert is not searched again.

        Words come first, at each place the longest. Then come patterns, in the order of the file.
        """
        spans = self._find_words(text, runs, voice) if self._words else []
        left = MAX_PATTERN_SPANS
        for entry in self.entries:
            if entry.pattern is not None and entry.voice in (None, voice):
                more = list(islice(_find_pattern(entry, text, runs), left))
                left -= len(more)
                spans = _add_without_overlap(spans, more)
        return spans

    def _find_words(self, text: str, runs: Sequence[LanguageRun], voice: str) -> list[Span]:
        lower, spans, last_end = lower_case(text), [], 0
        for run in runs:
            for at in range(run.start, run.end):
                if at < last_end or lower[at] not in self._words:
                    continue
                for entry in self._words[lower[at]]:
                    end = at + len(entry.written)
                    if (
                        entry.applies(run.language, voice)
                        and lower.startswith(entry.written, at)
                        and _is_whole_word(text, at, end)
                    ):
                        spans.append(Span(at, end, entry.spoken))
                        last_end = end
                        break
        return spans


def lower_case(text: str) -> str:
    """The text in lower case, with each letter at its own place."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _find_pattern(entry: Pronunciation, text: str, runs: Sequence[LanguageRun]) -> Iterator[Span]:
    # A search takes time in proportion to its text, and may read all of it for each match: so it gets a part at a time.
    for first, last in chunks(text):
        for start in range(first, last, MAX_CHUNK_CHARS):
            for match in entry.pattern.finditer(text[start : min(last, start + MAX_CHUNK_CHARS)]):
                at = start + match.start()
                if match.end() > match.start() and (entry.language is None or _language_at(runs, at) == entry.language):
                    yield Span(at, start + match.end(), _expand(entry.spoken, match))


def _expand(spoken: str, match: Any) -> str:
    return _GROUP.sub(lambda group: match.group(int(group[1])) or "", spoken)


def _language_at(runs: Sequence[LanguageRun], at: int) -> str:
    return runs[bisect_right(runs, at, key=lambda run: run.start) - 1].language


def _add_without_overlap(first: list[Span], second: list[Span]) -> list[Span]:
    """All spans of the first list, and those of the second that overlap none of them."""
    covered = bytearray(max((span.end for span in (*first, *second)), default=0))
    for span in first:
        covered[span.start : span.end] = b"\1" * (span.end - span.start)
    return sorted([*first, *(span for span in second if not any(covered[span.start : span.end]))])


def _is_whole_word(text: str, start: int, end: int) -> bool:
    """Whether no word continues over either end. Between Chinese characters words always end."""
    return not (_is_inside_word(text, start) or _is_inside_word(text, end))


def _is_inside_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and _is_word_char(text[at - 1]) and _is_word_char(text[at])


def _is_word_char(character: str) -> bool:
    return (character.isalnum() or character == "_") and not "\u2e80" <= character <= "\u9fff"
