"""What goes into the inbox besides lines, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ishowtts.config import Config
from ishowtts.model import Line, Outcome, Priority

AfterCrash = Literal["resume", "repeat", "skip"]


@dataclass(frozen=True)
class InboxLimits:
    """How much the inbox keeps, and for how long.

    Attributes:
        max_lines: waiting at once.
        max_age_s: a line that has waited longer is not spoken; a line's own `ttl_s` can only be shorter.
        dedup_s: how long an id with the same content is known.
        merge_s: a line that repeats one that waits, and came within this time, is merged into it; 0: never.
        history_days, history_lines: how long, and how many, ended lines are kept.
        history_mb: above this size of the file the oldest ended lines are removed; refused ones first.
        after_crash: whether a line that was being spoken goes on from its segment, begins anew, or is not spoken.
        max_attempts: so many crashes while a line was spoken fail it.
    """

    max_lines: int = 1000
    max_age_s: float = 900.0
    dedup_s: float = 600.0
    merge_s: float = 0.0
    history_days: float = 30.0
    history_lines: int = 100_000
    history_mb: int = 256
    after_crash: AfterCrash = "resume"
    max_attempts: int = 2

    @classmethod
    def from_config(cls, config: Config) -> InboxLimits:
        """The limits that a configuration sets."""
        queue = config.queue
        return cls(
            max_lines=queue.max_lines,
            max_age_s=queue.max_age_s,
            dedup_s=queue.dedup_s,
            merge_s=config.policies.merge_s,
            history_days=queue.history_days,
            history_lines=queue.history_lines,
            history_mb=queue.history_mb,
            after_crash=queue.after_crash,
        )


@dataclass(frozen=True)
class DequeuedLine:
    """A line to speak now.

    Attributes:
        seq: its number in the inbox: ids need not be unique.
        queue_s: how long it has waited.
        position: how much was heard before, in characters of `spoken`.
        spoken: the text as it was read aloud when it was heard before; `None` where nothing was.
        attempts: how often it was begun without an orderly end, this time included.
        times: how often it was said, the repeats that were merged into it included.
    """

    seq: int
    line: Line
    queue_s: float
    position: int
    spoken: str | None
    attempts: int
    times: int


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
