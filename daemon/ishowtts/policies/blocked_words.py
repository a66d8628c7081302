"""Finds and masks blocked words: those of the configuration, and those of a file that may change at any time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ishowtts.config.policy_section import BlockedSection
from ishowtts.errors import OperatorFileError
from ishowtts.limits import HAN, KANA
from ishowtts.policies.deobfuscation import (
    CollapsedWord,
    Interpretation,
    collapse_runs,
    interpretations,
    is_word_char,
    spelled_words,
    split_words,
    to_letters,
)
from ishowtts.policies.text_edits import TextEdit, apply_edits
from ishowtts.util.live_file import LiveFile, read_text

_CHECK_INTERVAL_S = 2.0
_MAX_FILE_BYTES = 1 << 18
_MAX_WORDS = 10_000
_MAX_WORD_CHARS = 64
# Scripts without blanks between words: Thai, Lao, Burmese, Khmer, kana, Han.
_NO_BLANKS = re.compile(rf"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff{KANA}{HAN}]")
_LONG_WORD_CHARS = 4
"""From this length on, a doubled letter, an accent or an apostrophe counts as a disguise: `god` is not `good`."""


class BlockedWords:
    """Finds and masks the operator's blocked words.

    The file is checked when a line comes, at most every 2 s. A faulty file leaves the last good list in force.
    """

    def __init__(self, section: BlockedSection, clock: Callable[[], float]) -> None:
        self._mask = section.mask
        self._configured = WordList(section.words)
        self._file = None
        if section.file is not None:

            def read(path: Path) -> WordList:
                return WordList([*section.words, *_read_words(path)])

            key = "policies.blocked.file"
            self._file = LiveFile(
                section.file,
                read,
                self._configured,
                key=key,
                entries="blocked word of the file",
                clock=clock,
                check_every_s=_CHECK_INTERVAL_S,
            )

    @property
    def fault(self) -> str | None:
        """What is wrong with the file now, in a sentence; `None` if nothing is."""
        return None if self._file is None else self._file.fault

    @property
    def size(self) -> int:
        """Number of entries, of the configuration and of the file."""
        return self._word_list().size

    def first_entry(self, text: str) -> str | None:
        """An entry of the list that the text holds; `None` if it holds none."""
        hit = next(self._word_list().find(text), None)
        return None if hit is None else hit.entry

    def masked(self, text: str) -> str:
        """The text with the mask in place of each blocked word."""
        places = _merge_overlaps(self._word_list().find(text))
        return apply_edits(text, (TextEdit(start, end, self._mask) for start, end in places))

    def _word_list(self) -> WordList:
        return self._configured if self._file is None else self._file.current()


class Hit(NamedTuple):
    """A part of a text, and the entry of the list that was found there."""

    start: int
    end: int
    entry: str


class WordList:
    """Words, phrases and emoji. Every lookup is in a dictionary: a long list costs no more than a short one."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._phrases: dict[tuple[str, ...], list[tuple[str, tuple[CollapsedWord, ...]]]] = defaultdict(list)
        self._spelled = _SubstringIndex()
        self._anywhere = _SubstringIndex()
        self._symbols: dict[str, str] = {}
        self._accented: set[str] = set()  # if the list has é, é is a letter of its own: `salé` is not `sale`
        self.size = 0
        """Number of entries."""
        for entry in entries:
            self._add(entry)
            self.size += 1
        self._phrase_lengths = sorted({len(phrase) for phrase in self._phrases})

    def find(self, text: str) -> Iterator[Hit]:
        """Every place of every entry. Places may overlap and come in no order."""
        if not (self._phrases or self._anywhere or self._symbols):
            return
        letters = to_letters(text)
        if self._phrases:
            for interpretation in interpretations(letters, self._accented):
                yield from self._find_phrases(interpretation)
                for word in spelled_words(interpretation.words):
                    yield from self._spelled.find(word, _LONG_WORD_CHARS if interpretation.loose else 0)
        if self._anywhere:
            yield from self._anywhere.find(collapse_runs(letter for letter in letters if is_word_char(letter.char)))
        if self._symbols:
            visible = "".join(letter.char for letter in letters)
            for symbol, entry in self._symbols.items():
                for match in re.finditer(re.escape(symbol), visible):
                    yield Hit(letters[match.start()].start, letters[match.end() - 1].end, entry)

    def _add(self, entry: str) -> None:
        letters = to_letters(entry)
        self._accented.update(letter.char for letter in letters if not letter.char.isascii())
        words = tuple(collapse_runs(word) for word in split_words(letters))
        joined = collapse_runs(letter for letter in letters if is_word_char(letter.char))
        if not words:
            symbol = "".join(letter.char for letter in letters).strip()
            if symbol:
                self._symbols[symbol] = entry
        elif _NO_BLANKS.search(joined.chars):
            self._anywhere.add(entry, joined)
        else:
            self._phrases[tuple(word.chars for word in words)].append((entry, words))
            if joined.length >= 3:
                self._spelled.add(entry, joined)

    def _find_phrases(self, interpretation: Interpretation) -> Iterator[Hit]:
        words = [collapse_runs(word) for word in interpretation.words]
        for length in self._phrase_lengths:
            for i in range(len(words) - length + 1):
                here = words[i : i + length]
                for entry, wanted in self._phrases.get(tuple(word.chars for word in here), ()):
                    if interpretation.loose and sum(word.length for word in wanted) < _LONG_WORD_CHARS:
                        continue
                    if all(_counts_match(word, 0, want) for word, want in zip(here, wanted, strict=True)):
                        yield Hit(here[0].starts[0], here[-1].ends[-1], entry)


class _SubstringIndex:
    """Entries by their letters. Finds them anywhere in a word."""

    def __init__(self) -> None:
        self._entries: dict[str, list[tuple[str, CollapsedWord]]] = defaultdict(list)
        self._lengths: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, entry: str, word: CollapsedWord) -> None:
        self._entries[word.chars].append((entry, word))
        self._lengths.add(len(word.chars))

    def find(self, word: CollapsedWord, min_chars: int = 0) -> Iterator[Hit]:
        """Every place of every entry of at least `min_chars` letters in the word."""
        for length in self._lengths:
            for i in range(len(word.chars) - length + 1):
                for entry, wanted in self._entries.get(word.chars[i : i + length], ()):
                    if wanted.length >= min_chars and _counts_match(word, i, wanted, inside_word=True):
                        yield Hit(word.starts[i], word.ends[i + length - 1], entry)


def _counts_match(word: CollapsedWord, offset: int, wanted: CollapsedWord, *, inside_word: bool = False) -> bool:
    """Whether each letter occurs as often as in the entry, or so often that it is a disguise.

    Args:
        offset: Where `wanted` begins in `word`.
        inside_word: More of the first and the last letter may belong to the letters around.
    """
    last = len(wanted.counts) - 1
    for i, want in enumerate(wanted.counts):
        have, char = word.counts[offset + i], wanted.chars[i]
        if inside_word and i in (0, last) and have >= want:
            continue
        disguised = have >= want and (have >= 3 or wanted.length >= _LONG_WORD_CHARS) and not char.isnumeric()
        if have != want and not disguised:
            return False
    return True


def _merge_overlaps(hits: Iterable[Hit]) -> list[tuple[int, int]]:
    """The places of the hits in order. Those that overlap become one."""
    places: list[tuple[int, int]] = []
    for start, end, _ in sorted(hits):
        if places and start < places[-1][1]:
            places[-1] = (places[-1][0], max(end, places[-1][1]))
        else:
            places.append((start, end))
    return places


def _read_words(path: Path) -> list[str]:
    """The words of a file in UTF-8, one on each line. Empty lines and those that start with `#` are skipped.

    Raises:
        OperatorFileError: With one sentence.
    """
    text = read_text(path, _MAX_FILE_BYTES)
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if len(word) > _MAX_WORD_CHARS:
            raise OperatorFileError(
                f"{path}:{number}: has {len(word)} characters; write one word on each line, {_MAX_WORD_CHARS} at most"
            )
        words.append(word)
    if len(words) > _MAX_WORDS:
        raise OperatorFileError(f"{path}: holds {len(words)} words; {_MAX_WORDS} at most are allowed")
    return words
