"""Reading rules of English for durations and other quantities of several units, such as 1h23m45s and 6ft2in."""

from __future__ import annotations

import re

from ishowtts.text.english_units import amount
from ishowtts.text.reading_rules import DASHES, DIGITS, ReadingRule, ToWords, any_of, only_with, rule
from ishowtts.text.units import UNITS

# Parts of a duration in the order in which they are written: name, symbol in the table, forms. A capital is attached.
_PARTS = (
    ("years", "y", r"(?: ?(?:y|yrs?)|Y)"),
    ("months", "mo", r"(?: ?mos?|MO)"),
    ("weeks", "w", r"(?: ?(?:w|wks?)|W)"),
    ("days", "d", r"(?: ?d|D)"),
    ("hours", "h", r"(?: ?(?:h|hrs?)|H)"),
    ("minutes", "min", r"(?: ?(?:m|mins?)|M)"),
    ("seconds", "s", r"(?: ?(?:s|secs?)|S)"),
    ("milliseconds", "ms", r" ?ms"),
)
_DURATION = "".join(rf"(?:(?P<{name}>\d{{1,6}}(?:\.\d{{1,3}})?){form}(?![A-Za-z]),? ?)?" for name, _, form in _PARTS)
_ISO_DATE = "".join(rf"(?:(?P<{name}>\d{{1,5}}){letter})?" for name, letter in
                    (("years", "Y"), ("months", "M"), ("weeks", "W"), ("days", "D")))  # fmt: skip
_ISO_TIME = "".join(rf"(?:(?P<{name}>\d{{1,5}}(?:\.\d{{1,6}})?){letter})?" for name, letter in
                    (("hours", "H"), ("minutes", "M"), ("seconds", "S")))  # fmt: skip
# A larger unit and the smaller ones that may follow it.
_PAIRS = {
    "km": "m", "m": "cm mm", "cm": "mm", "kg": "g", "g": "mg", "t": "kg", "l": "ml cl dl", "L": "ml mL cL dL",
    "ft": "in", "yd": "ft in", "mi": "yd ft", "lb": "oz", "lbs": "oz", "gal": "qt",
}  # fmt: skip
_LARGER, _SMALLER = any_of(_PAIRS), any_of({unit for units in _PAIRS.values() for unit in units.split()})
_TIME_OF_DAY = re.compile(r"\b(?:at|from|until|till|by|before|after|since|around) $", re.IGNORECASE)


_SIGNS = {"-": "minus ", "+": "plus ", "~": "about ", "≈": "about ", "<": "less than ", ">": "more than "}


def _duration(match: re.Match[str], to_words: ToWords) -> str:
    numbers = {name: match[name] for name, _, _ in _PARTS if match[name]}
    minutes = numbers.get("minutes", "0")
    if len(numbers) < 2 or (set(numbers) == {"minutes", "seconds"} and float(minutes) > 59 and " " in match["parts"]):
        return match[0]
    symbols = {name: symbol for name, symbol, _ in _PARTS}
    if "years" in numbers and not numbers.keys() & {"days", "hours", "seconds"}:
        symbols["minutes"] = "mo"  # 2y 3m
    spoken = {name: number for name, number in numbers.items() if float(number)} or numbers  # 0h30m is thirty minutes
    gap = ", " if re.search(r",(?= ?\d)", match["parts"]) else " "
    words = gap.join(amount(_without_zero(number), UNITS[symbols[name]], to_words) for name, number in spoken.items())
    end = match["parts"][len(match["parts"].rstrip(", ")) :]
    return f"{_SIGNS.get(match['sign'], '')}{words}{' to ' if match['to'] else end}"


def _without_zero(number: str) -> str:
    """The number without the zeros before it, which `1h05m` has for its looks."""
    return re.sub(r"^0+(?=\d)", "", number)


def _iso_duration(match: re.Match[str], to_words: ToWords) -> str:
    parts = [(number, UNITS[symbol]) for name, symbol, _ in _PARTS if (number := match.groupdict().get(name))]
    words = " ".join(amount(number, unit, to_words) for number, unit in parts)
    return f"minus {words}" if match["minus"] else words


def _hours_and_minutes(match: re.Match[str], to_words: ToWords) -> str:
    """`1h30` is a duration; after "at", or from 13 hours to 24, it is a time of day."""
    is_time = int(match[1]) > 12 or _TIME_OF_DAY.search(match.string[max(0, match.start() - 8) : match.start()])
    if int(match[1]) <= 24 and is_time:
        return f"{match[1]}:{match[2]}"
    words = amount(_without_zero(match[1]), UNITS["h"], to_words)
    return words if match[2] == "00" else f"{words} {amount(str(int(match[2])), UNITS['min'], to_words)}"


def _joined(match: re.Match[str], to_words: ToWords) -> str:
    if match["smaller"] not in _PAIRS[match["larger"]].split():
        return match[0]
    larger = amount(match["first"], UNITS[match["larger"]], to_words)
    return f"{larger} {amount(match['second'], UNITS[match['smaller']], to_words)}"


DURATION_RULES: tuple[ReadingRule, ...] = only_with(
    DIGITS,
    rule(
        r"(?<!\w)T ?[-–−] ?(?=\d{1,6}(?::\d\d| ?(?:s|sec|m|min|h|d|seconds|minutes|hours|days)(?![a-z])))", "T minus "
    ),
    rule(r"(?<!\w)T ?\+ ?(?=\d{1,6}(?::\d\d| ?(?:s|sec|m|min|h|d|seconds|minutes|hours|days)(?![a-z])))", "T plus "),
    rule(rf"(?<!\w)(?P<minus>-)?P(?=\d|T\d){_ISO_DATE}(?:T(?=\d){_ISO_TIME})?(?<=[A-Z])(?!\w)", _iso_duration),
    *only_with(
        DASHES + "~",
        rule(
            r"(?<![\w.,])(\d{1,4}(?:\.\d)? ?(?:h|m|min|s|d|w))[-–—~](?=\d{1,4} ?(?:d|h|m|min)\d)",
            r"\1 to ",
        ),
    ),
    rule(
        rf"(?:(?<![\w)\]])(?P<sign>-|[~+<>≈](?= ?\d)) ?)?(?<![\w.,:/])(?=\d)(?P<parts>{_DURATION})"
        r"(?<=[A-Za-z, ])(?P<to>[-–—~](?=\d))?(?![A-Za-z])",
        _duration,
    ),
    *only_with("h", rule(r"(?<![\w.,:])(\d{1,2})h([0-5]\d)(?!\w)", _hours_and_minutes)),
    *only_with(":", rule(r"(?<![\w.,:])(\d{1,2}):([0-5]\d) ?h(?:rs?|ours?)?(?!\w)", _hours_and_minutes)),
    *only_with("f", rule(r"(?<![\w.,])(\d)ft(\d{1,2})(?![\w.]\d|\w)", r"\1 feet \2")),
    rule(
        rf"(?<![\w.,/])(?P<first>\d{{1,6}}) ?(?P<larger>{_LARGER}),? ?"
        rf"(?P<second>\d{{1,4}}(?:\.\d{{1,2}})?) ?(?P<smaller>{_SMALLER})(?!\w)",
        _joined,
    ),
    rule(
        r"(?<![\w.,])([12])m(\d\d)(?!\w)",
        lambda match, _: f"{match[1]} {'meter' if match[1] == '1' else 'meters'} {match[2]}",
    ),
)
"""Come before the rules of ranges, whose dash may follow a duration."""
