"""Checks the fields of line and command objects. Each fault is a sentence."""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ishowtts.limits import NFE_STEP, SEED, SPEED, VOLUME
from ishowtts.model import Priority
from ishowtts.mqtt.strict_json import clip

MAX_NAME_CHARS = 128
_MAX_PROBLEMS = 5
_MAX_TTL_S = 366 * 86_400.0
_PRIORITIES = {"low": Priority.LOW, "normal": Priority.NORMAL, "high": Priority.HIGH}

FieldCheck = Callable[[Any], Any]


class BadField(ValueError):
    """A value of a field is not allowed. The text says what it must be; `check_fields` prepends the name."""


# These characters are invisible. They can forge a log line or reverse its words.
_REFUSED_CATEGORIES = ("Cc", "Cs", "Cf", "Zl", "Zp")
# Names of people need some of them: joiners (Persian, Hindi, emoji), direction marks, the tags of flags.
_IN_NAMES_OF_PEOPLE = frozenset("\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff") | set(
    map(chr, range(0xE0020, 0xE0080))
)


def name_of(what: str, allowed: Collection[str] = ()) -> FieldCheck:
    """Make a check for a short name without invisible characters: an id, a voice, a transaction.

    Args:
        what: What the value must be, for the sentence.
        allowed: Invisible characters that are allowed in it.
    """

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise BadField(f"must be {what}, in quotes (got {clip(value)})")
        if not 1 <= len(value) <= MAX_NAME_CHARS:
            raise BadField(f"must have 1 to {MAX_NAME_CHARS} characters (has {len(value)})")
        for char in value:
            if unicodedata.category(char) in _REFUSED_CATEGORIES and char not in allowed:
                raise BadField(
                    f"must not contain the character U+{ord(char):04X}; "
                    "leave out control and format characters, line separators and halves of surrogate pairs"
                )
        return value

    return check


def _whole(low: int, high: int) -> FieldCheck:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadField(f"must be a whole number from {low} to {high} (got {clip(value)})")
        return value

    return check


def _number(low: float, high: float, above: bool = False) -> FieldCheck:
    def check(value: Any) -> float:
        fits = (
            not isinstance(value, bool)
            and isinstance(value, (int, float))
            and not (isinstance(value, float) and not math.isfinite(value))
            and low <= value <= high
            and not (above and value == low)
        )
        if not fits:
            span = f"above {low:g} and at most {high:.15g}" if above else f"from {low:g} to {high:.15g}"
            raise BadField(f"must be a number {span} (got {clip(value)})")
        return float(value)

    return check


def _priority(value: Any) -> Priority:
    if value == "urgent":
        raise BadField("must be low, normal or high; publish an urgent line to the topic urgent")
    if not isinstance(value, str) or value not in _PRIORITIES:
        raise BadField(f"must be low, normal or high (got {clip(value)})")
    return _PRIORITIES[value]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadField(f"must be a text in quotes (got {clip(value)})")
    return value


def _chime(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise BadField(f"must be true, false or the name of a chime (got {clip(value)})")
    name: str = name_of("a name")(value)
    return name


LINE_FIELDS: Mapping[str, FieldCheck] = {
    "text": _text,
    "id": name_of("a text"),
    "voice": name_of("the name of a voice"),
    "priority": _priority,
    "ttl_s": _number(0, _MAX_TTL_S, above=True),
    "speed": _number(*SPEED),
    "nfe_step": _whole(*NFE_STEP),
    "volume": _whole(*VOLUME),
    "chime": _chime,
    "author": name_of("a text", _IN_NAMES_OF_PEOPLE),
    "seed": _whole(*SEED),
}

COMMAND_FIELDS: Mapping[str, FieldCheck] = {
    "command": _text,
    "id": name_of("the id of a line"),
    "transaction": name_of("a text"),
}


def check_fields(found: Mapping[str, Any], known: Mapping[str, FieldCheck]) -> tuple[dict[str, Any], list[str]]:
    """Check every field of an object. A field that is null counts as absent.

    Returns: the values of the valid fields, and one sentence for each fault; see `joined`.
    """
    valid: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in found.items():
        if key not in known:
            # The search for a similar name takes 0.1 ms, and an object may have 100,000 fields.
            guess = _did_you_mean(key, known) if len(problems) < _MAX_PROBLEMS else ""
            problems.append(f"{clip(key)}: unknown field{guess}")
        elif value is not None:
            try:
                valid[key] = known[key](value)
            except BadField as error:
                problems.append(f"{key}: {error}")
    return valid, problems


def joined(problems: list[str]) -> str:
    """Join the first few problems to one sentence, with the number of the others."""
    more = len(problems) - _MAX_PROBLEMS
    return "; ".join(problems[:_MAX_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _did_you_mean(key: str, known: Mapping[str, FieldCheck]) -> str:
    close = difflib.get_close_matches(key[:MAX_NAME_CHARS], list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
