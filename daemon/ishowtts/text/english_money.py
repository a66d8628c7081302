"""Reading rules of English amounts of money."""

from __future__ import annotations

import re

from ishowtts.text.english_numbers import bare_number, with_separators
from ishowtts.text.english_words import CURRENCIES, CURRENCY
from ishowtts.text.reading_rules import DIGITS, NUMBER, ToWords, only_with, rule
from ishowtts.text.units import UNITS

_MULTIPLES = {
    "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion", "lakh": "lakh",
    "crore": "crore", "k": "thousand", "tsd": "thousand", "m": "million", "mn": "million", "mln": "million",
    "mio": "million", "mil": "million", "b": "billion", "bn": "billion", "bln": "billion", "mrd": "billion",
    "t": "trillion", "tn": "trillion", "trn": "trillion",
}  # fmt: skip
_MULTIPLE = (
    r"(?: ?(?P<multiple>thousand|million|billion|trillion|lakh|crore|[Mm]io|[Mm]rd|[Tt]sd|mil|ml?n|bl?n|trn|tn|[KkMmB])"
    r"(?:(?<=[Mm]io)\.|(?<=[Mm]rd)\.|(?<=[Tt]sd)\.)?(?!\w)|(?P<letter>[bT])(?!\w))?"
)
_EACH = {symbol: unit.singular for symbol, unit in UNITS.items()} | {"a": "year", "pc": "piece", "p": "person"}
_BILL = re.compile(r" (?:bill|note|coin|voucher|gift card|coupon|fine|fee|deposit|discount|ticket)s?\b")
_PER = r"(?:/(?P<each>m²|m³|[A-Za-z]{1,9}[23]?)(?![\w/]))?"


def _money(match: re.Match[str], to_words: ToWords) -> str:
    singular, plural, cent, cents = CURRENCIES[match["currency"]]
    number, each = match["number"].replace(",", ""), match["each"]
    multiple = match["multiple"] or match["letter"]
    if _BILL.match(match.string, match.end()):
        plural, cent, cents = singular, "", ""
    per = f" per {_EACH.get(each, each)}" if each else ""
    if multiple:
        return f"{bare_number(number, to_words)} {_MULTIPLES[multiple.lower()]} {plural}{per}"
    whole, _, rest = number.partition(".")
    if len(rest) != 2 or not cent:
        return f"{bare_number(with_separators(number), to_words)} {singular if number == '1' else plural}{per}"
    amounts = []
    if int(whole) or not int(rest):
        amounts.append(f"{bare_number(with_separators(whole), to_words)} {singular if int(whole) == 1 else plural}")
    if int(rest):
        amounts.append(f"{to_words(str(int(rest)))} {cent if int(rest) == 1 else cents}")
    return " and ".join(amounts) + per


def _range(match: re.Match[str], _: ToWords) -> str:
    """`$5-10`: the currency is said once, after both."""
    multiple = f" {_MULTIPLES[match['multiple'].lower()]}" if match["multiple"] else ""
    return f"{match['first']}{multiple} to {match['currency']}"


def _two_amounts(match: re.Match[str], _: ToWords) -> str:
    """`$1-$2M`: both are millions."""
    return f"{match['first']}{match['own'] or match['multiple'] or ''} to "


def _large(match: re.Match[str], _: ToWords) -> str:
    return f"{match[1]} {_MULTIPLES[match[2].lower()]}"


MONEY_RANGE_RULES = only_with(
    DIGITS,
    rule(r"(?<!\w)Rs\.? ?(?=\d)", "₹"),
    rule(r"(?<=\d) ?Rs(?!\w)", "₹"),
    rule(r"(?<!\w)(?:kr|Kr)\.? ?(?=\d)", "kr "),
    rule(
        rf"(?<![\w.])(?P<currency>{CURRENCY}) ?(?P<first>{NUMBER})(?P<multiple>[KkMmB]|bn|mn)? ?[-–—] ?(?={NUMBER})",
        _range,
    ),
    rule(
        rf"(?<![\w.])(?P<first>(?:{CURRENCY}) ?{NUMBER})(?P<own>[KkMmB]|bn|mn)? ?[-–—] ?"
        rf"(?=(?:{CURRENCY}) ?{NUMBER}(?P<multiple>[KkMmB](?!\w)|bn|mn)?)",
        _two_amounts,
    ),
    rule(rf"(?<![\w.])({CURRENCY}) ?-(?=\d)", r"-\1"),
    # Accountants write the minus last
    rule(rf"(?<![\w.-])((?:{CURRENCY}) ?\d{{1,3}}(?:,\d{{3}}){{0,4}}\.\d\d)-(?=$|[ .;)](?! ?[\d$€£]))", r"-\1"),
    rule(r"(?<=\d) ?S?Fr\.(?= |$)", " CHF"),
)

MONEY_RULES = only_with(
    DIGITS,
    rule(rf"(?<![\w/])(?P<currency>{CURRENCY}) ?(?P<number>{NUMBER}){_MULTIPLE}{_PER}", _money),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER}){_MULTIPLE} ?(?P<currency>{CURRENCY})(?!\w){_PER}", _money),
    rule(
        rf"(?<![\w.,])({NUMBER}) ?¢",
        lambda match, to_words: f"{to_words(match[1])} {'cent' if match[1] == '1' else 'cents'}",
    ),
    rule(rf"(?<![\w.,])({NUMBER}) ?(Mio|Mrd|Tsd|mio|mrd|ml?n|bl?n|trn|tn)\b\.?(?! ?[A-Z]\.)", _large),
)
