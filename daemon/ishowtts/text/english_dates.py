"""Reading rules of English dates and times of day."""

from __future__ import annotations

import re

from ishowtts.text.english_addresses import full_stop
from ishowtts.text.english_words import MONTHS, SHORT_MONTHS, digit_by_digit, ordinal
from ishowtts.text.reading_rules import DIGITS, ToWords, any_of, is_month_and_day, only_with, rule

_MONTHS = {name: name for name in MONTHS}
_MONTHS |= {short + dot: name for short, name in SHORT_MONTHS.items() for dot in ("", ".")}
_MONTH = any_of(_MONTHS)
_MONTH_LETTERS = "JFMASOND"
_VERSION_BEFORE = re.compile(r"\b(?:version|release|firmware|build|update|core) $", re.IGNORECASE)
CLOCK = r"\d{1,2}(?::\d\d)?(?: ?[ap]m\b| ?[ap]\.m\.)"
"""A pattern: a time with am or pm, such as 3:30 pm."""
_YEAR = r"(?:,? (?P<year>\d{4})(?!\w|[:.,]\d))?"
_AM_PM = r"(?: ?(?P<am_pm>[ap]\.m\.|[ap]m(?!\w)))"


def _numeric_date(match: re.Match[str], to_words: ToWords) -> str:
    """A date in figures.

    The year is first, or the month, as in America. The day is first if the date has dots, or if the first number
    cannot be a month.
    """
    if _VERSION_BEFORE.search(match.string, max(0, match.start() - 12), match.start()):
        return match[0]
    first, second, third = re.split(r"\D", match[0])
    if len(first) == 4 and "." in match[0] and len(third) == 1:  # 2026.11.3 is a version, 2026.11.03 a date
        return match[0]
    if len(first) == 4:
        year, month, day = first, second, third
    elif "." in match[0] or not is_month_and_day(first, second):
        day, month, year = first, second, third
    else:
        month, day, year = first, second, third
    return _with_capital_month(to_words(f"{year}-{month:0>2}-{day:0>2}")) if is_month_and_day(month, day) else match[0]


def _year_and_month(match: re.Match[str], _: ToWords) -> str:
    return f"{MONTHS[int(match[2]) - 1]} {match[1]}"


def _with_capital_month(words: str) -> str:
    return re.sub(r"(?<=of )[a-z](?=[a-z]+)", lambda letter: letter[0].upper(), words)


def _month_and_day(match: re.Match[str], to_words: ToWords) -> str:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return match[0]
    year = f", {to_words(match['year'])}" if match["year"] else ""
    return f"{_MONTHS[match['month']]} {ordinal(day, to_words)}{year}"


def _day_and_month(match: re.Match[str], to_words: ToWords) -> str:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return match[0]
    year = f" {to_words(match['year'])}" if match["year"] else ""
    return f"the {ordinal(day, to_words)} of {_MONTHS[match['month']]}{year}"


def _days_of_month(match: re.Match[str], to_words: ToWords) -> str:
    """Two days of a month, such as May 5–7 and 5–7 May."""
    first, last = int(match["first"]), int(match["last"])
    if not 1 <= first < last <= 31:
        return match[0]
    if match.string[match.start()].isdigit():
        return f"the {ordinal(first, to_words)} to the {ordinal(last, to_words)} of {_MONTHS[match['month']]}"
    return f"{_MONTHS[match['month']]} {ordinal(first, to_words)} to {ordinal(last, to_words)}"


def _time(match: re.Match[str], to_words: ToWords) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 24 or minute > 59:
        return match[0]
    am_pm = match["am_pm"]
    if am_pm and minute == 0 and not match["second"]:
        return f"{to_words(match['hour'])} {am_pm[0].upper()}M{full_stop(match)}"
    if hour == 24 and minute == 0 and not match["second"]:
        return "midnight"
    if hour == 0 and not match["second"]:
        words = f"zero {'oh ' if minute < 10 else ''}{to_words(str(minute))}" if minute else "midnight"
    else:
        words = re.sub(r"\bo (?=[a-z])", "oh ", to_words(f"{hour}:{match['minute']}{match['second'] or ''}"))
        words = re.sub("^zero hours (?:zero minutes and )?", "", words)  # 0:45:10
        words = re.sub("(?<=twenty one) hour ", " hours ", words)
        words = re.sub("(?<=minutes|.minute) and zero seconds$", "", words)
    return f"{words} {am_pm[0].upper()}M{full_stop(match)}" if am_pm else words


def _hour(match: re.Match[str], to_words: ToWords) -> str:
    return f"{to_words(match['hour'])} {match['am_pm'][0].upper()}M{full_stop(match)}"


def _lap(match: re.Match[str], to_words: ToWords) -> str:
    """A lap time, such as 1:23.456."""
    minutes, (seconds, _, rest) = int(match[1]), match[2].partition(".")
    words = f"{to_words(str(minutes))} minute{'' if minutes == 1 else 's'} "
    return f"{words}{to_words(str(int(seconds)))} point {digit_by_digit(rest)} seconds"


def _minutes_and_seconds(match: re.Match[str], to_words: ToWords) -> str:
    """`5:00` on a timer."""
    counted = [(int(match["minutes"]), "minute"), (int(match["seconds"]), "second")]
    words = [f"{to_words(str(count))} {name}{'' if count == 1 else 's'}" for count, name in counted if count]
    return match.group("before") + " ".join(words) if words else match[0]


_TIMER = r"(?i:T minus|timer|countdown|elapsed|remaining|time left|eta in|duration|runtime|length)(?: of| is|:| at)? "
_TIMED = r" (?:left|remaining|elapsed|to go|min(?:utes)?)\b"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
DATE_RULES = only_with(
    DIGITS,
    *only_with(
        ".", rule(r"(?<![\w.,:/])([01]?\d|2[0-3])\.([0-5]\d)(?= ?(?:[ap]m\b|[ap]\.m\.|[AP]M\b|Uhr\b))", r"\1:\2")
    ),
    *only_with(
        ".",
        rule(
            r"(?<![\w.,:/])([01]?\d|2[0-3])\.([0-5]\d)( ?[-–—] ?|,? (?:to|and|or|until) )(?=\d{1,2}:[0-5]\d ?[apAPU])",
            r"\1:\2\3",
        ),
    ),
    *only_with(
        _MONTH_LETTERS, rule(rf"(?<!\w)((?:{_MONTH}) {_DAY}) ?[-–—] ?(?=(?:{_MONTH}) \d{{1,2}}(?!\d))", r"\1 to ")
    ),
    *only_with(
        _MONTH_LETTERS,
        rule(
            rf"(?<![\w.,:/-])({_DAY} (?:{_MONTH})) ?[-–—] ?(?=\d{{1,2}}(?:st|nd|rd|th)? (?:{_MONTH})(?!\w))", r"\1 to "
        ),
    ),
    *only_with(
        _MONTH_LETTERS,
        rule(
            rf"(?<!\w)(?P<month>{_MONTH}) (?P<first>\d{{1,2}})(?:st|nd|rd|th)? ?[-–—] ?"
            r"(?P<last>\d{1,2})(?:st|nd|rd|th)?(?!\w|[:.,/%-]\d|[-–—]| ?(?:°|%|[ap]\.?m))",
            _days_of_month,
        ),
    ),
    *only_with(
        _MONTH_LETTERS,
        rule(
            rf"(?<![\w.,:/-])(?P<first>\d{{1,2}})(?:st|nd|rd|th|\.)? ?[-–—] ?(?P<last>\d{{1,2}})(?:st|nd|rd|th|\.)?"
            rf" (?P<month>{_MONTH})(?!\w)",
            _days_of_month,
        ),
    ),
    *only_with(
        "-/.",
        rule(
            r"(?<![\w/.-])(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{4})(?![\w/-]|\.\d)", _numeric_date
        ),
    ),
    *only_with(
        _MONTH_LETTERS,
        rule(
            rf"(?<!\w)(?P<month>{_MONTH}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\w|[:.,/%-]\d|°){_YEAR}",
            _month_and_day,
        ),
    ),
    *only_with(
        _MONTH_LETTERS,
        rule(
            rf"(?<![\w.:,/-])(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})(?!\w){_YEAR}",
            _day_and_month,
        ),
    ),
    *only_with("-", rule(r"(?<![\w.:/-])([12]\d{3})-(0[1-9]|1[0-2])(?![\w:/-]|\.\d)", _year_and_month)),
)

TIME_RULES = only_with(
    DIGITS,
    *only_with(
        ":",
        rule(
            rf"(?<!\w)(?P<before>{_TIMER})(?P<minutes>\d{{1,3}}):(?P<seconds>[0-5]\d)(?!\w|[:.]\d| ?[ap]\.?m)",
            _minutes_and_seconds,
        ),
    ),
    *only_with(
        ":",
        rule(
            rf"(?<![\w:.])(?<!at )(?<!till )(?P<before>)(?P<minutes>\d{{1,3}}):(?P<seconds>[0-5]\d)(?={_TIMED})",
            _minutes_and_seconds,
        ),
    ),
    *only_with(":", rule(r"(?<![\w:.])(\d{1,2}):([0-5]\d\.\d{1,3})(?![\d:]|\.\d)", _lap)),
    *only_with(
        ":",
        rule(
            r"(?<![\w:.])(?P<hour>\d{1,2}):(?P<minute>\d\d)(?P<second>:\d\d)?(?! ?%|:?\d|\.\d)" + _AM_PM + "?",
            _time,
            re.IGNORECASE,
        ),
    ),
    rule(r"(?<![\w:.,])(?P<hour>\d{1,2})" + _AM_PM, _hour, re.IGNORECASE),
    *only_with(":", rule(r"(?<![\w:.])(\d{1,4}):(\d{1,4})(?!:?\d)", r"\1 to \2")),
)
