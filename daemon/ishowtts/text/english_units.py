"""Reading rules of English for quantities with units, such as 450 W/m² and 5-kg bag."""

from __future__ import annotations

import re

from ishowtts.text.english_numbers import bare_number, plural, with_separators
from ishowtts.text.english_words import CURRENCY, ordinal
from ishowtts.text.reading_rules import DASHES, DIGITS, NUMBER, ReadingRule, ToWords, only_with, rule
from ishowtts.text.units import UNITS, Unit, any_of

_DEGREES_CELSIUS, _DEGREES_FAHRENHEIT = UNITS["°C"], UNITS["°F"]
_ALL = UNITS | {"C": _DEGREES_CELSIUS, "F": _DEGREES_FAHRENHEIT}
_LETTERS = ("A", "C", "F", "J", "K", "N")  # units only if the words beside them allow it
_PERIODS = ("day", "week", "month", "year", "hour", "minute", "second", "night", "person", "user")
_DENOMINATORS = {symbol: unit for symbol, unit in UNITS.items() if "/" not in symbol}
_DENOMINATORS |= {word: Unit(word, f"{word}s", "") for word in _PERIODS}
_DENOMINATOR = any_of(_DENOMINATORS)
_COUNT = r"10{1,3}|1\.73"  # per 100 km; per 1.73 m², to which doctors scale
_PER = rf"(?: ?/ ?(?:(?:{_COUNT}) ?)?(?:{_DENOMINATOR})(?!\w)){{0,2}}"
_UNIT = any_of(UNITS)
_LENGTH = "mm|cm|m|km|in|inch|ft|px|µm|nm"
# These are also English words or names, so they are units only after figures.
_WORDS = ("in", "inch", "MP", "deg", "mi", "ha", "pts", "var", "bar", "cal", "lux", "nits", "mol", "ohm", "Torr")
_SAFE = [unit for unit in UNITS if len(unit) > 1 and unit not in _WORDS]
_NUMBER_WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy"
    "|eighty|ninety|hundred|thousand|million|billion|trillion|few|several|many|half"
)
# After these words a figure and a letter are the name of something: team 5 A, iPhone 5C, seat 12 F.
_NAMED = re.compile(
    r"\b(?:team|class|grade|group|room|gate|seats?|row|flat|unit|type|model|block|building|terminal|exit|platform|hall"
    r"|zone|sector|section|level|version|vitamin|hepatitis|bus|line|route|highway|apartment|apt|suite|track|stand|bay"
    r"|door|figure|table|chapter|part|plan|option|iphone|pixel|nokia|galaxy|form|rule|article) $",
    re.IGNORECASE,
)
_MAY_END = re.compile(
    r"[.,;:!?)/]|$| (?:of|at|is|are|was|and|or|to|from|in|on|per|for|with|but|than|above|below|outside|inside|today|now"
    r"|max|peak|fuse|charger|breaker|supply|current|tonight|tomorrow|warmer|colder|higher|lower|while|when|if|after)\b"
)
_MEASURED = re.compile(
    r"\b(?:is|was|shows|at|to|of|below|above|about|around|only|than|by|temp|temperature|reached|outside|minus) $",
    re.IGNORECASE,
)
_CURRENT = re.compile(r"\b(?:fuse|current|draws?|drawing|breaker|load|charges?) (?:of |at |with )?$", re.IGNORECASE)
_INCH_FOLLOWS = re.compile(
    r"[.,;:!?)]|$| (?:wide|tall|long|high|deep|thick|across|by|x|diameter|screen|display|monitor|tablet|TV|pipe|per"
    r"|and|or|of (?:rain|snow|water))\b"
)
_DECADE_BEFORE = re.compile(
    r"\b(?:the|early|late|mid|low|high|his|her|their|my|your|our|upper|lower|roaring) $", re.IGNORECASE
)
_DECADE_FOLLOWS = re.compile(r" (?:music|kids?|party|hits|rock|pop|style|fashion|movies?|film|night|disco|decade)\b")
_MINUTES_BEFORE = re.compile(
    r"\b(?:(?:ETA|timer|uptime|wait|waited|lasts|lasted|took|takes|snooze):? (?:of |for )?"
    r"|(?:back|there|arriv\w{1,4}|leav\w{1,3}|starts?|ready|done|due|ends?|departs?|home|available|expires?) in )$",
    re.IGNORECASE,
)
_MINUTES_FOLLOW = re.compile(r" (?:ago|remaining|late|early|to go|left(?! turn)\b|timer)")
_NETWORK = re.compile(r"[ -](?:network|phone|tower|modem|signal|router|coverage|internet|mobile|band)")
_ELECTRIC = re.compile(r" (?:bulb|led|lamp|light|charger|solar|speaker|power|panel|adapter|heater)", re.IGNORECASE)
_DAYS_BEFORE = re.compile(
    r"\b(?:in|for|every|last|next|ETA|up|uptime|since|expires?|after|within|lasts):? $", re.IGNORECASE
)
_DAYS_FOLLOW = re.compile(r"[.,;:!?)]|$| (?:ago|left|remaining|old|late|early)\b")
# Before these nouns a unit is singular, as in "two 5 V supplies"; before others only after "a", as in "a 5 km run".
_NOUN = re.compile(
    r" (?:fuses?|breakers?|chargers?|suppl(?:y|ies)|adapters?|bulbs?|lamps?|LEDs?|batter(?:y|ies)|cables?|wires?"
    r"|resistors?|walks?|hikes?|bags?|bottles?|packs?|cans?|jars?|screens?|displays?|monitors?|cards?|disks?|drives?|sticks?"
    r"|cameras?|timers?|breaks?|videos?|films?|radius|limits?|zones?|pipes?|ladders?|steaks?)\b"
)
_POINTS = {"N": "north", "S": "south", "E": "east", "W": "west"}


def amount(number: str, unit: Unit, to_words: ToWords, singular: bool = False) -> str:
    """The words of a number and its unit."""
    name = unit.singular if singular or number == "1" else unit.plural
    return f"{bare_number(with_separators(number), to_words)} {name}"


def _measure(match: re.Match[str], to_words: ToWords) -> str:
    number, joint, symbol = match["number"], match["joint"], match["unit"]
    before, after = match.string[max(0, match.start() - 32) : match.start()], match.string[match.end() :]
    if joint == "-" and (symbol in _LETTERS or symbol in ("d", "w", "y", "t", "inch") or after.startswith("-")):
        return match[0]
    if (
        symbol == "s"
        and not joint
        and re.fullmatch("[2-9]0", number)
        and (_DECADE_BEFORE.search(before) or _DECADE_FOLLOWS.match(after))
    ):
        return plural(to_words(number))
    unit = _unit_in_context(number, joint, symbol, before, after)
    if unit is None:
        return match[0]
    after_article = bool(
        re.search(r"(?<!\w)(?:a|an) (?:[\d.,]{1,9} to )?$", before, re.IGNORECASE) and re.match(" [A-Za-z]", after)
    )
    singular = joint == "-" or (not match["per"] and (after_article or bool(_NOUN.match(after))))
    return amount(number, unit, to_words, singular) + _per(match["per"], to_words)


def _unit_in_context(number: str, joint: str, symbol: str, before: str, after: str) -> Unit | None:
    """The unit that the symbol stands for here; `None` if it is no unit."""
    unit, is_unit = _ALL[symbol], True
    if symbol in _LETTERS:
        is_unit = _letter_is_unit(number, joint, symbol, before, after)
    elif symbol == "in":
        is_unit = bool(_INCH_FOLLOWS.match(after)) or (not joint and not after.startswith("-"))
    elif symbol == "g":
        is_unit = not (re.fullmatch("[2-6]", number) and not joint and _NETWORK.match(after))
    elif symbol == "d":
        is_unit = number not in ("2", "3", "4") or bool(_DAYS_BEFORE.search(before) or _DAYS_FOLLOW.match(after))
    elif symbol == "w" and _ELECTRIC.match(after):
        unit = UNITS["W"]
    elif symbol == "m" and not joint and _is_minutes(before, after):
        unit = UNITS["min"]
    elif symbol == "mb" and re.search(r"\b(?:pressure|barometer|baro)\b", before, re.IGNORECASE):
        unit = UNITS["mbar"]
    elif symbol == "bar":
        is_unit = not re.match(" (?:stool|chart|code)", after)
    elif symbol == "ha":
        is_unit = not after.startswith(" ha")
    return unit if is_unit else None


def _is_minutes(before: str, after: str) -> bool:
    """Whether `5m` is five minutes, as in "back in 5m" and "5m ago". Else it is a length."""
    return bool(_MINUTES_BEFORE.search(before) or (_MINUTES_FOLLOW.match(after) and not before.lower().endswith("in ")))


def _letter_is_unit(number: str, joint: str, symbol: str, before: str, after: str) -> bool:
    decimal = "." in number
    if _NAMED.search(before) or re.search("[A-Za-z]-$", before):
        return False
    if symbol == "N" and (not joint or re.match(r",? ?\d{1,3}(?:\.\d{1,6})? ?°? ?[EW]\b| [A-Z]", after)):
        return False
    if symbol == "K" and len(number) == 1:  # a 4K screen
        return bool(joint and _MEASURED.search(before))
    if joint:
        return decimal or bool(_MAY_END.match(after) or (symbol == "A" and _CURRENT.search(before)))
    if symbol in "CF":
        return decimal or len(number) > 1 or bool(_MEASURED.search(before))
    return symbol in "AK" or decimal


def _per(written: str, to_words: ToWords) -> str:
    """The words of `/100 km` or `/kg/day`."""
    words = []
    for part in filter(None, (part.strip() for part in written.split("/"))):
        count, symbol = re.fullmatch(rf"({_COUNT})? ?(.*)", part).groups()  # type: ignore[union-attr]  # every part matches
        unit = _DENOMINATORS[symbol]
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
        return f"{above}/{below} {unit.singular if below == 2 else of}{per if below == 2 else ''}"
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
            r"\.(?=,? [a-z(]|[,;:)]| \d{1,3} ?[a-z])",
            r" \1",
        ),
        rule(
            rf"(?<![\w/.])(?P<whole>\d{{1,4}} )?(?P<above>\d{{1,3}})/(?P<below>[1-9]\d{{0,2}}) ?"
            rf"(?P<unit>{_UNIT})(?P<per>{_PER})(?![\w'])",
            _fraction,
        ),
        rule(
            rf"(?<![\w.,])(?<!\d/)(?P<number>{NUMBER})(?P<joint>[ -]?)(?P<unit>{any_of(_ALL)})(?P<per>{_PER})(?![\w'])",
            _measure,
        ),
    ),
)
