"""Strict JSON as in RFC 8259: no NaN, no duplicate keys, no unlimited depth."""

from __future__ import annotations

import json
from typing import Any


class NotJson(ValueError):
    """The text is not JSON.

    Args:
        fault: What the parser says.
        position: Index of the character at which it stopped.
    """

    def __init__(self, fault: str, position: int) -> None:
        super().__init__(f"{fault} at character {position}")
        self.fault = fault
        self.position = position


class BadJson(ValueError):
    """The text looks like JSON but is refused: a duplicate key, NaN, too much depth or too many digits."""


def loads(text: str) -> Any:
    """Parse JSON strictly.

    Raises:
        NotJson, BadJson: the text ends a sentence that the caller begins.
    """
    try:
        return json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise NotJson(error.msg.removesuffix(" at").removesuffix(": "), error.pos) from error
    except RecursionError as error:
        raise BadJson("nested too deeply") from error
    except BadJson:
        raise
    except ValueError as error:  # Python refuses to convert an integer of thousands of digits
        raise BadJson("a number in it has too many digits") from error


def dumps(value: Any) -> bytes:
    """Serialise to JSON in UTF-8. Raises ValueError for NaN and infinity, which JSON does not have."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise BadJson(f"the key {clip(key)} is given twice; keep one")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise BadJson(f"{name} is not a JSON number")


def clip(value: object, width: int = 40) -> str:
    """An untrusted value for use in a sentence: quoted, printable and short."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        value = value[: width + 1]
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
