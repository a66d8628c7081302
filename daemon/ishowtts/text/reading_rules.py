"""Reading rules: each one replaces a written form by its words, or by a form that is easier to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ishowtts.limits import MAIL, TOP_LEVEL, WEB_END, WEB_START

ToWords: TypeAlias = Callable[[str], str]
"""Returns the words of a number, date or time in figures; returns it unchanged if it cannot be read."""

DIGITS = "0123456789"
DASHES = "-–—"
MAX_DIGITS = 40
"""A longer number stays in figures: nobody listens to it."""

# No pattern may look at more than a few characters from any place, since the text may be hostile.
NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}(?!\d)|\d{1,15})(?:\.\d{1,15}(?!\.?\d))?"
"""A pattern: 1234, 1,234 or 1,234.5."""

_TOP_LEVEL = (*TOP_LEVEL, *(name.upper() for name in TOP_LEVEL if name != "net"))  # ASP.NET is not an address
ADDRESS = re.compile(
    rf"{WEB_START}[!-~]{{1,300}}(?<=[{WEB_END}])"
    rf"|{MAIL}"
    rf"|(?<![A-Za-z0-9@./-])[A-Za-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}}){{0,4}}\.(?:{'|'.join(_TOP_LEVEL)})"
    rf"(?![A-Za-z0-9.-]?[A-Za-z0-9])(?:/[!-~]{{0,300}}(?<=[{WEB_END}]))?",
    re.ASCII,
)
"""A web or mail address, without the full stop after it."""


def any_of(forms: Iterable[str]) -> str:
    """A pattern of these forms; the longest comes first."""
    return "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))


@dataclass(frozen=True)
class ReadingRule:
    """How one written form is read.

    Attributes:
        pattern: Matches the form.
        replacement: A template, or a function of the match and of `ToWords`.
        signs: The form has at least one of these characters; `None`: it may have any. A text without them is not
            searched.
    """

    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str], ToWords], str]
    signs: frozenset[str] | None = None

    def apply(self, text: str, to_words: ToWords) -> str:
        """The text with each place of this form replaced."""
        replacement = self.replacement
        if isinstance(replacement, str):
            return self.pattern.sub(replacement, text)
        return self.pattern.sub(lambda match: replacement(match, to_words), text)


def rule(pattern: str, replacement: str | Callable[[re.Match[str], ToWords], str], flags: int = 0) -> ReadingRule:
    """A rule whose pattern knows the digits, letters and blanks of ASCII only."""
    return ReadingRule(re.compile(pattern, flags | re.ASCII), replacement)


def only_with(signs: str, *rules: ReadingRule) -> tuple[ReadingRule, ...]:
    """The rules, for texts with one of these characters only. Rules that have their own signs keep them."""
    return tuple(each if each.signs else replace(each, signs=frozenset(signs)) for each in rules)


def apply_rules(rules: Sequence[ReadingRule], text: str, to_words: ToWords) -> str:
    """The text after every rule, in their order."""
    characters = set(text)
    for each in rules:
        if each.signs is None or not each.signs.isdisjoint(characters):
            read = each.apply(text, to_words)
            if read != text:
                text, characters = read, set(read)
    return text


def is_month_and_day(month: str, day: str) -> bool:
    """Whether these can be a month and a day of it."""
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31
