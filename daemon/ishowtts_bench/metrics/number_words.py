"""Converts number words to digits, so that `nineteen ninety-five`, `1995` and `one nine nine five` are equal."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_ORDINALS = {"first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight", "ninth": "nine",
             "twelfth": "twelve"}  # fmt: skip
_SMALL = {*_UNITS, *_TENS}
_MANY = {"hundred", *_SCALES}
_TH = "th"


def in_digits(words: Sequence[str]) -> list[str]:
    """Replace each number by its digits, one per word: `twenty`, `six` become `2`, `6`. An ordinal is followed by `th`.

    A point between digits is removed, because half past ten is also written `10.30`.
    """
    found = _replaced(words)
    is_digit = [word.isdigit() for word in found]
    return [
        word
        for at, word in enumerate(found)
        if word != "point" or not (0 < at < len(found) - 1 and is_digit[at - 1] and is_digit[at + 1])
    ]


def _replaced(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    number = _Number()
    for at, word in enumerate(words):
        cardinal, ordinal = _cardinal(word)
        following = _cardinal(words[at + 1])[0] if at + 1 < len(words) else None
        if word == "oh" and following and not number.empty:
            cardinal = "zero"  # twelve oh four
        if cardinal is None:
            if word == "and" and number.takes_and and following in _SMALL:
                continue
            found += number.digits()
            number = _Number()
            found.append(word)
            continue
        if not number.takes(cardinal):
            found += number.digits()
            number = _Number()
        if number.empty and cardinal in _MANY and found and found[-1] == "a":
            found.pop()  # a hundred
        number.add(cardinal)
        if ordinal:
            found += [*number.digits(), _TH]
            number = _Number()
    return found + number.digits()


class _Number:
    """A number that is read word by word."""

    def __init__(self) -> None:
        self._total = 0  # the part above the last scale
        self._part: int | None = None  # the part below it
        self._scale = 10**12
        self._last: str | None = None

    @property
    def empty(self) -> bool:
        return self._last is None

    @property
    def takes_and(self) -> bool:
        return self._last in _MANY

    def takes(self, word: str) -> bool:
        """Whether the word continues this number: `five` after `twenty`, but not `twenty` after `five`."""
        if self.empty:
            return True
        if word == "hundred":
            return self._last in _SMALL and 0 < (self._part or 0) < 100
        if word in _SCALES:
            return bool(self._part) and _SCALES[word] < self._scale
        if self._last in _MANY:
            return word != "zero"
        return self._last in _TENS and 0 < _UNITS.get(word, 0) < 10

    def add(self, word: str) -> None:
        if word == "hundred":
            self._part = 100 * (self._part or 1)
        elif word in _SCALES:
            self._scale = _SCALES[word]
            self._total += self._scale * (self._part or 1)
            self._part = None
        else:
            self._part = (self._part or 0) + (_UNITS.get(word) or _TENS.get(word, 0))
        self._last = word

    def digits(self) -> list[str]:
        return [] if self.empty else list(str(self._total + (self._part or 0)))


def _cardinal(word: str) -> tuple[str | None, bool]:
    """Find the number word in a word, and whether the word is an ordinal."""
    if word in _SMALL or word in _MANY:
        return word, False
    if word in _ORDINALS:
        return _ORDINALS[word], True
    for ending, replacement in (("ieth", "y"), ("th", "")):
        stem = word.removesuffix(ending) + replacement
        if word.endswith(ending) and (stem in _SMALL or stem in _MANY):
            return stem, True
    return None, False
