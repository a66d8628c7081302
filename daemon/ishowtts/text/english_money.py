"""Reading rules of English amounts of money."""

from __future__ import annotations

import re

from ishowtts.text.english_numbers import bare_number, with_separators
from ishowtts.text.english_words import CURRENCIES, CURRENCY, MULTIPLES
from ishowtts.text.reading_rules import NUMBER, ReadingRule, ToWords, rule

_MULTIPLE = r"(?: ?(?P<multiple>thousand|million|billion|trillion|mn|bn|[KkMB])(?!\w))?"


def _money(match: re.Match[str], to_words: ToWords) -> str:
    singular, plural, cent, cents = CURRENCIES[match["currency"]]
    number, multiple = match["number"].replace(",", ""), match["multiple"]
    if multiple:
        return f"{bare_number(number, to_words)} {MULTIPLES.get(multiple, multiple)} {plural}"
    whole, _, rest = number.partition(".")
    if len(rest) != 2 or not cent:
        return f"{bare_number(number, to_words)} {singular if number == '1' else plural}"
    amounts = []
    if int(whole) or not int(rest):
        amounts.append(f"{bare_number(with_separators(whole), to_words)} {singular if int(whole) == 1 else plural}")
    if int(rest):
        amounts.append(f"{to_words(str(int(rest)))} {cent if int(rest) == 1 else cents}")
    return " and ".join(amounts)


def _decimal_comma(match: re.Match[str], _: ToWords) -> str:
    return match[0].replace(",", ".")


# With euros a comma stands before the cents.
DECIMAL_COMMA_RULES: tuple[ReadingRule, ...] = (
    rule(r"(?<![\w.,])(\d{1,9}),(\d\d)(?= ?€)|(?<=€)( ?\d{1,9}),(\d\d)(?![\d,])", _decimal_comma),
)

MONEY_RULES: tuple[ReadingRule, ...] = (
    rule(
        rf"(?<!\w)(?P<currency>{CURRENCY}) ?(?P<number>{NUMBER}){_MULTIPLE}",
        _money,
    ),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER}) ?(?P<currency>{CURRENCY})(?P<multiple>)(?!\w)", _money),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER}) ?¢", lambda match, to_words: f"{to_words(match['number'])} cents"),
)
