"""Reading rules of English, in the order in which they are applied."""

from __future__ import annotations

import re

from ishowtts.text.capital_words import SPELLED_WELL, SPOKEN_ACRONYMS
from ishowtts.text.dotted_words import DOT_NET
from ishowtts.text.english_abbreviations import ABBREVIATION_RULES
from ishowtts.text.english_codes import CODE_RULES, DOTTED_RULES
from ishowtts.text.english_comparisons import COMPARISON_RULES
from ishowtts.text.english_dates import DATE_RULES, TIME_RULES
from ishowtts.text.english_durations import DURATION_RULES
from ishowtts.text.english_joints import JOINT_RULES, SLASH_RULES
from ishowtts.text.english_money import MONEY_RANGE_RULES, MONEY_RULES
from ishowtts.text.english_names import NAME_RULE
from ishowtts.text.english_numbers import FRACTION_RULES, NUMBER_RULES, bare_number
from ishowtts.text.english_operators import OPERATOR_RULES, RANGE_RULES, SIGN_RULES
from ishowtts.text.english_phones import PHONE_RULES, PHONE_WORD_RULES
from ishowtts.text.english_roman import ROMAN_RULES
from ishowtts.text.english_units import EARLY_UNIT_RULES, UNIT_RULES
from ishowtts.text.english_words import FRACTIONS, SYMBOLS, digit_by_digit
from ishowtts.text.number_formats import Decimal, with_decimal_points
from ishowtts.text.reading_rules import (
    ADDRESS,
    DIGITS,
    MAX_DIGITS,
    NUMBER,
    ReadingRule,
    ToWords,
    apply_rules,
    only_with,
    rule,
)


def english(text: str, to_words: ToWords, decimal: Decimal | None = None) -> str:
    """English text with numbers, units, times, money and symbols in words. What no rule knows stays.

    Args:
        text: Clean text.
        to_words: Reads a number in figures.
        decimal: How `1.234` and `1,234` are meant; `None`: as other numbers of the text show, else as in English.
    """
    text = with_decimal_points(apply_rules(_CODES, text, to_words), decimal)
    return " ".join(apply_rules(_RULES, text, to_words).split())


def _address(match: re.Match[str], _: ToWords) -> str:
    bare = re.sub(r"^https?://", "", match[0]).rstrip("/")
    bare = bare.lower() if bare.isupper() else bare
    spelled = re.sub(r"[^A-Za-z0-9]", lambda symbol: f" {SYMBOLS.get(symbol[0], '')} ", bare)
    return re.sub(r"(?<!\d)0\d+|\d{4,}", lambda figures: f" {digit_by_digit(figures[0])} ", spelled)


# What is not a quantity keeps its own points, commas and blanks.
_CODES: tuple[ReadingRule, ...] = (
    *only_with(".@:/", ReadingRule(ADDRESS, _address)),
    NAME_RULE,
    *PHONE_WORD_RULES,
    *CODE_RULES,
)


def _spelled(match: re.Match[str], _: ToWords) -> str:
    """The letters of an initialism that would be read as a word, such as LED."""
    letters = match[1]
    if letters in SPOKEN_ACRONYMS:
        return match[0].lower()
    if (
        letters in SPELLED_WELL
        or len(set(letters)) == 1
        or not re.search("[AEIOUY]", letters)
        or re.fullmatch("[IVXLCDM]+", letters)
    ):
        return match[0]
    return " ".join(letters) + match[2]


_RULES: tuple[ReadingRule, ...] = (
    *COMPARISON_RULES,
    *JOINT_RULES,
    *DOT_NET,
    *ABBREVIATION_RULES,
    *only_with(
        "+#",
        rule(r"(?<!\w)([A-Za-z]{1,30})\+\+(?!\w)", r"\1 plus plus"),
        rule(r"(?<!\w)([A-Za-z])\+\+(?=\d)", r"\1 plus plus "),
        rule(r"(?<!\w)([CF])#(?!\w)", r"\1 sharp"),
        rule(r"(?<![\w&])#(?=\d)", "number "),
        rule(r"(?<![\w&])#(?=[A-Za-z])", "hashtag "),
    ),
    *only_with(
        "@",
        rule(r"(?<!\w)@ ?(?=[A-Za-z0-9])", "at "),
    ),
    *ROMAN_RULES,
    *only_with(
        "".join(FRACTIONS),
        rule(rf"(?<=\d)([{''.join(FRACTIONS)}])", lambda match, _: f" {FRACTIONS[match[1]]}"),
        rule(rf"[{''.join(FRACTIONS)}]", lambda match, _: FRACTIONS[match[0]]),
    ),
    *only_with(
        "T",
        rule(r"(?<![\w-])(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d)?(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?(?!\w)", r"\1, \2"),
    ),
    *DATE_RULES,
    *PHONE_RULES,
    *DOTTED_RULES,
    *DURATION_RULES,
    *MONEY_RANGE_RULES,
    *EARLY_UNIT_RULES,
    *RANGE_RULES,
    *TIME_RULES,
    *NUMBER_RULES,
    *SIGN_RULES,
    *MONEY_RULES,
    *UNIT_RULES,
    *OPERATOR_RULES,
    *FRACTION_RULES,
    *SLASH_RULES,
    # The rest
    *only_with(
        DIGITS,
        rule(r"(?<![\w.])(\d{1,12}(?:,\d{3}){0,3}(?:st|nd|rd|th))(?!\w)", lambda match, to_words: to_words(match[1])),
        rule(r"(?<!\w)(\d{1,2})(\d\d)p(?!\w)", r"\1 \2 p"),
        ReadingRule(re.compile(r"(?<=[^\W\d_])(?=[0-9])|(?<=[0-9])(?=[^\W\d_])"), " "),
        rule(rf"(?<!\d){NUMBER}(?!\d)", lambda match, to_words: bare_number(match[0], to_words)),
        rule(rf"(?<!\d)\d{{16,{MAX_DIGITS}}}(?!\d)", lambda match, _: digit_by_digit(match[0])),
    ),
    rule(r"(?<![\w'&.$])([A-Z]{2,5})(s?)(?![\w'&]|\.\w)", _spelled),
)
