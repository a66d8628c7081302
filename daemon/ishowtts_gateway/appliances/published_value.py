"""Reads what an appliance publishes. Anybody may publish there, so every value is checked and bounded."""

from __future__ import annotations

import math
from typing import Any

from ishowtts.mqtt.strict_json import BadJson, NotJson, loads

_MAX_DEPTH = 8
_MAX_VALUES = 4000
_MAX_INTEGER = 2**53  # JavaScript has no larger ones that are exact
_LARGEST = 1e12


def parse(payload: bytes, max_bytes: int) -> Any:
    """Parse JSON. The result can be written as JSON in UTF-8 again, and is bounded in size, depth and count.

    A number that is not finite becomes `None`, and half a surrogate pair becomes `?`.

    Raises:
        ValueError: the payload is not JSON, or exceeds a bound.
    """
    if len(payload) > max_bytes:
        raise ValueError(f"the payload has {len(payload)} bytes; at most {max_bytes} are read")
    try:
        found = loads(payload.decode("utf-8"))
    except (NotJson, BadJson, UnicodeDecodeError) as error:
        raise ValueError(f"the payload is not JSON in UTF-8: {error}") from error
    return _Cleaner().clean(found, _MAX_DEPTH)


def parse_object(payload: bytes, max_bytes: int) -> dict[str, Any]:
    """Parse a JSON object, as `parse`. Raises ValueError also if it is of another type."""
    found = parse(payload, max_bytes)
    if not isinstance(found, dict):
        raise ValueError("the payload is not a JSON object")
    return found


def text(value: object, max_chars: int) -> str | None:
    """A text, cut; `None` if it is empty or of another type."""
    return value[:max_chars] if isinstance(value, str) and value else None


def number(value: object) -> float | None:
    """A plausible number; `None` if it is of another type, not finite, or larger than any reading."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < _LARGEST else None


class _Cleaner:
    """Rebuilds one value. Counts the values in it."""

    def __init__(self) -> None:
        self._values = 0

    def clean(self, value: Any, depth: int) -> Any:
        self._values += 1
        if self._values > _MAX_VALUES or depth < 0:
            raise ValueError(f"the payload has more than {_MAX_VALUES} values, or is nested deeper than {_MAX_DEPTH}")
        if isinstance(value, str):
            return _encodable(value)
        if isinstance(value, dict):
            return {_encodable(key): self.clean(item, depth - 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.clean(item, depth - 1) for item in value]
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return value if not isinstance(value, int) or abs(value) <= _MAX_INTEGER else None


def _encodable(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
