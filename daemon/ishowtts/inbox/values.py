"""What goes into the inbox besides lines, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ishowtts.speech import Line, Outcome, Priority


@dataclass(frozen=True)
class InboxLimits:
    """How much the inbox keeps, and for how long.

    Attributes:
        max_lines: waiting at once.
        max_age_s: a line that has waited longer is not spoken; a line's own `ttl_s` can only be shorter.
        dedup_s: how long an id with the same text is known.
        history_days: how long ended lines are kept.
        max_attempts: so many crashes while a line was spoken fail it.
    """

    max_lines: int = 1000
    max_age_s: float = 900.0
    dedup_s: float = 600.0
    history_days: float = 30.0
    max_attempts: int = 2


@dataclass(frozen=True)
class Taken:
    """A line to speak now.

    Attributes:
        seq: its number in the inbox: ids need not be unique.
        queue_s: how long it has waited.
        position: how much of the text was heard before, in characters of its cleaned form.
        attempts: how often it was begun without an orderly end, this time included.
    """

    seq: int
    line: Line
    queue_s: float
    position: int
    attempts: int


@dataclass(frozen=True)
class HistoryEntry:
    """A line of the past, or one still waiting (`outcome` is `None`). A rejected payload has no text."""

    id: str
    text: str
    ts: str
    outcome: Outcome | None
    data: dict[str, Any]
    priority: Priority
    voice: str | None
