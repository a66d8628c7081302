"""How English is read out: written forms, in the order in which they are looked for."""

from __future__ import annotations

import re

from ishowtts.text.english_words import (
    ABBREVIATIONS,
    BEFORE_NUMBERS,
    CURRENCIES,
    CURRENCY,
    DIGITS,
    FRACTIONS,
    GLUED,
    MATHEMATICS,
    MONTH,
    MONTHS,
    MULTIPLES,
    PER,
    ROMAN,
    SIGNS,
    SPACED,
    TITLES,
    UNITS,
)
from ishowtts.text.reading_rules import ADDRESS, MOST_DIGITS, NUMBER, Read, ReadingRule, apply, is_day, rule

_CLOCK = r"\d{1,2}(?::\d\d)?(?: ?[ap]m\b| ?[ap]\.m\.)"
_YEAR = r"(?:,? (?P<year>\d{4})(?!\w|[:.,]\d))?"
_HALF = r"(?: ?(?P<half>[ap]\.m\.|[ap]m(?!\w)))"
_MULTIPLE = r"(?: ?(?P<multiple>thousand|million|billion|trillion|mn|bn|[KkMB])(?!\w))?"
_PLACE = "seats?|gate|row|room|platform|track|stand|bay|flat|apartment|unit|bus|line|door|building|hall|terminal"
_LIKE_YEARS = re.compile(r"1[1-9]\d\d|20\d\d")  # 1500 people are as well fifteen hundred


def english(text: str, read: Read) -> str:
    """English with numbers, units, times, money and signs in words; what no rule knows stays."""
    return " ".join(apply(_RULES, text, read).split())


def _one_by_one(figures: str) -> str:
    return " ".join(DIGITS[figure] for figure in figures if figure in DIGITS)


def _cardinal(number: str) -> str:
    """The same number, so that none takes it for a year."""
    whole, dot, rest = number.replace(",", "").partition(".")
    return f"{int(whole):,}{dot}{rest}" if len(whole) == 4 and whole[0] != "0" else number


def _address(match: re.Match[str], _: Read) -> str:
    bare = re.sub(r"^https?://", "", match[0]).rstrip("/")
    spelled = re.sub(r"[^A-Za-z0-9]", lambda sign: f" {SIGNS.get(sign[0], '')} ", bare)
    return re.sub(r"(?<!\d)0\d+|\d{4,}", lambda figures: _one_by_one(figures[0]), spelled)


def _numeric_date(match: re.Match[str], read: Read) -> str:
    """Year first, or the month as Americans have it, unless it can only be the day; with dots the day is first."""
    first, second, third = re.split(r"\D", match[0])
    if len(first) == 4:
        year, month, day = first, second, third
    elif "." in match[0] or not is_day(first, second):
        day, month, year = first, second, third
    else:
        month, day, year = first, second, third
    return _in_capitals(read(f"{year}-{month:0>2}-{day:0>2}")) if is_day(month, day) else match[0]


def _year_and_month(match: re.Match[str], _: Read) -> str:
    return f"{list(MONTHS)[int(match[2]) - 1]} {match[1]}"


def _in_capitals(said: str) -> str:
    return re.sub(r"(?<=of )[a-z](?=[a-z]+)", lambda letter: letter[0].upper(), said)


def _month_and_day(match: re.Match[str], read: Read) -> str:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return match[0]
    year = f", {read(match['year'])}" if match["year"] else ""
    return f"{MONTHS[match['month']]} {_ordinal(day, read)}{year}"


def _day_and_month(match: re.Match[str], read: Read) -> str:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return match[0]
    year = f" {read(match['year'])}" if match["year"] else ""
    return f"the {_ordinal(day, read)} of {MONTHS[match['month']]}{year}"


def _ordinal(number: int, read: Read) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return read(f"{number}{ending}")


def _time(match: re.Match[str], read: Read) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 24 or minute > 59:
        return match[0]
    half = match["half"]
    if half and minute == 0 and not match["second"]:
        return f"{read(match['hour'])} {half[0].upper()}M{_end_after(match)}"
    if hour == 0 and not match["second"]:
        shown = f"zero {'oh ' if minute < 10 else ''}{read(str(minute))}" if minute else "midnight"
    else:
        shown = re.sub(r"\bo (?=[a-z])", "oh ", read(f"{hour}:{match['minute']}{match['second'] or ''}"))
    return f"{shown} {half[0].upper()}M{_end_after(match)}" if half else shown


def _hour(match: re.Match[str], read: Read) -> str:
    return f"{read(match['hour'])} {match['half'][0].upper()}M{_end_after(match)}"


def _end_after(match: re.Match[str]) -> str:
    """The full stop of `p.m.` may be that of the sentence as well."""
    rest = match.string[match.end() :]
    return "." if match[0].endswith(".") and (not rest.strip() or re.match(r"\s+[A-Z]", rest)) else ""


def _groups(match: re.Match[str], _: Read) -> str:
    plus = "plus " if match[0].startswith("+") else ""
    return plus + ", ".join(_one_by_one(group) for group in re.findall(r"\d+", match[0]))


def _internet_address(match: re.Match[str], read: Read) -> str:
    said = " dot ".join(_one_by_one(part) for part in match["parts"].split("."))
    port = f" port {_one_by_one(match['port'])}" if match["port"] else ""
    return said + port + (f" slash {read(match['mask'])}" if match["mask"] else "")


def _version(match: re.Match[str], read: Read) -> str:
    word = "version " if match["v"] else ""
    return word + " point ".join(_part(part, read) for part in match["parts"].split("."))


def _part(figures: str, read: Read) -> str:
    if len(figures) > 1 and figures[0] == "0":
        return _one_by_one(figures)
    return read(figures)


def _money(match: re.Match[str], read: Read) -> str:
    one, several, hundredth, hundredths = CURRENCIES[match["currency"]]
    number, multiple = match["number"].replace(",", ""), match["multiple"]
    if multiple:
        return f"{_number(number, read)} {MULTIPLES.get(multiple, multiple)} {several}"
    whole, _, rest = number.partition(".")
    if len(rest) != 2 or not hundredth:
        return f"{_number(number, read)} {one if number == '1' else several}"
    said = []
    if int(whole) or not int(rest):
        said.append(f"{_number(_cardinal(whole), read)} {one if int(whole) == 1 else several}")
    if int(rest):
        said.append(f"{read(str(int(rest)))} {hundredth if int(rest) == 1 else hundredths}")
    return " and ".join(said)


def _decimal_comma(match: re.Match[str], _: Read) -> str:
    return match[0].replace(",", ".")


def _measure(match: re.Match[str], read: Read) -> str:
    one, several = UNITS[match["unit"]]
    per = f" per {PER[match['per']]}" if match["per"] else ""
    number = match["number"]
    return f"{_number(_cardinal(number), read)} {one if number == '1' else several}{per}"


def _fraction(match: re.Match[str], read: Read) -> str:
    above, below = int(match["above"]), int(match["below"])
    if below == 0:
        return match[0]
    if above < below <= 10 or (match["whole"] and above < below):
        return read(match[0])
    if above == below == 10:
        return "ten out of ten"
    joint = " over " if max(above, below) > 99 else " "
    whole = f"{match['whole']} " if match["whole"] else ""
    return f"{whole}{read(str(above))}{joint}{read(str(below))}"


def _decade(match: re.Match[str], read: Read) -> str:
    century, tens = match["century"], match["tens"]
    if tens == "0":
        return f"{read(century)} hundreds" if century[-1] != "0" else f"{read(str(int(century) // 10))} thousands"
    return f"{read(century)} {_several(read(f'{tens}0'))}"


def _several(number: str) -> str:
    """The under-16s, the 20s."""
    return f"{number[:-1]}ies" if number.endswith("y") else f"{number}{'es' if number.endswith('x') else 's'}"


def _lap(match: re.Match[str], read: Read) -> str:
    minutes, (seconds, _, rest) = int(match[1]), match[2].partition(".")
    said = f"{read(str(minutes))} minute{'' if minutes == 1 else 's'} "
    return f"{said}{read(str(int(seconds)))} point {_one_by_one(rest)} seconds"


def _last_number(match: re.Match[str], read: Read) -> str:
    return _number(match[0], read)


def _number(number: str, read: Read) -> str:
    """A number without anything about it."""
    whole, dot, rest = number.partition(".")
    if len(whole.replace(",", "")) > 12 or (len(whole) > 1 and whole[0] == "0"):
        said = _one_by_one(whole)
    else:
        said = read(whole if _LIKE_YEARS.fullmatch(number) else _cardinal(whole))
    if said.startswith(("thousand", "million", "billion")):
        said = f"one {said}"
    return f"{said} point {_one_by_one(rest)}" if dot else said


def _said(word: str) -> ReadingRule:
    return rule(r"(?<!\w)" + word, f" {word} ")


_RULES: tuple[ReadingRule, ...] = (
    ReadingRule(ADDRESS, _address),
    *(rule(rf"(?<![A-Za-z0-9]){form}(?!\w)", said) for form, said in ABBREVIATIONS.items()),
    *(rule(rf"(?<!\w){re.escape(form)}(?= (?:[A-Z]|and M|& M))", said) for form, said in TITLES.items()),
    *(rule(rf"(?<!\w){re.escape(form)} ?(?=\d)", f"{said} ") for form, said in BEFORE_NUMBERS.items()),
    rule(r"(?<!\w)([A-Za-z]*[A-Za-z])\+\+(?!\w)", r"\1 plus plus"),
    rule(r"(?<!\w)([A-Za-z])\+\+(?=\d)", r"\1 plus plus "),
    rule(r"(?<!\w)([CF])#(?!\w)", r"\1 sharp"),
    rule(r"(?<![\w&])#(?=\d)", "number "),
    rule(r"(?<![\w&])#(?=[A-Za-z])", "hashtag "),
    rule(r"(?<!\w)@ ?(?=[A-Za-z0-9])", "at "),
    rule(
        r"\b(Chapter|Part|Act|Volume|Book|Phase|Section|World War|Type|Level) ([IVX]{1,5})\b",
        lambda match, _: f"{match[1]} {ROMAN.index(match[2]) + 1}" if match[2] in ROMAN else match[0],
    ),
    rule(rf"(?<=\d)([{''.join(FRACTIONS)}])", lambda match, _: f" {FRACTIONS[match[1]]}"),
    rule(rf"[{''.join(FRACTIONS)}]", lambda match, _: FRACTIONS[match[0]]),
    rule(r"(?<![\w-])(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d)?(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?(?!\w)", r"\1, \2"),
    # Dates
    rule(r"(?<![\w/.-])(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{4})(?![\w/-]|\.\d)", _numeric_date),
    rule(
        rf"(?<!\w)(?P<month>{MONTH}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\w|[:.,/%-]\d|°){_YEAR}",
        _month_and_day,
    ),
    rule(
        rf"(?<![\w.:,/-])(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{MONTH})(?!\w){_YEAR}",
        _day_and_month,
    ),
    rule(r"(?<![\w.:/-])([12]\d{3})-(0[1-9]|1[0-2])(?![\w:/-]|\.\d)", _year_and_month),
    # Numbers that are no quantity
    rule(r"(?<!\w)\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,7}(?!\d)", _groups),
    rule(r"(?<![\w.-])(?:1[ -])?\(?\d{3}\)?[ -]\d{3}-\d{4}(?![\w-])|(?<![\w.,-])\d{3}-\d{4}(?![\w-])", _groups),
    rule(r"(?<![\w.-])0\d{2,4} \d{3,4} \d{3,4}(?![\w-])", _groups),
    rule(r"(?<![\w.,-])\d{1,6}(?:-\d{1,6}){2,6}(?![\w-])", _groups),
    rule(
        r"(?<![\w.])(?P<parts>\d{1,3}(?:\.\d{1,3}){3})(?!\.?\d)(?::(?P<port>\d{1,5}))?(?:/(?P<mask>\d{1,2}))?",
        _internet_address,
    ),
    rule(r"(?<![\w.])(?P<v>v\.? ?|V)(?P<parts>\d{1,6}(?:\.\d{1,6}){0,5})(?![\w.]*\d)", _version),
    rule(r"(?<![\d.])(?P<v>)(?P<parts>\d{1,6}(?:\.\d{1,6}){2,5})(?!\.?\d)", _version),
    # Ranges; what is taken away
    rule(rf"(?<![\w.-])({NUMBER}) ?- ?(?={NUMBER} ?=)", r"\1 minus "),
    rule(rf"({_CLOCK}|(?<!\d)\d{{1,2}}:\d\d) ?[-–—] ?(?=\d{{1,2}}(?::\d\d| ?[ap]\.?m))", r"\1 to "),
    rule(
        rf"(?<![\w.-])((?:{CURRENCY})?{NUMBER}(?:%|°[CF]?|[A-Za-z]{{1,3}})?)(?:-| ?[–—~] ?)(?=(?:{CURRENCY})?\d)",
        r"\1 to ",
    ),
    # Time
    rule(r"(?<![\w:.])(\d{1,2}):([0-5]\d\.\d{1,3})(?![\d:]|\.\d)", _lap),
    rule(r"(?<![\w.,])(\d{1,3})h ?([0-5]?\d)(?:m|min)(?!\w)", r"\1 h \2 min"),
    rule(r"(?<![\w.,])(\d{1,3})(?:m|min) ?([0-5]?\d)s(?!\w)", r"\1 min \2 s"),
    rule(r"(?<=\d) ?(min|mins|sec|hr|hrs)\.(?=,? [a-z])", r" \1"),
    rule(
        r"(?<![\w:.])(?P<hour>\d{1,2}):(?P<minute>\d\d)(?P<second>:\d\d)?(?! ?%|[\d:]|\.\d)" + _HALF + "?",
        _time,
        re.IGNORECASE,
    ),
    rule(r"(?<![\w:.,])(?P<hour>\d{1,2})" + _HALF, _hour, re.IGNORECASE),
    rule(r"(?<![\w:.])(\d{1,4}):(\d{1,4})(?![\d:])", r"\1 to \2"),
    # Quantities; a comma before cents is the custom where the euro is; decades first, that are no seconds
    rule(r"(?<![\w.,])(\d{1,9}),(\d\d)(?= ?€)|(?<=€)( ?\d{1,9}),(\d\d)(?![\d,])", _decimal_comma),
    rule(r"(?<![\w.,])(\d{2,3}|\d{1,3}\.\d{1,2})[Kk](?!\w)", r"\1 thousand"),
    rule(rf"(?<!\w)({_PLACE}) (\d{{1,4}})A(?!\w)", r"\1 \2 A", re.IGNORECASE),  # no amps
    rule(r"(?<=[A-Za-z]-)([1-9]\d)s(?!\w)", lambda match, read: _several(read(match[1]))),
    rule(r"(?<!\w)(?P<century>[1-9]\d)(?P<tens>\d)0s(?!\w)", _decade),
    rule(r"(?:(?<=[Tt]he )|(?<!\w)['’])([2-9]0)s(?!\w)", lambda match, read: _several(read(match[1]))),
    rule(r"(?<![\w.,])(\d{1,3}(?: 000){1,4})(?!\w|[.,]\d)", lambda match, _: f"{int(match[1].replace(' ', '')):,}"),
    rule(
        rf"(?<![\w.,])(?P<number>{NUMBER})' ?(?P<inches>\d{{1,2}})(?:''|\"|″)",
        lambda match, _: f"{match['number']} foot {match['inches']}",
    ),
    rule(r"(?<![\w)\]])-(?=\.?\d|[$€£¥₹])", "minus "),
    rule(r"(?<![\w).])\.(?=\d)", "0."),
    rule(r"(?<!\w)~ ?(?=\d)", "about "),
    rule(r"(?<![\w)])\+(?=\d)", "plus "),
    rule(
        rf"(?<!\w)(?P<currency>{CURRENCY}) ?(?P<number>{NUMBER}){_MULTIPLE}",
        _money,
    ),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER}) ?(?P<currency>{CURRENCY})(?P<multiple>)(?!\w)", _money),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER}) ?¢", lambda match, read: f"{read(match['number'])} cents"),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER})(?: ?(?P<unit>{SPACED}))(?:/(?P<per>{'|'.join(PER)}))?(?![\w'])", _measure),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER})(?P<unit>{GLUED})(?:/(?P<per>{'|'.join(PER)}))?(?![\w'])", _measure),
    # Signs
    rule(
        rf"(?<![\w.,])(?!0x)({NUMBER}) ?[x×*] ?(?=\d)",
        lambda match, _: f"{match[1]} {'by' if len(match[1]) > 2 else 'times'} ",
    ),
    rule(rf"(?<![\w.,])({NUMBER})x(?!\w)", r"\1 times"),
    rule(r"(?<=\w)\^(?=-?\w)-?", lambda match, _: " to the power of " + "minus " * match[0].endswith("-")),
    rule(r"(?<=[\w)])²", " squared"),
    rule(r"(?<=[\w)])³", " cubed"),
    rule(r"(?<=[\w)]) ?\+ ?(?=\d)", " plus "),
    rule(r"(?<=\d)\+(?!\w)", " plus"),
    rule(r"(?<=\d) ?= ?(?=[\w-])|(?<=\w) ?= ?(?=\d|minus \d)", " equals "),
    rule(r"(?<=\w) ?> ?(?=\d)", " is greater than "),
    rule(r"(?<=\w) ?< ?(?=\d)", " is less than "),
    *(rule(sign, f" {said} ") for sign, said in MATHEMATICS.items()),
    rule(r"(?<=\w) ?& ?(?=\w)", " and "),
    rule(r"(?<![\w/.])(?:(?P<whole>\d{1,4}) )?(?P<above>\d{1,3})/(?P<below>\d{1,3})(?![\w/]|\.\d)", _fraction),
    # What is left
    rule(r"(?<![\w.])(\d{1,12}(?:,\d{3}){0,3}(?:st|nd|rd|th))(?!\w)", lambda match, read: read(match[1])),
    rule(r"(?<!\w)(\d{1,2})(\d\d)p(?!\w)", r"\1 \2 p"),
    ReadingRule(re.compile(r"(?<=[^\W\d_])(?=[0-9])|(?<=[0-9])(?=[^\W\d_])"), " "),
    rule(rf"(?<!\d){NUMBER}(?!\d)", _last_number),
    rule(rf"(?<!\d)\d{{16,{MOST_DIGITS}}}(?!\d)", lambda match, _: _one_by_one(match[0])),
)
