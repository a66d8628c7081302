"""Reading rules of English, in the order in which they are applied."""

from __future__ import annotations

import re

from ishowtts.text.capital_words import SPELLED_WELL
from ishowtts.text.english_comparisons import COMPARISON_RULES
from ishowtts.text.english_dates import CLOCK, DATE_RULES, TIME_RULES
from ishowtts.text.english_names import NAME_RULE
from ishowtts.text.english_words import (
    ABBREVIATIONS,
    ATTACHED_UNITS,
    BEFORE_NUMBERS,
    CURRENCIES,
    CURRENCY,
    FRACTIONS,
    MATH_SYMBOLS,
    MULTIPLES,
    PER,
    ROMAN,
    SPACED_UNITS,
    SYMBOLS,
    TITLES,
    UNITS,
    digit_by_digit,
)
from ishowtts.text.reading_rules import ADDRESS, MAX_DIGITS, NUMBER, ReadingRule, ToWords, apply_rules, rule

_MULTIPLE = r"(?: ?(?P<multiple>thousand|million|billion|trillion|mn|bn|[KkMB])(?!\w))?"
_PLACE = "seats?|gate|row|room|platform|track|stand|bay|flat|apartment|unit|bus|line|door|building|hall|terminal"
_YEAR_LIKE = re.compile(r"1[1-9]\d\d|20\d\d")  # 1500 people may also be fifteen hundred


def english(text: str, to_words: ToWords) -> str:
    """English text with numbers, units, times, money and symbols in words. What no rule knows stays."""
    return " ".join(apply_rules(_RULES, text, to_words).split())


def _with_separators(number: str) -> str:
    """The number with a comma before its thousands, so that it is not read as a year."""
    whole, dot, rest = number.replace(",", "").partition(".")
    return f"{int(whole):,}{dot}{rest}" if len(whole) == 4 and whole[0] != "0" else number


def _address(match: re.Match[str], _: ToWords) -> str:
    bare = re.sub(r"^https?://", "", match[0]).rstrip("/")
    spelled = re.sub(r"[^A-Za-z0-9]", lambda symbol: f" {SYMBOLS.get(symbol[0], '')} ", bare)
    return re.sub(r"(?<!\d)0\d+|\d{4,}", lambda figures: digit_by_digit(figures[0]), spelled)


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


def _money(match: re.Match[str], to_words: ToWords) -> str:
    singular, plural, cent, cents = CURRENCIES[match["currency"]]
    number, multiple = match["number"].replace(",", ""), match["multiple"]
    if multiple:
        return f"{_bare_number(number, to_words)} {MULTIPLES.get(multiple, multiple)} {plural}"
    whole, _, rest = number.partition(".")
    if len(rest) != 2 or not cent:
        return f"{_bare_number(number, to_words)} {singular if number == '1' else plural}"
    amounts = []
    if int(whole) or not int(rest):
        amounts.append(f"{_bare_number(_with_separators(whole), to_words)} {singular if int(whole) == 1 else plural}")
    if int(rest):
        amounts.append(f"{to_words(str(int(rest)))} {cent if int(rest) == 1 else cents}")
    return " and ".join(amounts)


def _decimal_comma(match: re.Match[str], _: ToWords) -> str:
    return match[0].replace(",", ".")


def _measure(match: re.Match[str], to_words: ToWords) -> str:
    singular, plural = UNITS[match["unit"]]
    per = f" per {PER[match['per']]}" if match["per"] else ""
    number = match["number"]
    return f"{_bare_number(_with_separators(number), to_words)} {singular if number == '1' else plural}{per}"


def _fraction(match: re.Match[str], to_words: ToWords) -> str:
    above, below = int(match["above"]), int(match["below"])
    if below == 0:
        return match[0]
    if above < below <= 10 or (match["whole"] and above < below):
        return to_words(match[0])
    if above == below == 10:
        return "ten out of ten"
    joint = " over " if max(above, below) > 99 else " "
    whole = f"{match['whole']} " if match["whole"] else ""
    return f"{whole}{to_words(str(above))}{joint}{to_words(str(below))}"


def _decade(match: re.Match[str], to_words: ToWords) -> str:
    century, tens = match["century"], match["tens"]
    if tens == "0":
        return (
            f"{to_words(century)} hundreds" if century[-1] != "0" else f"{to_words(str(int(century) // 10))} thousands"
        )
    return f"{to_words(century)} {_plural(to_words(f'{tens}0'))}"


def _plural(number: str) -> str:
    """The plural of a number in words, as in the under-16s and the 20s."""
    return f"{number[:-1]}ies" if number.endswith("y") else f"{number}{'es' if number.endswith('x') else 's'}"


def _remaining_number(match: re.Match[str], to_words: ToWords) -> str:
    return _bare_number(match[0], to_words)


def _bare_number(number: str, to_words: ToWords) -> str:
    """The words of a number that stands alone."""
    whole, dot, rest = number.partition(".")
    if len(whole.replace(",", "")) > 12 or (len(whole) > 1 and whole[0] == "0"):
        words = digit_by_digit(whole)
    else:
        words = to_words(whole if _YEAR_LIKE.fullmatch(number) else _with_separators(whole))
    if words.startswith(("thousand", "million", "billion")):
        words = f"one {words}"
    return f"{words} point {digit_by_digit(rest)}" if dot else words


def _spelled(match: re.Match[str], _: ToWords) -> str:
    """The letters of an initialism that would be read as a word, such as LED."""
    letters = match[1]
    if letters in SPELLED_WELL or not re.search("[AEIOUY]", letters) or re.fullmatch("[IVXLCDM]+", letters):
        return match[0]
    return " ".join(letters) + match[2]


_RULES: tuple[ReadingRule, ...] = (
    ReadingRule(ADDRESS, _address),
    NAME_RULE,
    *COMPARISON_RULES,
    *(rule(rf"(?<![A-Za-z0-9]){form}(?!\w)", words) for form, words in ABBREVIATIONS.items()),
    *(rule(rf"(?<!\w){re.escape(form)}(?= (?:[A-Z]|and M|& M))", words) for form, words in TITLES.items()),
    *(rule(rf"(?<!\w){re.escape(form)} ?(?=\d)", f"{words} ") for form, words in BEFORE_NUMBERS.items()),
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
    *DATE_RULES,
    # Numbers that are not quantities
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
    # Ranges and differences
    rule(rf"(?<![\w.-])({NUMBER}) ?- ?(?={NUMBER} ?=)", r"\1 minus "),
    rule(rf"({CLOCK}|(?<!\d)\d{{1,2}}:\d\d) ?[-–—] ?(?=\d{{1,2}}(?::\d\d| ?[ap]\.?m))", r"\1 to "),
    rule(
        rf"(?<![\w.-])((?:{CURRENCY})?{NUMBER}(?:%|°[CF]?|[A-Za-z]{{1,3}})?)(?:-| ?[–—~] ?)(?=(?:{CURRENCY})?\d)",
        r"\1 to ",
    ),
    *TIME_RULES,
    # Quantities. With euros a comma stands before the cents. Decades come first: the s of 1990s is not seconds.
    rule(r"(?<![\w.,])(\d{1,9}),(\d\d)(?= ?€)|(?<=€)( ?\d{1,9}),(\d\d)(?![\d,])", _decimal_comma),
    rule(r"(?<![\w.,])(\d{2,3}|\d{1,3}\.\d{1,2})[Kk](?!\w)", r"\1 thousand"),
    rule(rf"(?<!\w)({_PLACE}) (\d{{1,4}})A(?!\w)", r"\1 \2 A", re.IGNORECASE),  # a seat, not amperes
    rule(r"(?<=[A-Za-z]-)([1-9]\d)s(?!\w)", lambda match, to_words: _plural(to_words(match[1]))),
    rule(r"(?<!\w)(?P<century>[1-9]\d)(?P<tens>\d)0s(?!\w)", _decade),
    rule(r"(?:(?<=[Tt]he )|(?<!\w)['’])([2-9]0)s(?!\w)", lambda match, to_words: _plural(to_words(match[1]))),
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
    rule(rf"(?<![\w.,])(?P<number>{NUMBER}) ?¢", lambda match, to_words: f"{to_words(match['number'])} cents"),
    rule(
        rf"(?<![\w.,])(?P<number>{NUMBER})(?: ?(?P<unit>{SPACED_UNITS}))(?:/(?P<per>{'|'.join(PER)}))?(?![\w'])",
        _measure,
    ),
    rule(
        rf"(?<![\w.,])(?P<number>{NUMBER})(?P<unit>{ATTACHED_UNITS})(?:/(?P<per>{'|'.join(PER)}))?(?![\w'])", _measure
    ),
    # Symbols
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
    *(rule(symbol, f" {words} ") for symbol, words in MATH_SYMBOLS.items()),
    rule(r"(?<=\w) ?& ?(?=\w)", " and "),
    rule(r"(?<![\w/.])(?:(?P<whole>\d{1,4}) )?(?P<above>\d{1,3})/(?P<below>\d{1,3})(?![\w/]|\.\d)", _fraction),
    # The rest
    rule(r"(?<![\w.])(\d{1,12}(?:,\d{3}){0,3}(?:st|nd|rd|th))(?!\w)", lambda match, to_words: to_words(match[1])),
    rule(r"(?<!\w)(\d{1,2})(\d\d)p(?!\w)", r"\1 \2 p"),
    ReadingRule(re.compile(r"(?<=[^\W\d_])(?=[0-9])|(?<=[0-9])(?=[^\W\d_])"), " "),
    rule(rf"(?<!\d){NUMBER}(?!\d)", _remaining_number),
    rule(rf"(?<!\d)\d{{16,{MAX_DIGITS}}}(?!\d)", lambda match, _: digit_by_digit(match[0])),
    rule(r"(?<![\w'&.$])([A-Z]{2,5})(s?)(?![\w'&]|\.\w)", _spelled),
)
