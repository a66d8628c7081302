"""Reading rules of English for signs that join words and numbers: slashes, colons, @, #, arrows and braces."""

from __future__ import annotations

import re

from ishowtts.text.english_words import digit_by_digit, ordinal
from ishowtts.text.reading_rules import DIGITS, NUMBER, ReadingRule, ToWords, any_of, only_with, rule
from ishowtts.text.units import UNITS

_BEFORE_AUTHOR = "by|from|to|with|for|thanks|hi|hey|hello|welcome|cc|and|follow"
_EACH = {symbol: UNITS[symbol].singular for symbol in ("s", "sec", "min", "h", "hr", "d", "wk", "mo", "yr")}
_EACH |= {word: word for word in ("hour", "day", "week", "month", "year", "night", "person")}
_PRE_RELEASES = {"rc": "R C", "alpha": "alpha", "beta": "beta", "dev": "dev", "pre": "pre"}


def _port(match: re.Match[str], _: ToWords) -> str:
    return f"{match['host']} port {digit_by_digit(match['port'])}"


def _times(match: re.Match[str], _: ToWords) -> str:
    """`3x/day` is three times a day; `3.2/s` is per second."""
    each = _EACH[match["each"]]
    if not match["times"]:
        return f"{match['number']} per {each}"
    return f"{match['number']} {'time' if match['number'] == '1' else 'times'} {'an' if each == 'hour' else 'a'} {each}"


def _inches(match: re.Match[str], to_words: ToWords) -> str:
    """A fraction of an inch, such as 1/4" and 3/16"."""
    above, below = int(match["above"]), int(match["below"])
    if not 0 < above < below:
        return match[0]
    if below <= 10:
        words = to_words(f"{above}/{below}")
    else:
        words = f"{to_words(str(above))} {ordinal(below, to_words)}{'s' if above > 1 else ''}"
    return f"{match['whole']} and {words.replace('one half', 'a half')} inch" if match["whole"] else f"{words} inch"


def _episode(match: re.Match[str], _: ToWords) -> str:
    return f"season {int(match[1])} episode {int(match[2])}"


# Before these a number with a slash is one of several.
_OF = (
    "layer|page|part|step|level|stage|phase|episode|ep|lap|round|slide|image|photo|item|file|task|test|track|question|attempt"
    "|retry|slot|stop|goal|progress|steps"
)
JOINT_RULES: tuple[ReadingRule, ...] = (
    *only_with(
        ":",
        rule(r"(?<![\w.-])(?P<host>localhost|[A-Za-z][A-Za-z-]{0,30}\d{1,3}):(?P<port>\d{4,5})(?![\w:.])", _port),
        rule(r"(?<=[A-Za-z\])]):(?=[+-]?\d)", ": "),
        rule(r"(?:(?<=[A-Z]{2}\d)|(?<=PM10)|(?<=PM2\.5)):(?=[+-]?\d)", ": "),
    ),
    *only_with(
        "@",
        rule(rf"(?<!\w)({_BEFORE_AUTHOR}) @(?=[A-Za-z])", r"\1 ", re.IGNORECASE),
        rule(r"(?<=\w)@(?=\d)", " at "),
    ),
    *only_with("#", rule(r"(?<=[A-Za-z]{2})#(?=\d)", " number ")),
    *only_with(
        DIGITS,
        rule(
            rf"(?<=\d)[.-]?({'|'.join(_PRE_RELEASES)})[.-]?(?=\d)",
            lambda match, _: f" {_PRE_RELEASES[match[1]]} ",
        ),
    ),
    *only_with("{}", rule(r"\{{1,4} ?(?=[^\s{}])|(?<=[^\s{}]) ?\}{1,4}", "")),
    *only_with(
        "↑↓",
        rule(r" ?↑ ?", " up "),
        rule(r" ?↓ ?", " down "),
    ),
    *only_with("→➔➜⟶⇒", rule(r"^[→➔➜⟶⇒] ?| ?[→➔➜⟶⇒]$", "")),
    *only_with("®™", rule(r"(?<=\w)[®™]", "")),
    *only_with("©", rule(r"© ?(?=\w)", "copyright ")),
    *only_with("2", rule(r"(?<!\w)Sp[Oo]2(?!\w)", "S P O 2")),
    *only_with("3", rule(r"(?<![A-Za-z0-9])3D(?=[A-Z][a-z])", "3D ")),
    *only_with("X", rule(r"(?<![\w.])(\d{1,3})X(?= ?\d)", r"\1x")),
    *only_with("x", rule(r"(?<![\w.])(\d{1,2})x(?=[A-Z]{2})", r"\1 ")),
    *only_with(
        "H8",
        rule(r"(?<!\w)H\.(?=26\d(?!\d))", "H "),
        rule(r"(?<![\w.])802\.11(?=[a-z]{0,2}(?!\w))", "eight oh two dot eleven "),
    ),
    *only_with("E", rule(r"(?<!\w)S(\d\d)E(\d\d)(?!\w)", _episode)),
    *only_with("-", rule(r"(?<![\w.-])50-50(?![\w-])", "50 50")),
    *only_with("-–—", rule(r"(?<!\w)((?i:noon|midnight)) ?[-–—] ?(?=\d)", r"\1 to ")),
    *only_with(
        "/",
        rule(rf"(?<!\w)((?i:{_OF}) \d{{1,4}}) ?/ ?(?=\d{{1,4}}(?![\w/.,]\d))", r"\1 of "),
        rule(r"(?<![\w/.,-])(\d{1,2})-(?=(?:1/[2348]|3/[48]|2/3)(?![\d/]))", r"\1 "),
        rule(r"(?<![\w/.,])(\d{1,3}(?:,\d{3}){1,4}) ?/ ?(?=\d)", r"\1 out of "),
        rule(r"(?<=\d[CF])/(?=-?\d)", ", "),
        rule(
            rf"(?<![\w.,/])(?P<number>{NUMBER})(?P<times> ?[x×])?/(?P<each>{any_of(_EACH)})"
            r"(?![\w/])",
            _times,
        ),
        # What is used of what there is, and the values of two days or places
        rule(rf"(?<![\w/.])({NUMBER}) ?/ ?(?={NUMBER} ?[KMGTkmgt]i?B(?![\w/]))", r"\1 out of "),
        rule(rf"(?<![\w/.])(-?{NUMBER}) ?/ ?(?=[+-]?{NUMBER} ?°)", r"\1, "),
    ),
    *only_with(
        '"″',
        rule(
            r"(?<![\w/.])(?:(?P<whole>\d{1,2})[ -])?(?P<above>\d{1,2})/(?P<below>\d{1,2})(?:\"|″)(?=[\s.,;)x-]|$)",
            _inches,
        ),
        rule(rf"(?<![\w.,'\"])({NUMBER})(?:\"|″) ?[x×] ?({NUMBER})(?:\"|″)", r"\1 by \2 inches"),
    ),
    *only_with(DIGITS, rule(r"(?<=\d\.\d\d) (?=\d{1,3}\.\d\d(?![\w.,%°]))", ", ")),
)
"""Come before the rules of numbers."""


def _unit_alone(match: re.Match[str], _: ToWords) -> str:
    return f"{UNITS[match[1]].plural} per {UNITS[match[2]].singular}"


SLASH_RULES: tuple[ReadingRule, ...] = only_with(
    "/",
    rule(r"(?<![\w/])(km|m(?=/s)|[kMG]B|mg|kWh|kg|ml)/(h|s|min|d|L|l|dL|kg)(?![\w/])", _unit_alone),
    rule(r"(?<=\d)/(?=[+-]?\d|minus |plus )|(?<=[)%])/(?=[\w+-])", ", "),
    rule(r"(?<=degrees)/(?=\w)", ", "),
    rule(r"(?<=[A-Za-z0-9])/(?=[A-Za-z])", " "),
)
"""Come after all rules that know a slash: an engine says its name, or stumbles over it."""
