"""Checks the fields of line and command objects. Each fault is a sentence."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ishowtts.limits import HISTORY_LIMIT, LANGUAGE_TAG_CHARS, NFE_STEP, SEED, SPEED, VOLUME
from ishowtts.model import Priority
from ishowtts.mqtt.strict_json import clip
from ishowtts.text.scripts import canonical_language

MAX_NAME_CHARS = 128
_MAX_PROBLEMS = 5
_MAX_TTL_S = 366 * 86_400.0
# A text that is a number. int() and float() also accept digits of other scripts, underscores and `inf`.
_NUMBER = re.compile(r"-?(?:[0-9]{1,20}(?:\.[0-9]{1,20})?|\.[0-9]{1,20})")
_CURSOR = re.compile(r"[1-9][0-9]{0,18}")
_MAX_CURSOR = (1 << 63) - 1  # the largest number of a row in SQLite
_TRUTH_VALUES = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
_ALIASES = {  # what other interfaces call our fields
    **dict.fromkeys(("message", "msg", "content", "payload", "tts", "say", "speech", "value", "body"), "text"),
    **dict.fromkeys(("speaker", "voice_name"), "voice"),
    **dict.fromkeys(("rate", "tempo"), "speed"),
    **dict.fromkeys(("user", "username", "sender", "name"), "author"),
    **dict.fromkeys(("ttl", "expires", "timeout"), "ttl_s"),
    **dict.fromkeys(("lang", "locale", "language_code"), "language"),
    **dict.fromkeys(("cmd", "action"), "command"),
}
_NO_LANGUAGE = ("und", "mul")  # tags of BCP 47 for an undetermined language, and for several
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
        number = _numeric(value)
        if isinstance(number, float) and number.is_integer():  # template engines write 55.0
            number = int(number)
        if not isinstance(number, int) or not low <= number <= high:
            raise BadField(f"must be a whole number from {low} to {high} (got {clip(value)})")
        return number

    return check


def number_field(low: float, high: float, above: bool = False) -> FieldCheck:
    """Check a number, or a text that is exactly one.

    Args:
        above: `low` itself is refused.
    """

    def check(value: Any) -> float:
        number = _numeric(value)
        fits = (
            number is not None
            and not (isinstance(number, float) and not math.isfinite(number))
            and low <= number <= high
            and not (above and number == low)
        )
        if number is None or not fits:
            span = f"above {low:g} and at most {high:.15g}" if above else f"from {low:g} to {high:.15g}"
            comma = "; write a decimal point" if isinstance(value, str) and "," in value else ""
            raise BadField(f"must be a number {span} (got {clip(value)}){comma}")
        return float(number)

    return check


def _numeric(value: Any) -> int | float | None:
    """The number that a value is. Template engines put numbers into quotes, so a text that is exactly one counts."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return None
        return float(text) if "." in text else int(text)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def check_volume(value: Any) -> int:
    """Check a volume in percent. `%` after the number is allowed.

    A fraction, and 1 with a decimal point, are refused: they mean a scale from 0 to 1, and 1 % is nearly silent.

    Raises:
        BadField: it is not a whole number from 0 to 100.
    """
    percent = isinstance(value, str) and value.rstrip().endswith("%")
    bare = value.rstrip().removesuffix("%") if percent else value
    number = _numeric(bare)
    if isinstance(number, float) and 0 < number <= 1 and not percent:
        raise BadField(
            f"must be a whole number from {VOLUME[0]} to {VOLUME[1]} (got {clip(value)}, which looks like "
            f"a scale from 0 to 1: send {min(VOLUME[1], round(number * VOLUME[1]))} for that)"
        )
    whole: int = _VOLUME(bare if number is not None else value)
    return whole


def _priority(value: Any) -> Priority:
    word = value.strip().lower() if isinstance(value, str) else None
    if word == "urgent":
        raise BadField("must be low, normal or high; publish an urgent line to the topic urgent")
    if word not in _PRIORITIES:
        raise BadField(f"must be low, normal or high (got {clip(value)})")
    return _PRIORITIES[word]


def truth_value(text: str) -> bool | None:
    """What a word says, in any case: `true`, `on` and `yes`, or `false`, `off` and `no`; `None` for other words."""
    return _TRUTH_VALUES.get(text.strip().lower())


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


def _language(value: Any) -> str | None:
    tag = canonical_language(value) if isinstance(value, str) else None
    if tag is None:
        raise BadField(
            f"must be the tag of a language, as in de or pt-BR, with at most {LANGUAGE_TAG_CHARS} letters, digits and "
            f"hyphens (got {clip(value)}); leave it out to have the language identified"
        )
    return None if tag in _NO_LANGUAGE else tag


def _cursor(value: Any) -> int:
    """The number of a line, in quotes, because some programs round such large numbers."""
    if not isinstance(value, str) or not _CURSOR.fullmatch(value) or int(value) > _MAX_CURSOR:
        raise BadField(f"must be the `next` of an earlier reply, in quotes (got {clip(value)}); leave it out to begin")
    return int(value)


_VOLUME = _whole(*VOLUME)

check_voice = name_of("the name of a voice")
check_author = name_of("a text", _IN_NAMES_OF_PEOPLE)

LINE_FIELDS: Mapping[str, FieldCheck] = {
    "text": _text,
    "id": name_of("a text"),
    "voice": check_voice,
    "priority": _priority,
    "ttl_s": number_field(0, _MAX_TTL_S, above=True),
    "speed": number_field(*SPEED),
    "nfe_step": _whole(*NFE_STEP),
    "volume": check_volume,
    "chime": _chime,
    "author": check_author,
    "seed": _whole(*SEED),
    "language": _language,
}

VOLUME_FIELDS: Mapping[str, FieldCheck] = {"volume": check_volume}

VOICE_FIELDS: Mapping[str, FieldCheck] = {"voice": check_voice}

COMMAND_FIELDS: Mapping[str, FieldCheck] = {
    "command": _text,
    "id": name_of("the id of a line"),
    "author": check_author,
    "transaction": name_of("a text"),
    "limit": _whole(*HISTORY_LIMIT),
    "before": _cursor,
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
    word = key[:MAX_NAME_CHARS].strip().lower()
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    guess = _ALIASES.get(word) if _ALIASES.get(word) in known else next(iter(close), None)
    return f"; did you mean {guess!r}?" if guess else f"; known are {', '.join(known)}"
