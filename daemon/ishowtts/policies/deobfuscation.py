"""Undoes look-alike letters, spelling, accents and similar tricks that hide a word.

Each letter keeps its place in the original text, so that a hit can be masked there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from ishowtts.policies.text_edits import COMBINING_MARKS, INVISIBLE
from ishowtts.text.styled_letters import FLAG_LETTERS, STYLED_LETTERS

_IGNORED = re.compile(f"[{INVISIBLE}{COMBINING_MARKS}\u200c\u200d\ufe0f\U000e0000-\U000e007f]+")
# What NFKC puts together into one character: a letter with its marks, voiced kana, Hangul in parts.
_CLUSTER = re.compile(
    f"[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|.[{COMBINING_MARKS}\u3099\u309a\uff9e\uff9f]{{0,8}}", re.DOTALL
)
_APOSTROPHES = "'’`´ʼ"
# Marks that count as letters, or that NFKC turns into a blank with an accent. Nobody reads them in `ba´d` and `baːd`.
_SPACING_MARKS = re.compile(
    "[\u00a8\u00af\u00b4\u00b8\u02b9-\u02df\u02e5-\u02ff\u0384\u0385\u1fbd-\u1fc1\u1fcd-\u1fcf\u1fdd-\u1fdf\u1fed-\u1fef\u1ffd\u1ffe]"
)
# English contractions: the part before the apostrophe, and the part after it. he'll is not hell.
_CONTRACTION = re.compile(
    "(?:i|you|he|she|it|we|they|that|this|there|here|who|what|how|where|when|why)[']+(?:d|ll|m|re|s|ve)"
    "|(?:ai|are|ca|could|did|does|do|had|has|have|is|might|must|need|ought|sha|should|was|were|wo|would)n[']+t"
    "|[^']*[']+s"
)
# Latin letters with a stroke or a hook. They have no accent that could be removed.
_STROKES = dict(zip("đðłøħŧƀɓɗɖɠǥɡɑıƙƚɨɵɍʉɏƶʋɇ", "ddlohtbbddgggaiklioruyzve", strict=True))
_ANY_MARK = re.compile(f"[{COMBINING_MARKS}]+")
# What passes for a Latin letter among Latin letters: digits, symbols, Cyrillic, Greek.
_LOOKALIKES = dict(zip("013457@$авсеһіјкмнорѕтухαβεικνορτυχ", "oieastasabcehijkmhopstyxabeiknoptux", strict=True))
# Letters in flags, in filled circles and squares, in small capitals: NFKC leaves them as they are.
_STYLED = {styled: letter.lower() for styled, letter in (FLAG_LETTERS | STYLED_LETTERS).items()}
_REPLACEABLE = frozenset((*_STYLED, *_LOOKALIKES))


class Letter(NamedTuple):
    """One character, folded, and the part of the text that it stands for."""

    char: str
    start: int
    end: int


@dataclass(frozen=True)
class CollapsedWord:
    """Letters with each run of the same as one: `baaad` is `bad` with counts 1, 3, 1."""

    chars: str
    counts: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def length(self) -> int:
        """Number of letters, with every letter of a run."""
        return sum(self.counts)


Words = list[list[Letter]]
"""The words of a text, in order."""


class Interpretation(NamedTuple):
    """One way to read a text.

    Attributes:
        words: The words, in order.
        loose: Accents or apostrophes were ignored. Only longer entries are searched in it: `ano` is not `año`.
    """

    words: Words
    loose: bool


def to_letters(text: str) -> list[Letter]:
    """The text in NFKC and lower case, without invisible characters and combining marks."""
    letters = []
    for cluster in _CLUSTER.finditer(text):
        letters += [Letter(char, *cluster.span()) for char in _fold_cluster(cluster[0])]
    return letters


def interpretations(letters: list[Letter], accented: Collection[str]) -> Iterator[Interpretation]:
    """The words as they are, and with marks and emoji between letters ignored.

    Both come again with look-alikes replaced, and then without accents. An interpretation that equals an earlier one
    is left out.

    Args:
        accented: Letters with accents that are letters of their own.
    """
    replaced = list(_replace_lookalikes(letters))
    unaccented = list(_strip_accents(letters, accented))
    plain = replaced if unaccented == letters else list(_replace_lookalikes(unaccented))
    yield from _with_and_without_symbols(letters, loose=False)
    if replaced != letters:
        yield from _with_and_without_symbols(replaced, loose=False)
    if plain != replaced:
        yield from _with_and_without_symbols(plain, loose=True)
    if any(letter.char in _APOSTROPHES for letter in plain):
        yield Interpretation(list(_ignore_apostrophes(plain)), True)


def _with_and_without_symbols(letters: list[Letter], *, loose: bool) -> Iterator[Interpretation]:
    separate, joined = split_words(letters), _ignore_symbols(letters)
    yield Interpretation(separate, loose)
    if joined != separate:
        yield Interpretation(joined, loose)


def split_words(letters: Iterable[Letter]) -> Words:
    """The runs of letters and digits."""
    return [list(group) for inside, group in groupby(letters, lambda letter: is_word_char(letter.char)) if inside]


def spelled_words(words: Words) -> Iterator[CollapsedWord]:
    """Words that somebody spelled, as in `b a d`: three or more one-letter words in a row."""
    for single, group in groupby(words, lambda word: len({letter.char for letter in word}) == 1):
        row = list(group)
        if single and len(row) >= 3:
            yield collapse_runs([letter for word in row for letter in word])


def collapse_runs(letters: Iterable[Letter]) -> CollapsedWord:
    """Letters as one word, with each run of the same as one."""
    chars: list[str] = []
    counts: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    last = ""
    for char, start, end in letters:
        if char == last:
            counts[-1] += 1
            ends[-1] = end
        else:
            chars.append(char)
            counts.append(1)
            starts.append(start)
            ends.append(end)
            last = char
    return CollapsedWord("".join(chars), tuple(counts), tuple(starts), tuple(ends))


def is_word_char(char: str) -> bool:
    """Whether a character belongs to a word. Vowel signs do."""
    return char.isalnum() or unicodedata.category(char)[0] == "M"


@lru_cache(maxsize=4096)
def _fold_cluster(cluster: str) -> str:
    if _SPACING_MARKS.fullmatch(cluster[0]):
        return cluster[0]
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())
    return _IGNORED.sub("", folded)


def _ignore_symbols(letters: list[Letter]) -> Words:
    """`b.a🔥d` as one word. Blanks and apostrophes still separate words, else he'll would be hell."""
    groups = groupby(letters, lambda letter: letter.char.isspace() or letter.char in _APOSTROPHES)
    chunks = ([letter for letter in group if is_word_char(letter.char)] for between, group in groups if not between)
    return [chunk for chunk in chunks if chunk]


def _ignore_apostrophes(letters: list[Letter]) -> Iterator[list[Letter]]:
    """As `_ignore_symbols`, with `ba'd` as one word too. English contractions are still split at their apostrophe."""
    for space, group in groupby(letters, lambda letter: letter.char.isspace()):
        if space:
            continue
        chunk = [letter for letter in group if is_word_char(letter.char) or letter.char in _APOSTROPHES]
        written = "".join("'" if letter.char in _APOSTROPHES else letter.char for letter in chunk).strip("'")
        if _CONTRACTION.fullmatch(written) is not None:
            yield from _ignore_symbols(chunk)
        elif word := [letter for letter in chunk if letter.char not in _APOSTROPHES]:
            yield word


def _strip_accents(letters: list[Letter], accented: Collection[str]) -> Iterator[Letter]:
    beside_latin = True
    for letter in letters:
        if _is_mark(letter.char) and letter.char not in accented and letter.char not in _APOSTROPHES:
            if beside_latin:
                continue  # no engine reads a Hebrew accent or a raised letter in `bad`
        else:
            beside_latin = not letter.char.isalpha() or _is_latin(letter.char)
        if letter.char.isascii() or letter.char in accented or letter.char in _APOSTROPHES:
            yield letter
        elif not _SPACING_MARKS.match(letter.char):
            yield letter._replace(char=_strip_accent(letter.char))


@lru_cache(maxsize=4096)
def _is_mark(char: str) -> bool:
    """Whether a character is written on or behind letters: vowel signs, accents, raised letters."""
    category = unicodedata.category(char)
    return category[0] == "M" or category == "Lm"


@lru_cache(maxsize=4096)
def _is_latin(char: str) -> bool:
    return char.isascii() or unicodedata.name(char, "").startswith("LATIN ")


@lru_cache(maxsize=4096)
def _strip_accent(char: str) -> str:
    """A letter without its accents. One that has none stays, such as Hangul, which NFKD takes apart too."""
    decomposed = unicodedata.normalize("NFKD", char)
    stripped = _ANY_MARK.sub("", decomposed)
    return _STROKES.get(char, char) if stripped == decomposed else unicodedata.normalize("NFC", stripped)


def _replace_lookalikes(letters: list[Letter]) -> Iterator[Letter]:
    """Replace letters in flags and small capitals by plain ones; beside Latin letters also their look-alikes."""
    for _, group in groupby(letters, lambda letter: letter.char.isspace()):
        chunk = list(group)
        if not _REPLACEABLE.isdisjoint(letter.char for letter in chunk):
            chunk = [Letter(_STYLED.get(char, char), start, end) for char, start, end in chunk]
            if any("a" <= letter.char <= "z" for letter in chunk):
                chunk = [Letter(_LOOKALIKES.get(char, char), start, end) for char, start, end in chunk]
        yield from chunk
