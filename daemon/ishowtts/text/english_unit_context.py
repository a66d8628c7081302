"""Tells from the words beside a number whether the letters after it are a unit, and which one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.text.units import UNITS, Unit

SYMBOLS_IN_CONTEXT = UNITS | {"C": UNITS["°C"], "F": UNITS["°F"], "v": UNITS["V"]}
"""All symbols, and letters that are one only beside some words."""
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
_RUN = re.compile(r"\b(?:ran|run|runs|running|race|jog|jogged|a) $", re.IGNORECASE)
_INCH_FOLLOWS = re.compile(
    r"[.,;:!?)]|$| (?:wide|tall|long|high|deep|thick|across|by|x|diameter|screen|display|monitor|tablet|TV|pipe|per"
    r"|(?:and|or) \d|of (?:rain|snow|water))\b"
)
_OUT_FOLLOWS = re.compile(r"[, ]+(?:and )?\d{1,4} out\b")
_DECADE_BEFORE = re.compile(
    r"\b(?:the|early|late|mid|low|high|his|her|their|my|your|our|upper|lower|roaring) $", re.IGNORECASE
)
_DECADE_FOLLOWS = re.compile(r" (?:music|kids?|party|hits|rock|pop|style|fashion|movies?|film|night|disco|decade)\b")
_MINUTES_BEFORE = re.compile(
    r"\b(?:(?:ETA|timer|uptime|wait|wait about|waited|lasts|lasted|took|takes|snooze):? (?:of |for )?"
    r"|\d ?(?:h|hrs?|hours?),? (?:and )?|\dh[:+]"
    r"|(?:back|there|arriv\w{1,4}|leav\w{1,3}|starts?|ready|done|due|ends?|departs?|home|available|expires?) in )"
    r"(?:[\d.]{1,4} to )?$",
    re.IGNORECASE,
)
_MINUTES_FOLLOW = re.compile(r" (?:ago|remaining|late|early|to go|left(?! turn)\b|timer)")
_NETWORK = re.compile(r"[ -](?:network|phone|tower|modem|signal|router|coverage|internet|mobile|band)")
_ELECTRIC = re.compile(r" (?:bulb|led|lamp|light|charger|solar|speaker|power|panel|adapter|heater)", re.IGNORECASE)
_POWER = re.compile(r"\b(?:power|draws?|uses?|using|consumes?|load|at) $", re.IGNORECASE)
_DAYS_BEFORE = re.compile(
    r"\b(?:in|for|every|last|next|ETA|up|uptime|since|expires?|after|within|lasts):? $", re.IGNORECASE
)
_DAYS_FOLLOW = re.compile(r"[.,;:!?)]|$| (?:ago|left|remaining|old|late|early)\b")
# Before these nouns a unit is singular, as in "two 5 V supplies"; before others only after "a", as in "a 5 km run".
_NOUN = re.compile(
    r" (?:fuses?|breakers?|chargers?|suppl(?:y|ies)|adapters?|bulbs?|lamps?|LEDs?|batter(?:y|ies)|cables?|wires?"
    r"|resistors?|walks?|hikes?|bags?|bottles?|packs?|cans?|jars?|screens?|displays?|monitors?|cards?|disks?|drives?|sticks?"
    r"|cameras?|timers?|intervals?|breaks?|videos?|films?|radius|limits?|zones?|pipes?|ladders?|steaks?)\b"
)


@dataclass(frozen=True)
class Place:
    """A number with the letters after it, and the text around them.

    Attributes:
        number: In figures.
        joint: What stands between number and symbol: nothing, a blank or a hyphen.
        symbol: The letters that may be a unit.
        before: The end of the text before the number.
        after: The text after the symbol.
    """

    number: str
    joint: str
    symbol: str
    before: str
    after: str


def unit_in_context(place: Place) -> Unit | None:
    """The unit that the symbol stands for here; `None` if it is no unit."""
    symbol = place.symbol
    if place.joint == "-" and (symbol in _NOT_AFTER_HYPHEN or place.after.startswith("-")):
        return None
    if symbol in _OTHER_UNITS:
        is_other, other = _OTHER_UNITS[symbol]
        if is_other(place):
            return UNITS[other]
    is_unit = _CONDITIONS.get(symbol)
    return SYMBOLS_IN_CONTEXT[symbol] if is_unit is None or is_unit(place) else None


def _is_minutes(place: Place) -> bool:
    """Whether `5m` is five minutes, as in "back in 5m" and "5m ago". Else it is a length."""
    if place.joint:
        return False
    in_time = _MINUTES_FOLLOW.match(place.after) and not place.before.lower().endswith("in ")
    return bool(_MINUTES_BEFORE.search(place.before) or in_time)


def _is_watts(place: Place) -> bool:
    """Whether `60w` are watts. Else they are weeks."""
    many = float(place.number.replace(",", "")) > 52
    return bool(many or _ELECTRIC.match(place.after) or _POWER.search(place.before))


def _is_pressure(place: Place) -> bool:
    return bool(re.search(r"\b(?:pressure|barometer|baro)\b", place.before, re.IGNORECASE))


def _is_inches(place: Place) -> bool:
    attached = not place.joint and not place.after.startswith("-")
    return bool(attached or _INCH_FOLLOWS.match(place.after)) and not _OUT_FOLLOWS.match(place.after)


def _is_grams(place: Place) -> bool:
    network = re.fullmatch("[2-6]", place.number) and not place.joint and _NETWORK.match(place.after)
    return not (network or place.after.startswith("-force"))


def _is_days(place: Place) -> bool:
    """`3d` may also be three-dimensional."""
    in_time = _DAYS_BEFORE.search(place.before) or _DAYS_FOLLOW.match(place.after)
    return place.number not in ("2", "3", "4") or bool(in_time)


def _is_not_a_word(place: Place) -> bool:
    """Not as in `5 t-shirts`."""
    return not re.match("-[a-z]| shirts?", place.after)


def _letter_is_unit(place: Place) -> bool:
    symbol, before, after = place.symbol, place.before, place.after
    decimal = "." in place.number
    if _NAMED.search(before) or re.search("[A-Za-z]-$", before):
        return False
    if symbol == "N" and (not place.joint or re.match(r",? ?\d{1,3}(?:\.\d{1,6})? ?°? ?[EW]\b| [A-Z]", after)):
        return False
    if symbol == "K" and len(place.number) == 1:  # a 4K screen
        return bool(place.joint and _MEASURED.search(before))
    if place.joint:
        is_mark = re.match(rf"(?:,| and| or) \d{{1,2}} (?!{symbol})[A-D]\b", after)  # 3 A and 2 B
        is_run = symbol == "K" and _RUN.search(before)
        is_current = symbol == "A" and _CURRENT.search(before)
        return not (is_mark or is_run) and (decimal or bool(_MAY_END.match(after) or is_current))
    if symbol in "CF":
        return decimal or len(place.number) > 1 or bool(_MEASURED.search(before))
    return symbol in "AK" or decimal


_LETTERS = ("A", "C", "F", "J", "K", "N")
_NOT_AFTER_HYPHEN = (*_LETTERS, "d", "w", "y", "t", "inch")
_OTHER_UNITS = {"m": (_is_minutes, "min"), "w": (_is_watts, "W"), "mb": (_is_pressure, "mbar")}
_CONDITIONS: dict[str, Callable[[Place], bool]] = {
    **dict.fromkeys(_LETTERS, _letter_is_unit),
    **dict.fromkeys(("t", "l", "s", "y"), _is_not_a_word),
    "in": _is_inches,
    "g": _is_grams,
    "d": _is_days,
    "v": lambda place: not place.joint,
    "W": lambda place: not re.search(r"\d ?°? ?[NS],? $", place.before),  # a longitude
    "bar": lambda place: not re.match(" (?:stool|chart|code)", place.after),
    "ha": lambda place: not place.after.startswith(" ha"),
}


def is_decade(number: str, before: str, after: str) -> bool:
    """Whether the s makes a decade or an age of the number: the 90s, in her 30s."""
    return bool(re.fullmatch("[2-9]0", number) and (_DECADE_BEFORE.search(before) or _DECADE_FOLLOWS.match(after)))


def is_attribute(before: str, after: str) -> bool:
    """Whether the quantity stands before a noun, so that its unit is singular: a 5 km run."""
    article = re.search(r"(?<!\w)(?:a|an) (?:[\d.,]{1,9} to )?$", before, re.IGNORECASE)
    return bool((article and re.match(" [A-Za-z]", after)) or _NOUN.match(after))
