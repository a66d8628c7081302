"""Shortens what somebody repeated: runs of letters and marks, syllables, words. Numbers, names and codes stay whole."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ishowtts.policies.links import find_links
from ishowtts.policies.text_edits import COMBINING_MARKS

# Two marks on one letter are Vietnamese, more are a prank.
_PILED_MARKS = re.compile(f"([{COMBINING_MARKS}]{{2}})[{COMBINING_MARKS}]+")
# The same thing six times is no longer emphasis. Three or five times may be meant.
_REPEATED_SYLLABLE = re.compile(r"([^\W\d_]{2,4}?)\1{5,}", re.IGNORECASE)
_REPEATED_WORD = re.compile(r"\b([^\W\d_]+)(?:[\s,]+\1\b){5,}", re.IGNORECASE)
_WORD_SEPARATOR = re.compile(r"([\s,]+)")
_KEPT_REPEATS = 3
_DIGIT_WORDS = frozenset(
    ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
     "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
)  # fmt: skip

_AROUND_CHARS = 40
"""How far the word around a run is searched. A longer code is shortened."""
_LETTERS_BEFORE = re.compile(r"[^\W_]*\Z")
_LETTERS_AFTER = re.compile(r"[^\W_]*")
_CODE_BEFORE = re.compile(r"[\w#:.-]*\Z")
_CODE_AFTER = re.compile(r"[\w:.-]*")
# Words in which letters come in runs: batteries (AAAA) and records (AAAA), sizes (XXXXL), Roman numerals (XIII, IIII),
# the web, and the year of a date format.
_WORD_WITH_RUN = re.compile(
    r"([A-Z])\1{1,3}|X{1,6}[LS]|x{1,6}[ls]|www|yyyy"
    r"|M{0,4}(?:CM|CD|D?C{0,4})(?:XC|XL|L?X{0,4})(?:IX|IV|V?I{0,4})"
    r"|(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
)
# Keys, addresses of networks, colours, serial numbers: digits with the letters of hexadecimal numbers or with capitals.
_CODE = re.compile(r"(?=[^\d]*\d)(?:#?(?:0[xX])?[0-9A-Fa-f:._-]+|[0-9A-Z:._-]+)|#[0-9A-Fa-f]{3,8}")
_BATTERY = re.compile(r"[ -]?(?:batter|cell)", re.IGNORECASE)
_LONGEST_RUN = 8
"""Of one letter in a code: a longer run is a flood."""


def shorten_repeats(text: str, max_run: int) -> str:
    """Shorten what somebody repeated, except digits: 10000 is not 1000.

    A run of one letter or mark keeps `max_run` of it. Six and more of one syllable or word become three. Links stay
    whole, and so do words that are written with such a run, Roman numerals and codes.
    """
    parts: list[str] = []
    end = 0
    for link in find_links(text, all_hosts=True):
        parts += [_shorten_repeats(text[end : link.start()], max_run), link[0]]
        end = link.end()
    return "".join([*parts, _shorten_repeats(text[end:], max_run)])


def _shorten_repeats(text: str, max_run: int) -> str:
    text = _PILED_MARKS.sub(r"\1", text)
    text = _repeated_char(max_run).sub(lambda run: run[0] if _is_meant(run) else run[0][:max_run], text)
    text = _REPEATED_SYLLABLE.sub(lambda run: run[0] if _is_meant(run) else run[0][: _KEPT_REPEATS * len(run[1])], text)
    return _REPEATED_WORD.sub(
        lambda run: run[0] if _is_number(run[1]) else "".join(_WORD_SEPARATOR.split(run[0])[: 2 * _KEPT_REPEATS - 1]),
        text,
    )


@lru_cache(maxsize=32)
def _repeated_char(max_run: int) -> re.Pattern[str]:
    return re.compile(rf"([^\W\d]|[^\w\s])\1{{{max_run},}}", re.IGNORECASE)


def _is_meant(run: re.Match[str]) -> bool:
    """Whether a run of letters is part of a number, of a word that has it, or of a code."""
    if _has_numeral(run[1]):
        return True
    if not run[1].isalpha():
        return False
    before = run.string[max(0, run.start() - _AROUND_CHARS) : run.start()]
    after = run.string[run.end() : run.end() + _AROUND_CHARS]
    if _WORD_WITH_RUN.fullmatch(_search(_LETTERS_BEFORE, before) + run[0] + _search(_LETTERS_AFTER, after)):
        return True
    if run[0].lower() == "aaaa" and _BATTERY.match(after):
        return True
    if len(run[0]) > _LONGEST_RUN * len(run[1]):
        return False
    code = _search(_CODE_BEFORE, before) + run[0] + _search(_CODE_AFTER, after)
    return _CODE.fullmatch(code.strip(":.-_")) is not None


def _search(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[0] if found else ""


def _is_number(word: str) -> bool:
    return word.lower() in _DIGIT_WORDS or _has_numeral(word)


def _has_numeral(text: str) -> bool:
    """Whether the text holds a numeral, such as 一 or 〇."""
    return any(unicodedata.numeric(char, None) is not None for char in text)
