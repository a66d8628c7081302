"""Replaces characters that look like the signs and digits of numbers: dashes for a minus, `º` for a degree."""

from __future__ import annotations

import re
import unicodedata

_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7\ufe58\ufe63\uff0d\u207b\u2796\u2043"
_SIGNS = "$€£¥₹"
_NUMBER = r"\d{1,12}(?:[.,]\d{1,12})?"
# White space that typesetters put between groups of three digits. Cleaning makes blanks of it, so it comes before.
_THIN = "[\u2009\u202f\u00a0\u2007\u2005\u2006\u200a]"
_THIN_GROUPS = re.compile(rf"(?<![\d.,:/+]{_THIN})(?<![\w.,:/+])[1-9]\d{{0,2}}(?:{_THIN}\d{{3}}){{1,5}}(?!{_THIN}?\d)")
_MINUS_BETWEEN = re.compile(rf"(?<![\w.,:/\u2212+-])({_NUMBER})\s?\u2212\s?({_NUMBER})(?!\s?[\u2212:/]|[.,]?\w)")
_MINUS_AND_BLANK = re.compile(r"(?<![\d)%°]\s)(?<![\d)%°])\u2212\s{1,3}(?=\d)")

_MINUS = re.compile(
    rf"(?<![\w.)\]%‰°²³½’'{_SIGNS}])(?<!\d[\"”″′])(?<![—―])[{_DASHES}](?=\.?\d|[{_SIGNS}] ?\d|[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])"
    rf"|(?<=(?<!\d)[{_SIGNS}])[{_DASHES}](?=\d)"
    # After three points a plus or a minus begins the other end of a range.
    rf"|(?<=…)[{_DASHES}](?=\d)|(?<=\.\.\.)[{_DASHES}](?=\d)"
)
_ALWAYS_MINUS = re.compile("[\u02d7\ufe63\u207b\u2796](?=\\d)")
_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_ARABIC_POINT = re.compile(r"(?<=[0-9])\u066b(?=[0-9])")
_ARABIC_COMMA = re.compile(r"(?<=[0-9])\u066c(?=[0-9])")
_SLASH = re.compile("(?<=[0-9])[\u2044\u2215](?=[0-9])")
_COLON = re.compile("(?<=[0-9])[\u2236\ua789](?=[0-9])")
_TIMES = re.compile("(?<=[0-9)])\u00b7(?=[0-9(])|(?<=[0-9)])( ?)[\u2219\u22c5\u2715\u2716\u2a2f](?= ?[0-9(])")
_DIVIDED = re.compile("(?<=[0-9)])( ?)\u2797(?= ?[0-9(])")
_PLUS = re.compile("[\ufe62\u2795](?= ?[0-9])")
_PERCENT = re.compile("(?<=[0-9])( ?)[\u066a\ufe6a\u2052]")
# The ordinal sign, the ring, and, before C or F only, a raised zero or a raised o.
_DEGREE = re.compile(r"(?<=[0-9]) ?(?:[º˚∘゜°] ?|[ᵒ⁰](?=[CF]))([CF])(?![A-Za-z])")
_DEGREE_ALONE = re.compile("(?<=[0-9])[º˚∘゜]")
_FRACTION = re.compile("([0-9]?)([⅖⅗⅘⅙⅚⅐⅑⅒⅜⅝⅞])")
_PRIME = re.compile("(?<=[0-9])[\u2032\u02b9](?= ?[0-9])")
_DOUBLE_PRIME = re.compile("(?<=[0-9])\u02ba|(?<=[0-9])\u2032\u2032")


def keep_number_marks(text: str) -> str:
    """The text with its thin blanks and true minus signs as marks that survive cleaning.

    Cleaning makes a blank of a thin blank between groups of digits, and a hyphen of a minus. `5−3` would become a
    range, and `− 5` a pause.
    """
    if text.isascii():
        return text
    text = _THIN_GROUPS.sub(lambda match: re.sub(_THIN, "'", match[0]), text)
    if "\u2212" not in text:
        return text
    return _MINUS_AND_BLANK.sub("-", _MINUS_BETWEEN.sub(_subtraction, text))


def _subtraction(match: re.Match[str]) -> str:
    """`5 - 3` for a difference; `3-5` is more likely a range."""
    first, second = (float(number.replace(",", ".")) for number in match.groups())
    return f"{match[1]} - {match[2]}" if first > second else match[0]


def fold_look_alikes(text: str) -> str:
    """Clean text with the plain signs and digits of numbers.

    A dash directly before a number, and not directly after a word or another number, is a minus. A dash between two
    numbers or words stays.
    """
    if text.isascii():
        return text
    text = _FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.digit(digit[0])), text)
    text = _ALWAYS_MINUS.sub("-", _MINUS.sub("-", text))
    text = _ARABIC_COMMA.sub(",", _ARABIC_POINT.sub(".", text))
    text = _COLON.sub(":", _SLASH.sub("/", text))
    text = _DIVIDED.sub(r"\1÷", _TIMES.sub(r"\1×", text))
    text = _PERCENT.sub(r"\1%", _PLUS.sub("+", text))
    text = _DEGREE_ALONE.sub("°", _DEGREE.sub(r" °\1", text))
    text = _FRACTION.sub(_plain_fraction, text)
    return _PRIME.sub("'", _DOUBLE_PRIME.sub("″", text))


def _plain_fraction(match: re.Match[str]) -> str:
    """`1 7/8` for 1⅞."""
    fraction = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {fraction}" if match[1] else fraction
