"""Reading rules of English for quantities with units, such as 450 W/m² and 5-kg bag."""

from __future__ import annotations

import re

from ishowtts.text.english_numbers import bare_number, plural, with_separators
from ishowtts.text.english_unit_context import SYMBOLS_IN_CONTEXT, Place, is_attribute, is_decade, unit_in_context
from ishowtts.text.english_words import CURRENCY, ordinal
from ishowtts.text.reading_rules import DASHES, DIGITS, NUMBER, ReadingRule, ToWords, any_of, only_with, rule
from ishowtts.text.units import UNITS, Unit

_PERIODS = ("day", "week", "month", "year", "hour", "minute", "second", "night", "person", "user")
_DENOMINATORS = {symbol: unit for symbol, unit in UNITS.items() if "/" not in symbol}
_DENOMINATORS |= {word: Unit(word, f"{word}s", "") for word in _PERIODS}
_DENOMINATOR = any_of(_DENOMINATORS)
_COUNT = r"10{1,3}|1\.73"  # per 100 km; per 1.73 m², to which doctors scale
_PER = rf"(?: ?/ ?(?:(?:{_COUNT}) ?)?(?:{_DENOMINATOR}|[a-z]{{4,12}})(?!\w)){{0,2}}"
_UNIT = any_of(UNITS)
_LENGTH = "mm|cm|m|km|in|inch|ft|px|µm|nm"
# These are also English words or names, so they are units only after figures.
_WORDS = ("in", "inch", "MP", "deg", "mi", "ha", "pts", "var", "bar", "cal", "lux", "nits", "mol", "ohm", "Torr")
_SAFE = [unit for unit in UNITS if len(unit) > 1 and unit not in _WORDS]
_NUMBER_WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy"
    "|eighty|ninety|hundred|thousand|million|billion|trillion|few|several|many|half"
)
_POINTS = {"N": "north", "S": "south", "E": "east", "W": "west"}


def amount(number: str, unit: Unit, to_words: ToWords, singular: bool = False) -> str:
    """The words of a number and its unit."""
    name = unit.singular if singular or number == "1" else unit.plural
    return f"{bare_number(with_separators(number), to_words)} {name}"


def _measure(match: re.Match[str], to_words: ToWords) -> str:
    number, joint, symbol = match["number"], match["joint"], match["unit"]
    before, after = match.string[max(0, match.start() - 32) : match.start()], match.string[match.end() :]
    if symbol == "s" and not joint and is_decade(number, before, after):
        return plural(to_words(number))
    unit = unit_in_context(Place(number, joint, symbol, before, after))
    if unit is None:
        return match[0]
    singular = joint == "-" or (not match["per"] and is_attribute(before, after))
    return amount(number, unit, to_words, singular) + _per(match["per"], to_words)


def _per(written: str, to_words: ToWords) -> str:
    """The words of `/100 km` or `/kg/day`."""
    words = []
    for part in filter(None, (part.strip() for part in written.split("/"))):
        count, symbol = re.fullmatch(rf"({_COUNT})? ?(.*)", part).groups()  # type: ignore[union-attr]  # every part matches
        unit = _DENOMINATORS.get(symbol, Unit(symbol, symbol, ""))  # 5 s/step
        words.append(f" per {amount(count, unit, to_words)}" if count else f" per {unit.singular}")
    return "".join(words)


def _rate(match: re.Match[str], to_words: ToWords) -> str:
    return match["what"] + _per(match["per"], to_words)


def _price(match: re.Match[str], to_words: ToWords) -> str:
    word = match["word"]
    return f"{match['what']} per {word}" if word else _rate(match, to_words)


def _fraction(match: re.Match[str], to_words: ToWords) -> str:
    """A fraction of a unit. Those of halves to tenths have words; the others are built of an ordinal number."""
    unit, above, below = UNITS[match["unit"]], int(match["above"]), int(match["below"])
    per = _per(match["per"], to_words)
    if match["whole"] or above >= below:
        return f"{match['whole'] or ''}{above}/{below} {unit.plural}{per}"
    of = f"of {'an' if unit.singular[0] in 'aeiou' or unit.singular == 'hour' else 'a'} {unit.singular}{per}"
    if below <= 10:
        return f"{to_words(f'{above}/{below}')} {unit.singular if below == 2 else of}{per if below == 2 else ''}"
    return f"{to_words(str(above))} {ordinal(below, to_words)}{'s' if above > 1 else ''} {of}"


def _by(match: re.Match[str], _: ToWords) -> str:
    return re.sub(r" ?[x×] ?", " by ", match[0])


def _in_words(match: re.Match[str], to_words: ToWords) -> str:
    unit = UNITS[match["unit"]]
    name = unit.singular if match["count"].lower() in ("one", "per", "half a") else unit.plural
    return f"{match['count']} {name}{_per(match['per'], to_words)}"


EARLY_UNIT_RULES: tuple[ReadingRule, ...] = (
    *only_with(
        "x×",
        rule(rf"(?<![\w.,])({NUMBER} ?(?:{_LENGTH})) ?[x×] ?(?={NUMBER} ?(?:{_LENGTH})(?!\w))", r"\1 by "),
        rule(rf"(?<![\w.,]){NUMBER}(?: ?[x×] ?{NUMBER}){{1,2}}(?= ?(?:{_LENGTH})(?!\w))", _by),
        rule(rf"(?<![\w.,])({NUMBER}) ?[x×] ?(?={NUMBER} ?(?:{_UNIT})(?!\w))", r"\1 times "),
    ),
    *only_with(
        "/",
        rule(
            rf"(?<![\w.,])({NUMBER} ?(?:{_UNIT})) ?/ ?(?!(?:{_COUNT}) ?[A-Za-z])(?={NUMBER} ?(?:{_UNIT})(?!\w))",
            r"\1, ",
        ),
        rule(
            rf"(?P<what>(?:(?:{CURRENCY}) ?{NUMBER}|(?<![\w.,]){NUMBER} ?(?:{CURRENCY}|¢))"
            r"(?: ?(?:k|m|M|mn|bn|thousand|million|billion))?)"
            rf"(?:/(?P<word>[a-z]{{4,12}})(?!\w)|(?P<per> ?/ ?(?:(?:{_COUNT}) ?)?(?:{_DENOMINATOR})(?!\w)))",
            _price,
        ),
        rule(rf"(?P<what>(?<![\w.,]){NUMBER} [a-z]{{3,15}})(?P<per>/(?:{_DENOMINATOR})(?!\w))", _rate),
    ),
    *only_with(
        DASHES + "~",
        rule(rf"(?<![\w.,])({NUMBER} ?(?:{_UNIT}))[-–—~](?=-?{NUMBER} ?(?:{_UNIT})(?!\w))", r"\1 to "),
        rule(
            rf"(?<![\w.,])(?P<what>{NUMBER} ?(?P<unit>{_UNIT})) [-–—~] (?=-?{NUMBER} ?(?P=unit)(?!\w))",
            lambda match, _: f"{match['what']} to ",
        ),
    ),
    # The company, not three million
    *only_with(
        "M", rule(r"(?<![\w.,])3M(?=['’]s\b| (?:Company|tapes?|masks?|respirators?|filters?|stickers?|stock))", "3 M")
    ),
    *only_with("K", rule(r"(?<![\w.,])(\d{4})K(?!\w)", lambda match, words: amount(match[1], UNITS["K"], words))),
)
"""Come before the rules of ranges and money."""

UNIT_RULES: tuple[ReadingRule, ...] = (
    rule(
        rf"(?<![\w-])(?P<count>(?i:{_NUMBER_WORDS}|half a|per))[ -](?P<unit>{any_of(_SAFE)})(?P<per>{_PER})(?![\w'])",
        _in_words,
    ),
    *only_with(
        DIGITS,
        rule(rf"(?<=[\w°%]) ?= ?(?=(?:minus )?{NUMBER} ?(?:{_UNIT})(?!\w))", " equals "),
        rule(rf"(?<![\w.,])({NUMBER}) ?° ?([NSEW])(?!\w)", lambda match, _: f"{match[1]}° {_POINTS[match[2]]}"),
        rule(r"(?<=\d)(?: ?|-)in\.(?=,? [a-z])", " inch"),
        rule(
            r"(?<=\d) ?((?:(?:sq|cu|fl)\.? )?"
            r"(?:ft|in|lbs?|oz|gal|yd|mi|mins?|secs?|hrs?|tsp|tbsp|kg|km|cm|mm|wks?|yrs?))"
            r"\.(?=,? [a-z(]|[,;:)]| &| \d{1,3} ?[a-z])",
            r" \1",
        ),
        rule(
            rf"(?<![\w/.])(?P<whole>\d{{1,4}} )?(?P<above>\d{{1,3}})/(?P<below>[1-9]\d{{0,2}}) ?"
            rf"(?P<unit>{_UNIT})(?P<per>{_PER})(?![\w'])",
            _fraction,
        ),
        rule(
            rf"(?<![\w.,])(?<!\d/)(?P<number>{NUMBER})(?P<joint>[ -]?)(?P<unit>{any_of(SYMBOLS_IN_CONTEXT)})"
            rf"(?P<per>{_PER})(?![\w'])",
            _measure,
        ),
    ),
)
