"""What a table of readings is made of: each rule turns one written form into what is said, or into a plainer form."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ishowtts.limits import MAIL, WEB_END, WEB_START

Read: TypeAlias = Callable[[str], str]
"""A number, date or time in figures to its words; the same again where it cannot be read."""

MOST_DIGITS = 40
"""No one listens to a longer number: it is left as it stands."""

# Written so that no pattern can look at more than a few characters from any place: the text may be hostile.
NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}(?!\d)|\d{1,15})(?:\.\d{1,15}(?!\.?\d))?"
"""1234, 1,234 or 1,234.5."""

ADDRESS = re.compile(
    rf"{WEB_START}[!-~]{{1,300}}(?<=[{WEB_END}])"
    rf"|{MAIL}"
    r"|(?<![A-Za-z0-9@./-])[A-Za-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\.(?:com|org|net|edu|gov|info|io|ai|dev|app|cn|de|uk|jp|eu)"
    rf"(?![A-Za-z0-9.-]?[A-Za-z0-9])(?:/[!-~]{{0,300}}(?<=[{WEB_END}]))?",
    re.ASCII,
)
"""Of the web or of mail, without the full stop behind it."""


@dataclass(frozen=True)
class ReadingRule:
    """One written form.

    Attributes:
        pattern: of the form.
        said: what stands in its place: a template, or a function of the match and of `Read`.
    """

    pattern: re.Pattern[str]
    said: str | Callable[[re.Match[str], Read], str]

    def apply(self, text: str, read: Read) -> str:
        """The text with this form said."""
        said = self.said
        if isinstance(said, str):
            return self.pattern.sub(said, text)
        return self.pattern.sub(lambda match: said(match, read), text)


def rule(pattern: str, said: str | Callable[[re.Match[str], Read], str], flags: int = 0) -> ReadingRule:
    """A rule of a pattern in which digits, letters and blanks are those of ASCII."""
    return ReadingRule(re.compile(pattern, flags | re.ASCII), said)


def apply(rules: Sequence[ReadingRule], text: str, read: Read) -> str:
    """The text with every form said, in the order of the rules."""
    for each in rules:
        text = each.apply(text, read)
    return text


def is_day(month: str, day: str) -> bool:
    """Whether these could be a month and a day of it."""
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31
