"""The words that are looked for, and where they stand in a text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ishowtts.limits import HAN, KANA
from ishowtts.policies.deobfuscation import (
    PossibleText,
    Word,
    is_inside,
    read,
    readings,
    spelled,
    squeezed,
    words,
)

# Scripts without blanks between words: Thai, Lao, Burmese, Khmer, kana, Han.
_NO_BLANKS = re.compile(rf"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff{KANA}{HAN}]")
_LONG = 4
"""From so many letters on a doubled one, an accent and an apostrophe are taken for a disguise: `god` is not `good`."""


class Hit(NamedTuple):
    """A part of a text, and the entry of the list that it is."""

    start: int
    end: int
    entry: str


class _Index:
    """Entries by their letters, to be found anywhere in a word."""

    def __init__(self) -> None:
        self._entries: dict[str, list[tuple[str, Word]]] = defaultdict(list)
        self._lengths: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, entry: str, word: Word) -> None:
        self._entries[word.chars].append((entry, word))
        self._lengths.add(len(word.chars))

    def within(self, word: Word, shortest: int = 0) -> Iterator[Hit]:
        """Every entry of so many letters that stands anywhere in a word."""
        for length in self._lengths:
            for i in range(len(word.chars) - length + 1):
                for entry, wanted in self._entries.get(word.chars[i : i + length], ()):
                    if wanted.length >= shortest and _same(word, i, wanted, loose=True):
                        yield Hit(word.starts[i], word.ends[i + length - 1], entry)


class WordList:
    """Words, phrases and emoji. Every lookup is in a dictionary: a long list costs no more than a short one."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._phrases: dict[tuple[str, ...], list[tuple[str, tuple[Word, ...]]]] = defaultdict(list)
        self._spelled = _Index()
        self._anywhere = _Index()
        self._signs: dict[str, str] = {}
        self._accented: set[str] = set()  # in a list with é, é is a letter of its own: `salé` is not `sale`
        for entry in entries:
            self._add(entry)
        self._phrase_lengths = sorted({len(phrase) for phrase in self._phrases})

    def find(self, text: str) -> Iterator[Hit]:
        """Every place of every entry; places may overlap, and come in no order."""
        if not (self._phrases or self._anywhere or self._signs):
            return
        letters = read(text)
        if self._phrases:
            for reading in readings(letters, self._accented):
                yield from self._whole(reading)
                for word in spelled(reading.words):
                    yield from self._spelled.within(word, _LONG if reading.loose else 0)
        if self._anywhere:
            yield from self._anywhere.within(squeezed(letter for letter in letters if is_inside(letter.char)))
        if self._signs:
            seen = "".join(letter.char for letter in letters)
            for sign, entry in self._signs.items():
                for match in re.finditer(re.escape(sign), seen):
                    yield Hit(letters[match.start()].start, letters[match.end() - 1].end, entry)

    def _add(self, entry: str) -> None:
        letters = read(entry)
        self._accented.update(letter.char for letter in letters if not letter.char.isascii())
        parts = tuple(squeezed(word) for word in words(letters))
        whole = squeezed(letter for letter in letters if is_inside(letter.char))
        if not parts:
            sign = "".join(letter.char for letter in letters).strip()
            if sign:
                self._signs[sign] = entry
        elif _NO_BLANKS.search(whole.chars):
            self._anywhere.add(entry, whole)
        else:
            self._phrases[tuple(part.chars for part in parts)].append((entry, parts))
            if whole.length >= 3:
                self._spelled.add(entry, whole)

    def _whole(self, reading: PossibleText) -> Iterator[Hit]:
        found = [squeezed(word) for word in reading.words]
        for length in self._phrase_lengths:
            for i in range(len(found) - length + 1):
                here = found[i : i + length]
                for entry, parts in self._phrases.get(tuple(word.chars for word in here), ()):
                    if reading.loose and sum(part.length for part in parts) < _LONG:
                        continue
                    if all(_same(word, 0, part, loose=False) for word, part in zip(here, parts, strict=True)):
                        yield Hit(here[0].starts[0], here[-1].ends[-1], entry)


def _same(word: Word, at: int, wanted: Word, *, loose: bool) -> bool:
    """Whether each letter stands as often as it should, or so often that somebody hides it.

    Args:
        loose: more of the first and the last letter may belong to what stands around.
    """
    last = len(wanted.counts) - 1
    for i, want in enumerate(wanted.counts):
        have, char = word.counts[at + i], wanted.chars[i]
        if loose and i in (0, last) and have >= want:
            continue
        hidden = have >= want and (have >= 3 or wanted.length >= _LONG) and not char.isnumeric()
        if have != want and not hidden:
            return False
    return True
