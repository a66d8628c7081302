"""Limits how many lines that are not accepted have an event of their own. The others are counted for one event."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from ishowtts.model import Outcome
from ishowtts.util.rate_limit import RateLimit

NOT_ACCEPTED = frozenset({Outcome.REJECTED.value, "duplicate"})

_MOST = 100
_MOST_AWAITED = 1000


class RejectionLimit:
    """Allows an event of its own to the first lines that are rejected, or duplicates, in each 10 s.

    Lines with a response topic have a larger limit of their own. Somebody waits for each of those answers, and a flood
    of lines without one must not use it up.

    Args:
        now_s: Gives the time, in seconds that never jump.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._limit = RateLimit(_MOST, now_s)
        self._awaited = RateLimit(_MOST_AWAITED, now_s)

    def allows(self, *, awaited: bool) -> bool:
        """Whether one more has an event of its own.

        Args:
            awaited: Whether the line has a response topic.
        """
        return (self._awaited if awaited else self._limit).allows()


def kind_of(event: str, data: dict[str, Any]) -> str:
    """The kind under which lines without an event of their own are counted: the reason, or `duplicate`."""
    return str(data["reason"]) if event == Outcome.REJECTED.value else event


def sum_event(kind: str, count: int) -> tuple[str, dict[str, Any]]:
    """Name and data of the event that reports `count` lines of one kind."""
    if kind == "duplicate":
        detail = f"{count} more lines were duplicates; send fewer at once"
        return kind, {"of": None, "outcome": None, "detail": detail, "count": count}
    detail = f"{count} more lines were rejected for this reason; send fewer at once"
    return Outcome.REJECTED.value, {"reason": kind, "detail": detail, "count": count}


def counts_to_text(counts: Counter[str]) -> str:
    """Counts as the settings store them."""
    return json.dumps(counts)


def counts_from_text(stored: str | None) -> Counter[str]:
    """Counts from the settings. A value that cannot be read counts as none."""
    try:
        found = json.loads(stored or "{}")
    except (ValueError, RecursionError):
        return Counter()
    if not isinstance(found, dict):
        return Counter()
    return Counter({kind: count for kind, count in found.items() if type(count) is int and count > 0})
