"""Text as somebody reads it who looks for a word that was hidden in it.

Each character that is read knows the part of the text that it came from, so that a hit can be masked there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from ishowtts.policies.text_edits import INVISIBLE

_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_UNSEEN = re.compile(f"[{INVISIBLE}{_MARKS}\u200c\u200d\ufe0f\U000e0000-\U000e007f]+")
# What is put together into one character by NFKC: a letter with its marks, voiced kana, Hangul in parts.
_CLUSTER = re.compile(
    f"[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|.[{_MARKS}\u3099\u309a\uff9e\uff9f]{{0,8}}", re.DOTALL
)
_APOSTROPHES = "'’`´ʼ"
# Marks that count as letters or that NFKC takes for a blank with an accent: nobody reads them in `ba´d` and `baːd`.
_LONE_MARKS = re.compile(
    "[\u00a8\u00af\u00b4\u00b8\u02b9-\u02df\u02e5-\u02ff\u0384\u0385\u1fbd-\u1fc1\u1fcd-\u1fcf\u1fdd-\u1fdf\u1fed-\u1fef\u1ffd\u1ffe]"
)
# English contractions: what is before the apostrophe and behind it. he'll is not hell.
_CONTRACTION = re.compile(
    "(?:i|you|he|she|it|we|they|that|this|there|here|who|what|how|where|when|why)[']+(?:d|ll|m|re|s|ve)"
    "|(?:ai|are|ca|could|did|does|do|had|has|have|is|might|must|need|ought|sha|should|was|were|wo|would)n[']+t"
    "|[^']*[']+s"
)


def _alphabet(first: int) -> dict[str, str]:
    return {chr(first + i): chr(ord("a") + i) for i in range(26)}


# Letters in flags, in filled circles and squares, in small capitals: NFKC leaves them as they are.
_STYLED = {
    **_alphabet(0x1F1E6),
    **_alphabet(0x1F150),
    **_alphabet(0x1F170),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
}
# Latin letters with a stroke or a hook, which have no accent to be taken off.
_STROKES = dict(zip("đðłøħŧƀɓɗɖɠǥɡɑıƙƚɨɵɍʉɏƶʋɇ", "ddlohtbbddgggaiklioruyzve", strict=True))
_ANY_MARK = re.compile(f"[{_MARKS}]+")
# What passes for a Latin letter among Latin letters: digits, signs, Cyrillic, Greek.
_LOOKALIKES = dict(zip("013457@$авсеһіјкмнорѕтухαβεικνορτυχ", "oieastasabcehijkmhopstyxabeiknoptux", strict=True))
_DISGUISES = frozenset((*_STYLED, *_LOOKALIKES))


class Letter(NamedTuple):
    """One character that is read, and the part of the text that it stands for."""

    char: str
    start: int
    end: int


@dataclass(frozen=True)
class Word:
    """Letters in a row, with each run of the same as one: `baaad` is `bad` with counts 1, 3, 1."""

    chars: str
    counts: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def length(self) -> int:
        """Letters, each of a run counted."""
        return sum(self.counts)


Words = list[list[Letter]]
"""The words of a text, in order."""


class PossibleText(NamedTuple):
    """One way to read a text.

    Attributes:
        words: in order.
        loose: accents or apostrophes were overlooked, so that only longer entries are looked for: `ano` is not `año`.
    """

    words: Words
    loose: bool


def read(text: str) -> list[Letter]:
    """The text in NFKC, any case as small letters, without what cannot be seen."""
    letters = []
    for cluster in _CLUSTER.finditer(text):
        letters += [Letter(char, *cluster.span()) for char in _folded(cluster[0])]
    return letters


def readings(letters: list[Letter], kept: Collection[str]) -> Iterator[PossibleText]:
    """The words as they are, and with marks and emoji between letters overlooked.

    Each again without disguise, and then without accents. A reading that is the same as one before is left out.

    Args:
        kept: letters with accents that are letters of their own.
    """
    undisguised = list(_undisguised(letters))
    unaccented = list(_without_accents(letters, kept))
    bare = undisguised if unaccented == letters else list(_undisguised(unaccented))
    yield from _parted_and_glued(letters, loose=False)
    if undisguised != letters:
        yield from _parted_and_glued(undisguised, loose=False)
    if bare != undisguised:
        yield from _parted_and_glued(bare, loose=True)
    if any(letter.char in _APOSTROPHES for letter in bare):
        yield PossibleText(list(_joined(bare)), True)


def _parted_and_glued(letters: list[Letter], *, loose: bool) -> Iterator[PossibleText]:
    parted, glued = words(letters), _glued(letters)
    yield PossibleText(parted, loose)
    if glued != parted:
        yield PossibleText(glued, loose)


def words(letters: Iterable[Letter]) -> Words:
    """Letters and digits that stand side by side."""
    return [list(group) for inside, group in groupby(letters, lambda letter: is_inside(letter.char)) if inside]


def spelled(reading: Words) -> Iterator[Word]:
    """Letters that somebody spelled, as in `b a d`: three or more one-letter words in a row."""
    for single, group in groupby(reading, lambda word: len({letter.char for letter in word}) == 1):
        alone = list(group)
        if single and len(alone) >= 3:
            yield squeezed([letter for word in alone for letter in word])


def squeezed(letters: Iterable[Letter]) -> Word:
    """Letters as one word."""
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
    return Word("".join(chars), tuple(counts), tuple(starts), tuple(ends))


def is_inside(char: str) -> bool:
    """Whether a character belongs to a word; signs of vowels do."""
    return char.isalnum() or unicodedata.category(char)[0] == "M"


@lru_cache(maxsize=4096)
def _folded(cluster: str) -> str:
    if _LONE_MARKS.fullmatch(cluster[0]):
        return cluster[0]
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())
    return _UNSEEN.sub("", folded)


def _glued(letters: list[Letter]) -> Words:
    """`b.a🔥d` as one word. An apostrophe parts words, else he'll would be hell; so does a blank."""
    parts = groupby(letters, lambda letter: letter.char.isspace() or letter.char in _APOSTROPHES)
    chunks = ([letter for letter in group if is_inside(letter.char)] for between, group in parts if not between)
    return [chunk for chunk in chunks if chunk]


def _joined(letters: list[Letter]) -> Iterator[list[Letter]]:
    """As `_glued`, with apostrophes overlooked too, as in `ba'd`; English contractions are parted by theirs."""
    for space, group in groupby(letters, lambda letter: letter.char.isspace()):
        if space:
            continue
        chunk = [letter for letter in group if is_inside(letter.char) or letter.char in _APOSTROPHES]
        seen = "".join("'" if letter.char in _APOSTROPHES else letter.char for letter in chunk).strip("'")
        if _CONTRACTION.fullmatch(seen) is not None:
            yield from _glued(chunk)
        elif whole := [letter for letter in chunk if letter.char not in _APOSTROPHES]:
            yield whole


def _without_accents(letters: list[Letter], kept: Collection[str]) -> Iterator[Letter]:
    for letter in letters:
        if letter.char.isascii() or letter.char in kept or letter.char in _APOSTROPHES:
            yield letter
        elif not _LONE_MARKS.match(letter.char):
            yield letter._replace(char=_bare(letter.char))


@lru_cache(maxsize=4096)
def _bare(char: str) -> str:
    """A letter without its accents; what has none stays as it is, such as Hangul, which NFKD takes apart too."""
    apart = unicodedata.normalize("NFKD", char)
    bare = _ANY_MARK.sub("", apart)
    return _STROKES.get(char, char) if bare == apart else unicodedata.normalize("NFC", bare)


def _undisguised(letters: list[Letter]) -> Iterator[Letter]:
    """With plain letters for those in flags and small capitals; between Latin letters also for what looks like one."""
    for _, group in groupby(letters, lambda letter: letter.char.isspace()):
        chunk = list(group)
        if not _DISGUISES.isdisjoint(letter.char for letter in chunk):
            chunk = [Letter(_STYLED.get(char, char), start, end) for char, start, end in chunk]
            if any("a" <= letter.char <= "z" for letter in chunk):
                chunk = [Letter(_LOOKALIKES.get(char, char), start, end) for char, start, end in chunk]
        yield from chunk
