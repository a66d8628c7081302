"""Reading rules of English for ranges, signs before numbers and operators."""

from __future__ import annotations

from ishowtts.text.english_dates import CLOCK
from ishowtts.text.english_words import CURRENCY, MATH_SYMBOLS
from ishowtts.text.reading_rules import NUMBER, ReadingRule, rule

RANGE_RULES: tuple[ReadingRule, ...] = (
    rule(rf"(?<![\w.-])({NUMBER}) ?- ?(?={NUMBER} ?=)", r"\1 minus "),
    rule(rf"({CLOCK}|(?<!\d)\d{{1,2}}:\d\d) ?[-–—] ?(?=\d{{1,2}}(?::\d\d| ?[ap]\.?m))", r"\1 to "),
    rule(
        rf"(?<![\w.-])((?:{CURRENCY})?{NUMBER}(?:%|°[CF]?|[A-Za-z]{{1,3}})?)(?:-| ?[–—~] ?)(?=(?:{CURRENCY})?\d)",
        r"\1 to ",
    ),
)

SIGN_RULES: tuple[ReadingRule, ...] = (
    rule(r"(?<![\w)\]])-(?=\.?\d|[$€£¥₹])", "minus "),
    rule(r"(?<![\w).])\.(?=\d)", "0."),
    rule(r"(?<!\w)~ ?(?=\d)", "about "),
    rule(r"(?<![\w)])\+(?=\d)", "plus "),
)

OPERATOR_RULES: tuple[ReadingRule, ...] = (
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
    *(rule(symbol, f" {words} ") for symbol, words in MATH_SYMBOLS.items()),
    rule(r"(?<=\w) ?& ?(?=\w)", " and "),
)
