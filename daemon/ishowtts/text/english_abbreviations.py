"""Reading rules of English for abbreviations. Some depend on the words beside them: St. is Saint or Street."""

from __future__ import annotations

import re

from ishowtts.text.english_addresses import ADDRESS_RULES, STARTS_SENTENCE, full_stop
from ishowtts.text.english_words import SHORT_MONTHS
from ishowtts.text.reading_rules import DASHES, DIGITS, ReadingRule, ToWords, any_of, only_with, rule

_WITH_DOT = {
    "dept": "department", "depts": "departments", "appt": "appointment", "appts": "appointments", "govt": "government",
    "misc": "miscellaneous", "incl": "including", "excl": "excluding", "intl": "international", "natl": "national",
    "univ": "university", "bldg": "building", "qty": "quantity", "prev": "previous", "resp": "respectively",
    "et al": "and others", "viz": "namely", "cf": "compare", "p.a": "per year", "temp": "temperature", "avg": "average",
    "tel": "telephone", "vit": "vitamin", "a.k.a": "also known as", "approx": "approximately", "vs": "versus",
    "etc": "et cetera",
}  # fmt: skip
_NEVER_ENDS = ("approx", "vs", "incl", "excl", "viz", "cf", "intl", "natl", "univ", "prev", "vit")  # a sentence
_WITH_OR_WITHOUT_DOT = ("approx", "vs", "etc", "govt", "dept", "appt")
_FIXED = {
    r"e\.g\.,?": "for example,", r"i\.e\.,?": "that is,", r"E\.g\.,?": "For example,", r"I\.e\.,?": "That is,",
    r"eg,": "for example,", r"ie,": "that is,", r"aka": "also known as", r"w/o": "without", r"w/": "with",
    r"c/o": "care of", r"and/or": "and or", r"[Nn]/[Aa]": "N A",
    r"b/w(?= (?:photo|picture|print|film|image|TV|movie))": "black and white", r"b/w": "between",
}  # fmt: skip
_BEFORE_FIGURES = {
    "nos": "numbers", "no": "number", "nr": "number", "fig": "figure", "figs": "figures", "vol": "volume",
    "ch": "chapter", "pp": "pages", "p": "page", "ext": "extension", "apt": "apartment",
    "ste": "suite", "fl": "floor",
    "rm": "room", "sec": "section", "art": "article", "hwy": "highway", "rte": "route", "rt": "route", "ca": "about",
    "c": "about", "min": "minimum", "max": "maximum", "avg": "average",
}  # fmt: skip
_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Ms", "Prof": "Professor", "Gen": "General", "Capt": "Captain",
    "Lt": "Lieutenant", "Sgt": "Sergeant", "Rev": "Reverend", "Col": "Colonel", "Maj": "Major", "Cmdr": "Commander",
    "Sen": "Senator", "Rep": "Representative", "Gov": "Governor", "Pres": "President", "Hon": "Honorable",
    "Fr": "Father", "Mt": "Mount",
}  # fmt: skip
_DAYS = {"Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
         "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday"}  # fmt: skip
_PLURALS = {"hr": "hours", "min": "minutes", "sec": "seconds", "lb": "pounds"}
_DAY = any_of(_DAYS)
_MONTH = any_of(SHORT_MONTHS)


def _same_case(words: str, form: str) -> str:
    return words[0].upper() + words[1:] if form[0].isupper() else words


def _abbreviation(match: re.Match[str], _: ToWords) -> str:
    form = match[0].rstrip(".")
    if not match[0].endswith(".") and form.lower() not in _WITH_OR_WITHOUT_DOT:
        return match[0]
    return _same_case(_WITH_DOT[form.lower()], form) + ("" if form.lower() in _NEVER_ENDS else full_stop(match))


def _before_figures(match: re.Match[str], _: ToWords) -> str:
    form = match["form"] or match["bare"]
    return match[0] if form in ("C", "P") else f"{_BEFORE_FIGURES[form.lower()]} "


def _days(match: re.Match[str], _: ToWords) -> str:
    return f"{_DAYS[match['day']]} to {_DAYS[match['last']]}{full_stop(match)}"


def _two_days(match: re.Match[str], _: ToWords) -> str:
    return f"{_DAYS[match['day']]} {match['and']} {_DAYS[match['last']]}{full_stop(match)}"


def _day(match: re.Match[str], _: ToWords) -> str:
    return _DAYS[match["day"] or match["dotted"]] + full_stop(match)


def _month(match: re.Match[str], _: ToWords) -> str:
    return SHORT_MONTHS[match["month"]] + full_stop(match)


_DOTTED_RULES = only_with(
    ".",
    rule(r"(?<!\d )(?<![\w.])([Ff])(?:t|eat)\.(?= [A-Z])", lambda match, _: "Fort" if match[1] == "F" else "featuring"),
    rule(r"(?<![\w.])([Ee])st\.(?= [12]\d{3}(?!\w))", r"\1stablished"),
    rule(r"(?<![\w.])([Ee])st\.(?= [a-z0-9])", r"\1stimated"),
    rule(r"(?<!\d )(?<![\w.])(?P<form>max|min)\.(?= [a-z])", lambda match, _: _BEFORE_FIGURES[match["form"]]),
    rule(r"(?<!\d )(?<![\w.])([ap])\.m\.(?!\w)", lambda match, _: f"{match[1].upper()}M{full_stop(match)}"),
    rule(r"(?<![\w.])([Nn])o\.(?= of\b)", r"\1umber"),
    rule(r"(?<=(?:th|st|nd|rd) )[Ff]l\.", "floor"),
)
_DATE_RULES: tuple[ReadingRule, ...] = (
    *only_with(DASHES, rule(rf"(?<![\w.])(?P<day>{_DAY})\.? ?[-–—] ?(?P<last>{_DAY})(?!\w)\.?", _days)),
    *only_with(
        "MTWFS",
        rule(rf"(?<![\w.])(?P<day>{_DAY})\.? (?P<and>and|or|to|through|&) (?P<last>{_DAY})(?!\w)\.?", _two_days),
    ),
    *only_with(
        DIGITS,
        rule(
            rf"(?<![\w.])(?P<day>{_DAY})\.?(?=,? (?:\d{{1,2}}(?!\d)|(?:{_MONTH})(?!\w)))",
            lambda match, _: _DAYS[match["day"]],
        ),
        rule(rf"(?<![\w.])(?P<month>{_MONTH})\.?(?= \d{{4}}(?!\w))", lambda match, _: SHORT_MONTHS[match["month"]]),
    ),
    *only_with(
        "MTWFS",
        rule(rf"(?<=[Oo]n )(?P<day>{_DAY})(?!\w)\.?|(?<![\w.])(?P<dotted>Mon|Tues?|Thu(?:rs?)?|Fri)\.", _day),
    ),
    *only_with(
        ".",
        rule(rf"(?<![\w.])(?P<month>{_MONTH})\.(?= [a-z(]|$|[,;:)])", _month),
        rule(rf"(?:(?<=\b[Ii]n )|(?<=\b[Bb]y ))(?P<month>{_MONTH})\.(?= [A-Z])", _month),
    ),
)
ABBREVIATION_RULES: tuple[ReadingRule, ...] = (
    *(
        each
        for form, words in _FIXED.items()
        for each in only_with("/" if "/" in form else ".,k", rule(rf"(?<![A-Za-z0-9.]){form}(?!\w)", words))
    ),
    rule(
        rf"(?<![\w.])(?:(?P<form>{any_of(_TITLES)})\.|(?P<bare>Mr|Mrs|Ms|Prof|Mt|Capt|Sgt|Rev)(?= ))"
        rf"(?= (?:[A-Z]|and M|& M))(?! (?:{STARTS_SENTENCE})\b)",
        lambda match, _: _TITLES[match["form"] or match["bare"]],
    ),
    *ADDRESS_RULES,
    rule(r"(?<=[a-z]) v\.?(?= [A-Z])|(?<=\d) v\.?(?= \d)", " versus"),
    *_DOTTED_RULES,
    *only_with(
        DIGITS,
        rule(
            rf"(?<!\d )(?<![\w.])(?:(?P<form>(?i:{any_of(_BEFORE_FIGURES)}))\.:? ?(?=[#\d-])"
            r"|(?P<bare>ext|[Aa]pt|max|min|avg|hwy|Hwy)(?: (?=-?\d)))",
            _before_figures,
        ),
    ),
    *_DATE_RULES,
    *only_with(".", rule(rf"(?<![A-Za-z0-9.])(?i:{any_of(_WITH_DOT)})\.(?!\.)", _abbreviation)),
    rule(rf"(?<![A-Za-z0-9.])(?i:{'|'.join(_WITH_OR_WITHOUT_DOT)})(?!\w)", _abbreviation),
    rule(r"(?<!\d )(?<![\w./])(hr|min|sec|lb)s\.?(?!\w)", lambda match, _: f"{_PLURALS[match[1]]}{full_stop(match)}"),
)
