"""Reading rules of English for figures that are not quantities: telephone numbers, addresses and versions."""

from __future__ import annotations

import re

from ishowtts.text.english_words import digit_by_digit
from ishowtts.text.reading_rules import ReadingRule, ToWords, rule


def _digit_groups(match: re.Match[str], _: ToWords) -> str:
    plus = "plus " if match[0].startswith("+") else ""
    return plus + ", ".join(digit_by_digit(group) for group in re.findall(r"\d+", match[0]))


def _internet_address(match: re.Match[str], to_words: ToWords) -> str:
    words = " dot ".join(digit_by_digit(part) for part in match["parts"].split("."))
    port = f" port {digit_by_digit(match['port'])}" if match["port"] else ""
    return words + port + (f" slash {to_words(match['mask'])}" if match["mask"] else "")


def _version(match: re.Match[str], to_words: ToWords) -> str:
    word = "version " if match["v"] else ""
    return word + " point ".join(_version_part(part, to_words) for part in match["parts"].split("."))


def _version_part(figures: str, to_words: ToWords) -> str:
    if len(figures) > 1 and figures[0] == "0":
        return digit_by_digit(figures)
    return to_words(figures)


CODE_RULES: tuple[ReadingRule, ...] = (
    rule(r"(?<!\w)\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,7}(?!\d)", _digit_groups),
    rule(r"(?<![\w.-])(?:1[ -])?\(?\d{3}\)?[ -]\d{3}-\d{4}(?![\w-])|(?<![\w.,-])\d{3}-\d{4}(?![\w-])", _digit_groups),
    rule(r"(?<![\w.-])0\d{2,4} \d{3,4} \d{3,4}(?![\w-])", _digit_groups),
    rule(r"(?<![\w.,-])\d{1,6}(?:-\d{1,6}){2,6}(?![\w-])", _digit_groups),
    rule(
        r"(?<![\w.])(?P<parts>\d{1,3}(?:\.\d{1,3}){3})(?!\.?\d)(?::(?P<port>\d{1,5}))?(?:/(?P<mask>\d{1,2}))?",
        _internet_address,
    ),
    rule(r"(?<![\w.])(?P<v>v\.? ?|V)(?P<parts>\d{1,6}(?:\.\d{1,6}){0,5})(?![\w.]*\d)", _version),
    rule(r"(?<![\d.])(?P<v>)(?P<parts>\d{1,6}(?:\.\d{1,6}){2,5})(?!\.?\d)", _version),
)
