"""Tells from the words beside a number whether the letters after it are a unit, and which one."""

from __future__ import annotations

import re

from ishowtts.text.units import UNITS, Unit

SYMBOLS_IN_CONTEXT = UNITS | {"C": UNITS["°C"], "F": UNITS["°F"], "v": UNITS["V"]}
"""All symbols, and letters that are one only beside some words."""
_LETTERS = ("A", "C", "F", "J", "K", "N")
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


def unit_in_context(number: str, joint: str, symbol: str, before: str, after: str) -> Unit | None:
    """The unit that the symbol stands for here; `None` if it is no unit."""
    unit, is_unit = SYMBOLS_IN_CONTEXT[symbol], True
    if joint == "-" and (symbol in _LETTERS or symbol in ("d", "w", "y", "t", "inch") or after.startswith("-")):
        return None
    if symbol in _LETTERS:
        is_unit = _letter_is_unit(number, joint, symbol, before, after)
    elif symbol == "in":
        is_unit = bool(_INCH_FOLLOWS.match(after)) or (not joint and not after.startswith("-"))
    elif symbol == "g":
        is_unit = not (re.fullmatch("[2-6]", number) and not joint and _NETWORK.match(after))
    elif symbol == "d":
        is_unit = number not in ("2", "3", "4") or bool(_DAYS_BEFORE.search(before) or _DAYS_FOLLOW.match(after))
    elif symbol == "w" and (float(number.replace(",", "")) > 52 or _ELECTRIC.match(after) or _POWER.search(before)):
        unit = UNITS["W"]
    elif symbol == "v":
        is_unit = not joint
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
        is_mark = re.match(r" (?:and|or) \d{1,2} [A-Z]\b", after)  # 3 A and 2 B
        is_current = symbol == "A" and _CURRENT.search(before)
        return not is_mark and (decimal or bool(_MAY_END.match(after) or is_current))
    if symbol in "CF":
        return decimal or len(number) > 1 or bool(_MEASURED.search(before))
    return symbol in "AK" or decimal


def is_decade(number: str, before: str, after: str) -> bool:
    """Whether the s makes a decade or an age of the number: the 90s, in her 30s."""
    return bool(re.fullmatch("[2-9]0", number) and (_DECADE_BEFORE.search(before) or _DECADE_FOLLOWS.match(after)))


def is_attribute(before: str, after: str) -> bool:
    """Whether the quantity stands before a noun, so that its unit is singular: a 5 km run."""
    article = re.search(r"(?<!\w)(?:a|an) (?:[\d.,]{1,9} to )?$", before, re.IGNORECASE)
    return bool((article and re.match(" [A-Za-z]", after)) or _NOUN.match(after))
