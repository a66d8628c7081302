"""Reading rules of English numbers: cardinal numbers, decades, fractions and short forms of thousands."""

from __future__ import annotations

import re

from ishowtts.text.english_words import digit_by_digit
from ishowtts.text.reading_rules import NUMBER, ReadingRule, ToWords, rule

_PLACE = "seats?|gate|row|room|platform|track|stand|bay|flat|apartment|unit|bus|line|door|building|hall|terminal"
_YEAR_LIKE = re.compile(r"1[1-9]\d\d|20\d\d")  # 1500 people may also be fifteen hundred


def bare_number(number: str, to_words: ToWords) -> str:
    """The words of a number that stands alone."""
    whole, dot, rest = number.partition(".")
    if len(whole.replace(",", "")) > 12 or (len(whole) > 1 and whole[0] == "0"):
        words = digit_by_digit(whole)
    else:
        words = to_words(whole if _YEAR_LIKE.fullmatch(number) else with_separators(whole))
    if words.startswith(("thousand", "million", "billion")):
        words = f"one {words}"
    return f"{words} point {digit_by_digit(rest)}" if dot else words


def with_separators(number: str) -> str:
    """The number with a comma before its thousands, so that it is not read as a year."""
    whole, dot, rest = number.replace(",", "").partition(".")
    return f"{int(whole):,}{dot}{rest}" if len(whole) == 4 and whole[0] != "0" else number


def plural(number: str) -> str:
    """The plural of a number in words, as in the under-16s and the 20s."""
    return f"{number[:-1]}ies" if number.endswith("y") else f"{number}{'es' if number.endswith('x') else 's'}"


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
    return f"{to_words(century)} {plural(to_words(f'{tens}0'))}"


# Decades come first: the s of 1990s is not seconds.
NUMBER_RULES: tuple[ReadingRule, ...] = (
    rule(r"(?<![\w.,])(\d{2,3}|\d{1,3}\.\d{1,2})[Kk](?!\w)", r"\1 thousand"),
    rule(rf"(?<!\w)({_PLACE}) (\d{{1,4}})A(?!\w)", r"\1 \2 A", re.IGNORECASE),  # a seat, not amperes
    rule(r"(?<=[A-Za-z]-)([1-9]\d)s(?!\w)", lambda match, to_words: plural(to_words(match[1]))),
    rule(r"(?<!\w)(?P<century>[1-9]\d)(?P<tens>\d)0s(?!\w)", _decade),
    rule(r"(?:(?<=[Tt]he )|(?<!\w)['’])([2-9]0)s(?!\w)", lambda match, to_words: plural(to_words(match[1]))),
    rule(r"(?<![\w.,])(\d{1,3}(?: 000){1,4})(?!\w|[.,]\d)", lambda match, _: f"{int(match[1].replace(' ', '')):,}"),
    rule(
        rf"(?<![\w.,])(?P<number>{NUMBER})' ?(?P<inches>\d{{1,2}})(?:''|\"|″)",
        lambda match, _: f"{match['number']} foot {match['inches']}",
    ),
)

FRACTION_RULES: tuple[ReadingRule, ...] = (
    rule(r"(?<![\w/.])(?:(?P<whole>\d{1,4}) )?(?P<above>\d{1,3})/(?P<below>\d{1,3})(?![\w/]|\.\d)", _fraction),
)
