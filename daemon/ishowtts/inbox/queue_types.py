"""Types of the queue: its limits, a line to speak, and an entry of the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ishowtts.config import Config
from ishowtts.model import Line, Outcome, Priority

AfterCrash = Literal["resume", "repeat", "skip"]


HeldKey = str | int | None
"""Lines that wait and let others pass: those in a voice, those that name none (`None`), or one by its number."""


def never_held(_life_s: float) -> float:
    """No quiet hours: no line waits longer because of them."""
    return 0.0


@dataclass(frozen=True)
class InboxLimits:
    """How much the inbox keeps, and for how long.

    Attributes:
        max_lines: Waiting lines at once.
        max_age_s: A line that has waited longer is not spoken. The `ttl_s` of a line can only be shorter.
        held_s: Returns for how many seconds quiet hours hold `low` and `normal` lines before these have waited so many
            seconds outside of them. This time does not count against `max_age_s`.
        dedup_s: How long an id with the same content is known.
        merge_s: A line that repeats a waiting one within this time is merged into it; 0: never.
        history_days, history_lines: How long, and how many, ended lines are kept.
        history_mb: Above this size of the file, the oldest ended lines are removed; rejected ones first.
        after_crash: Whether a line that was being spoken goes on from its segment, begins again, or is not spoken.
        max_attempts: After so many crashes while it was spoken, a line fails.
        event_words: Whether events have the text and the author of their line.
    """

    max_lines: int = 1000
    max_age_s: float = 900.0
    held_s: Callable[[float], float] = never_held
    dedup_s: float = 600.0
    merge_s: float = 0.0
    history_days: float = 30.0
    history_lines: int = 100_000
    history_mb: int = 256
    after_crash: AfterCrash = "resume"
    max_attempts: int = 2
    event_words: bool = True

    @classmethod
    def from_config(cls, config: Config, held_s: Callable[[float], float] = never_held) -> InboxLimits:
        """The limits that a configuration sets."""
        queue = config.queue
        return cls(
            max_lines=queue.max_lines,
            max_age_s=queue.max_age_s,
            held_s=held_s,
            dedup_s=queue.dedup_s,
            merge_s=config.policies.merge_s,
            history_days=queue.history_days,
            history_lines=queue.history_lines,
            history_mb=queue.history_mb,
            after_crash=queue.after_crash,
            event_words=not config.log.private,
        )

    def life_s(self, priority: Priority, ttl_s: float | None) -> float:
        """How long a line may wait from now on, in seconds."""
        held_s = self.held_s(self.max_age_s) if priority < Priority.HIGH else 0.0
        life_s = self.max_age_s + held_s
        return life_s if ttl_s is None else min(ttl_s, life_s)


@dataclass(frozen=True)
class DequeuedLine:
    """A line to speak now.

    Attributes:
        seq: Its number in the queue. Ids need not be unique.
        queue_s: How long it has waited.
        position: How much was heard before, in characters of `spoken`.
        spoken: The text as it was read aloud when it was heard before; `None` if nothing was heard.
        attempts: How often it was begun without an orderly end, this time included.
        times: How often it was published, with the repeats that were merged into it.
        was_started: Whether a part of it was heard before, so that it goes on now.
    """

    seq: int
    line: Line
    queue_s: float
    position: int
    spoken: str | None
    attempts: int
    times: int
    was_started: bool = False


@dataclass(frozen=True)
class HistoryEntry:
    """A line that has ended, or an open one (`outcome` is `None`).

    Attributes:
        text: The text that is spoken, after the policies; the head of a payload that was not accepted as a line.
        ts: When it arrived: UTC, ISO 8601.
        data: Data of its final event.
        voice: The voice that it asked for.
        author: Its author, as it was sent.
        sent_text: The head of the text as it was sent, if the policies changed it.
        read_text: The head of the text as it was read aloud, if that differs from `text`.
        heard_at: When its first sound was heard; `None`: it was not heard, or by a version that did not store the time.
        ended_wall_s: When it ended, in seconds since 1970.
        ended_n: Number of the line in the order of the final events; `None` while it is open.
        speaking: Whether it is being spoken.
        seq: Its number in the order of arrival.
    """

    id: str
    text: str
    ts: str
    outcome: Outcome | None
    data: dict[str, Any]
    priority: Priority
    voice: str | None
    author: str | None = None
    sent_text: str | None = None
    read_text: str | None = None
    heard_at: str | None = None
    ended_wall_s: float | None = None
    ended_n: int | None = None
    speaking: bool = False
    seq: int = 0


@dataclass(frozen=True)
class HistoryFilter:
    """Which lines of the history are wanted. `None` and False: all of them.

    Attributes:
        states: The final outcomes, and `waiting` or `speaking` for open lines.
        author: Its author.
        author_key: Returns a key that is the same for all spellings of a name.
        spoken_name: Returns a name as it is spoken. Names that are spoken alike are one author.
        since_ts: Lines that arrived at this time or later: UTC, ISO 8601, as `model.timestamp` writes it.
        heard: Only lines of which something was heard.
        ended_after_n: Only lines that ended after the one with this number; see `HistoryEntry.ended_n`.
        before_seq: Only lines that arrived before the one with this number; see `HistoryEntry.seq`.
    """

    states: frozenset[str] | None = None
    author: str | None = None
    author_key: Callable[[str], str] = field(default=str.casefold, compare=False)
    spoken_name: Callable[[str], str | None] | None = field(default=None, compare=False)
    since_ts: str | None = None
    heard: bool = False
    ended_after_n: int | None = None
    before_seq: int | None = None
