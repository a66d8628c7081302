"""Reading rules of English for ranges, signs before numbers and operators."""

from __future__ import annotations

import re
import unicodedata

from ishowtts.text.english_dates import CLOCK
from ishowtts.text.english_words import CURRENCY, MATH_SYMBOLS
from ishowtts.text.reading_rules import DASHES, DIGITS, NUMBER, ReadingRule, ToWords, only_with, rule

_RANGE_WORDS = (
    "pages|from|between|chapters|ages?|aged|lines|rooms|seats|open|hours|days|about|over|weeks|months|years|only|levels|"
    "items|steps|questions|mon|tue|wed|thu|fri|sat|sun"
)
_LABEL = re.compile(rf"(?<![A-Za-z])(?!(?i:{_RANGE_WORDS})\b)[A-Z][A-Za-z]{{0,20}} $")
_GAME = re.compile(
    r"(?i:\b(?:won|wins?|lost|loses?|beats?|scored?|leads?|led|drew|draw|tied|game|match|final|ended)\b)"
)
_SUM = re.compile(r"(?i:\b(?:what is|what's|calculate|compute|solve|equals|result of|minus|plus)(?: |: ?)$)")
_ZONES = "GMT|UTC|CET|CEST|EST|EDT|CST|PST|PDT|BST|IST"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_NEGATIVE_AFTER = r"(?=\d{1,9}(?:\.\d{1,9})? ?(?:°|degrees?\b|%|percent\b))"


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _spaced(match: re.Match[str], _: ToWords) -> str:
    """Two numbers with a dash and blanks between them: a range, a difference, or a pause that stays."""
    first, unit, second = match["first"], match["unit"] or "", match["second"]
    before, after = match.string[max(0, match.start() - 40) : match.start()], match.string[match.end() :]
    if unit and not after.lstrip().startswith(unit.strip()):
        return match[0]
    is_range = _value(first) < _value(second) or second.startswith("-") or _GAME.search(before)
    if is_range and not _LABEL.search(before):
        return f"{first}{unit} to {second}"
    is_alone = not before.strip() and not after.strip(" .!?")
    if is_alone or _SUM.search(before):
        return f"{first} minus {second}"
    return match[0]


def _points(match: re.Match[str], _: ToWords) -> str:
    """`-5...+3`, unlike `3...2...1`."""
    is_range = _value(match["first"]) < _value(match["second"])
    return f"{match['first']}{match['unit'] or ''} to {match['second']}" if is_range else match[0]


def _two_hyphens(match: re.Match[str], _: ToWords) -> str:
    """`5--10` is a range of a typesetter; in `-5--3` the second hyphen is a minus."""
    sign = "" if not match[1].startswith("-") and _value(match[1]) < _value(match[2]) else "-"
    return f"{match[1]} to {sign}{match[2]}"


def _zone(match: re.Match[str], _: ToWords) -> str:
    sign = "plus" if match[2] == "+" else "minus"
    minutes = f" {match[4]}" if match[4] and match[4] != "00" else ""
    return f"{' '.join(match[1])} {sign} {int(match[3])}{minutes}"


def _power(match: re.Match[str], _: ToWords) -> str:
    figures = match[0].translate(_SUPERSCRIPTS)
    if figures in ("2", "3"):
        return {"2": " squared", "3": " cubed"}[figures]
    sign = {"-": "minus ", "+": ""}.get(figures[0], "")
    return f" to the power of {sign}{figures.strip('+-')}"


def _greek_letter(match: re.Match[str], _: ToWords) -> str:
    """The name of a single Greek letter, such as pi."""
    name = unicodedata.name(match[0], "").split(" WITH ")[0].split()
    return f" {name[-1].lower()} " if name[:1] in (["GREEK"], ["MICRO"]) and name[-1] != "SIGN" else match[0]


_UNIT = rf"(?:%|°[CF]?|[A-Za-z]{{1,3}}|{CURRENCY})"
_NUMBERS_WITH_BLANKS = rf"(?<![\w.,-])(?P<first>-?{NUMBER})(?P<unit> ?{_UNIT})? [-–—] (?P<second>[+-]?{NUMBER})(?![:/])"
_NUMBERS_WITH_POINTS = (
    rf"(?<![\w.,-])(?<!\.\.\.)(?P<first>-?{NUMBER})(?P<unit> ?{_UNIT})?(?:…|\.{{2,3}})(?P<second>[+-]?{NUMBER})"
    r"(?!\.\.|…)"
)
_NUMBERS = (
    rf"(?<![\w.-])(-?(?:{CURRENCY})?{NUMBER}(?:%|°[CF]?|{CURRENCY}|[A-Za-z]{{1,3}})?)[-–—~～](?=-?(?:{CURRENCY})?\d)"
)
RANGE_RULES = (
    *only_with("+", rule(r"\+ ?/ ?-(?= ?\d)|\+-(?=\d)", "±")),
    *only_with(
        "eE",
        rule(
            rf"(?<![\w.,])({NUMBER})[eE]([+-]?)(\d{{1,3}})(?!\w)",
            lambda match, _: f"{match[1]} times 10 to the power of {'minus ' * (match[2] == '-')}{match[3]}",
        ),
    ),
    *only_with("TC", rule(rf"(?<!\w)({_ZONES}) ?([+-]) ?(\d{{1,2}})(?::?(\d\d))?(?![\w:])", _zone)),
    *only_with("/", rule(rf"(?<![\w/.])({NUMBER}) ?/ ?(?={NUMBER} ?=)", r"\1 divided by ")),
    *only_with("….", rule(_NUMBERS_WITH_POINTS, _points)),
    *only_with(
        DASHES,
        rule(r"(?<!\w)T-(?=\d{1,4} (?:seconds?|minutes?|hours?|days?|s|min|h)\b)", "T minus "),
        rule(rf"(?<![\w.-])({NUMBER}) ?- ?(?={NUMBER} ?=)", r"\1 minus "),
        rule(rf"({CLOCK}|(?<!\d)\d{{1,2}}:\d\d) ?[-–—] ?(?=\d{{1,2}}(?::\d\d| ?[ap]\.?m))", r"\1 to "),
        rule(r"(?<![\w)\]:.-])-(?=\d{1,2}:\d\d(?!\d))", "minus "),
        rule(_NUMBERS_WITH_BLANKS, _spaced),
        rule(rf"(?<![\w.,-])(-?{NUMBER})--({NUMBER})", _two_hyphens),
    ),
    *only_with(
        DASHES + "~～〜",
        rule(_NUMBERS, r"\1 to "),
        rule(rf"(?<![\w.-])({NUMBER}) ?[~～〜] ?(?=\d)", r"\1 to "),
    ),
    *only_with(
        "Bb",
        rule(
            rf"(?<!\w)((?i:between) (?:{CURRENCY})?-?{NUMBER}(?::\d\d)?(?: ?{_UNIT})?) to (?=-?(?:{CURRENCY})?\d)",
            r"\1 and ",
        ),
    ),
)

SIGN_RULES = (
    *only_with(
        DASHES,
        rule(rf"(?<![A-Za-z0-9)\]])-(?=\.?\d|{CURRENCY})", "minus "),
        rule(
            r"(?<!\w)((?i:is|was|are|were|at|to|from|below|above|reached|reads|shows|than|between|and|it's) )[-–—] "
            + _NEGATIVE_AFTER,
            r"\1minus ",
        ),
        rule(rf"(?:^|(?<=[(:=])|(?<=[:=] ))[-–—] {_NEGATIVE_AFTER}", "minus "),
        rule(r"(?<=[=(<>])( ?)[-–—] (?=\d)", r"\1minus "),
    ),
    *only_with(".", rule(r"(?<![\w).])\.(?=\d)", "0.")),
    *only_with("~～〜", rule(r"(?<!\w)[~～〜] ?(?=\d|minus \d|[$€£])", "about ")),
    *only_with("+", rule(rf"(?<![\w)])\+(?=\d|{CURRENCY})", "plus ")),
)

_GREEK = "ϕ" + "".join(chr(code) for code in range(0x391, 0x3CA))
_BEFORE = r"(?<=[\w)²³%])"
_LETTER = r"[b-hj-z]"
OPERATOR_RULES: tuple[ReadingRule, ...] = (
    *only_with(
        DIGITS,
        rule(
            rf"(?<![\w.,])(?!0x)({NUMBER}) ?[x×*] ?(?=\d)",
            lambda match, _: f"{match[1]} {'by' if len(match[1]) > 2 else 'times'} ",
        ),
        rule(rf"(?<![\w.,])({NUMBER})[x×](?!\w)", r"\1 times"),
        rule(r"(?<![\w-])[x×](?!86(?!\d)|64(?!\d)|32(?!\d))(?=(?:\d{1,2}|10{2,3})(?!\w))", "times "),
        rule(r"(?<=[a-z]) [x×] (?=\d{1,4}(?!\w))", " times "),
    ),
    *only_with(
        "^",
        rule(r"(?<=\w)\^(?=-?\w)-?", lambda match, _: " to the power of " + "minus " * match[0].endswith("-")),
    ),
    *only_with(
        "⁰¹²³⁴⁵⁶⁷⁸⁹",
        rule(r"(?:(?<=[\d)])|(?<=(?<!\w)[A-Za-z]))[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,6}", _power),
        rule(r"(?<=[\w)])²", " squared"),
        rule(r"(?<=[\w)])³", " cubed"),
    ),
    # A grade, and a name or an age with a plus
    *only_with(
        DASHES,
        rule(r"(?<!\w)((?i:an?|grade|got|of|with) [A-F])-(?=[\s.,!?;)]|$)", r"\1 minus"),
    ),
    *only_with(
        "+",
        rule(rf"{_BEFORE} ?\+ ?(?=[\d(√])|{_BEFORE} \+ (?=\w|minus )", " plus "),
        rule(r"(?<!\w)([A-Za-z])\+(?=[A-Za-z](?!\w))", r"\1 plus "),
        rule(r"(?<=\w)\+(?=[\s.,!?;:)]|$)", " plus"),
    ),
    *only_with(
        DASHES,
        rule(
            rf"(?<!\w)({_LETTER}(?: squared| cubed)?|a) [-–] (?={_LETTER}(?: squared| cubed)?(?: ?[=+*/),.;!?-]|$))",
            r"\1 minus ",
        ),
        rule(rf"{_BEFORE} [-–] (?=\d{{1,9}} ?=)", " minus "),
    ),
    *only_with(
        "*",
        rule(r"(?<!\w)([a-z]) \* (?=[a-z](?!\w)|\d)", r"\1 times "),
    ),
    *only_with(
        "=",
        rule(
            r"(?<=[\w)%]) ?==? ?(?=\d|minus \d|√)|(?<=[\d)]) ?==? ?(?=[\w-])|(?<=[\w%]) ==? (?=\w|\()|(?<=\w)=(?=\w)",
            " equals ",
        ),
    ),
    # Without anything before them these are no verbs
    *only_with(
        "≈≃≅≥≤",
        rule(r"(?:(?<=^)|(?<=[(\[,;:–—]))( ?)[≈≃≅] ?(?=\w)", r"\1about "),
        rule(r"(?:(?<=^)|(?<=[(\[,;:–—]))( ?)≥ ?(?=\w)", r"\1at least "),
        rule(r"(?:(?<=^)|(?<=[(\[,;:–—]))( ?)≤ ?(?=\w)", r"\1at most "),
    ),
    *only_with("".join(MATH_SYMBOLS), *(rule(symbol, f" {words} ") for symbol, words in MATH_SYMBOLS.items())),
    *only_with(
        "→⇒➔➜⟶>",
        rule(r"(?<=[\w%)]) ?(?:→|⇒|➔|➜|⟶) ?(?=[\w(])|(?<=\w) (?:->|=>|-->) (?=\w)", " to "),
    ),
    *only_with(
        "№§º°˚",
        rule(r"(?:№|(?<!\w)[Nn][º°˚]\.?) ?(?=\d)", "number "),
        rule(r"§§ ?(?=\d)", "sections "),
        rule(r"§ ?(?=\d)", "section "),
    ),
    *only_with(
        "&",
        rule(r"(?<=[\w.)]) ?&{1,2} ?(?=\w)", " and "),
    ),
    *only_with("★", rule(r"(?<=\d) ?★", " star")),
    *only_with(
        _GREEK,
        ReadingRule(
            re.compile(r"(?<![\u0370-\u03ff\u1f00-\u1fff])[α-ωΑ-Ωϕ](?![\u0370-\u03ff\u1f00-\u1fff])"), _greek_letter
        ),
    ),
)
