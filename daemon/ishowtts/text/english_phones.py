"""Reading rules of English for telephone numbers, and for other figures too long for a quantity."""

from __future__ import annotations

import re

from ishowtts.text.english_codes import is_counted, spelled
from ishowtts.text.reading_rules import DIGITS, MAX_DIGITS, ToWords, only_with, rule

_PHONE_WORDS = (
    r"tel(?:ephone)?|phone|mobile|cell|fax|helpline|landline|hotline|whatsapp|call|ring|text|dial|"
    r"reach (?:me|us|him|her|them)"
)
_LINK = r"(?: number| no\.?| nr\.?)?(?: (?:me|us|him|her|them))?(?: is| at| on|:|\.:?)? ?"
_GROUPS = r"\(?\d{2,12}\)?(?:[ ./-]{1,3}\(?\d{2,8}\)?){0,6}(?![\w]|[.,:/'’-]\d|-[A-Za-z])"
_DATE = re.compile(r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}")
_YEARS = re.compile(r"(?:19|20)\d\d[ /-](?:19|20)\d\d")
_GROUPED = re.compile(r"\+?\d{1,3}(?:\.\d{3})+|\d{1,3}(?: \d{3})+")
_FEWEST_DIGITS = 5


def _after_word(match: re.Match[str], _: ToWords) -> str:
    figures = match["figures"]
    is_number = is_counted(match) or _DATE.fullmatch(figures) or _YEARS.fullmatch(figures)
    if is_number or _count(figures) < _FEWEST_DIGITS or re.fullmatch(r"\d+\.\d+", figures):
        return match[0]
    return match["before"] + spelled(figures)


def _international(match: re.Match[str], _: ToWords) -> str:
    figures = match["figures"]
    is_long = _count(figures) >= (8 if re.search(r"\D", figures) else 10)
    if not is_long or _GROUPED.fullmatch(figures) or is_counted(match):
        return match[0]
    return "plus " + spelled(figures)


def _groups(match: re.Match[str], _: ToWords) -> str:
    return match[0] if _YEARS.fullmatch(match[0]) or is_counted(match) else spelled(match[0])


def _long(match: re.Match[str], _: ToWords) -> str:
    """A row of eight digits and more, unless it is a round number or counts something."""
    return match[0] if match[0].endswith("000") or is_counted(match) else spelled(match[0])


def _count(figures: str) -> int:
    return sum(figure.isdigit() for figure in figures)


_START = r"(?<![\w.,:/+'-])(?<!\d[ ])"
_END = r"(?![\w-]|[.,:/]\d| \d)"
PHONE_WORD_RULES = only_with(
    DIGITS,
    rule(r"(?<!\w)([Tt])el\.:? ?(?=[+(]?\d)", r"\1elephone "),
    rule(rf"(?<!\w)(?P<before>(?i:(?:{_PHONE_WORDS}){_LINK}))(?P<figures>{_GROUPS})", _after_word),
    rule(r"(?<!\w)(?P<before>(?i:numbers?)(?: is|:)? )(?P<figures>\d{7,15})(?!\w|[.,:/-]\d)", _after_word),
)

PHONE_RULES = only_with(
    DIGITS,
    rule(
        r"(?<!\w)(?:(?i:tel:) ?)?\+(?P<figures>\d{1,15}(?:[ ./-]{0,3}\(?\d{1,12}\)?){0,7})(?![\w]|[.,:/-]\d)",
        _international,
    ),
    rule(
        r"(?<![\w.-])(?:1[ -])?\(?\d{3}\)?[ -]\d{3}-\d{4}(?![\w-])|(?<![\w.,-])\d{3}-\d{4}(?![\w-])"
        rf"|{_START}(?:1[ .])?\(\d{{3}}\) ?\d{{3}}[ .]\d{{4}}{_END}"
        rf"|{_START}(?:1[ .])?\d{{3}}([ .])\d{{3}}\1\d{{4}}{_END}",
        _groups,
    ),
    rule(rf"{_START}1?-?8\d\d-(?=[A-Z]{{4,10}}(?!\w))", lambda match, _: f"{spelled(match[0])}, "),
    # With a zero first: by slash, hyphen or blank, and in pairs
    rule(rf"{_START}\(?0\d{{2,5}}\)?(?: ?[/-] ?| )\d{{2,8}}(?:[ -]\d{{1,8}}){{0,5}}{_END}", _groups),
    rule(rf"{_START}0\d(?:([ .-])\d\d)(?:\1\d\d){{2,5}}{_END}|{_START}0\d[ /-]\d{{3,4}}[ -]\d{{3,4}}{_END}", _groups),
    rule(rf"{_START}\d{{3,6}}-0\d{{2,8}}{_END}", _groups),
    # Without one: a mobile number, and groups that no quantity has
    rule(
        rf"{_START}(?:\d{{3}} \d{{4}} \d{{4}}|\d{{2,4}} \d{{6,8}}|\d{{4}} \d{{4}}|\d{{3}} \d{{3}} \d{{3}})"
        rf"(?! (?:€|[kMG]?Wh|[A-Za-z]{{1,3}}(?![A-Za-z]))){_END}",
        _groups,
    ),
    rule(r"(?<![\w.,-])\d{1,6}(?:-\d{1,6}){2,6}(?![\w-])", _groups),
    rule(rf"(?<![\w.,$€£¥₹])(?<![$€£¥₹] )(?<!^-)(?<![^\w]-)\d{{8,{MAX_DIGITS}}}(?![\w]|[.,]\d)", _long),
)
