"""One transaction on the queue: finds and changes lines, and stores their events in the outbox."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ishowtts.errors import InboxError
from ishowtts.inbox.boot_clock import BootClock
from ishowtts.inbox.columns import (
    WAITING,
    UnreadableRow,
    line_columns,
    reply_columns,
    row_line,
    row_reply,
    row_words,
    storable,
)
from ishowtts.inbox.database import recall, remember
from ishowtts.inbox.outbox_table import OutboxTable
from ishowtts.inbox.pruning import Now, prune
from ishowtts.inbox.queue_types import InboxLimits
from ishowtts.inbox.rejection_limit import RejectionLimit
from ishowtts.model import Line, Outcome, Priority, ReplyTo


@dataclass(frozen=True)
class QueueFacts:
    """What the other threads need to know without asking the database. Times count from the boot.

    Attributes:
        depth: Number of waiting lines.
        speaking: Whether a line is being spoken.
        urgent_until_s: Time until which an urgent line waits, by the voice that it names.
        next_expiry_s: Time when the next waiting line expires; `None`: none will.
    """

    depth: int
    speaking: bool
    urgent_until_s: Mapping[str | None, float]
    next_expiry_s: float | None


class Transaction:
    """The queue within one transaction of the database, and not longer.

    Attributes:
        now_s: Time of the transaction, in seconds since the boot.
        ts: The same time as events show it.
        outbox: The events.
        added_lines: Whether there are more lines to speak than before.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        clock: BootClock,
        rejections: RejectionLimit | None = None,
        limits: InboxLimits | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._limits = limits or InboxLimits()
        self._changes = db.total_changes
        self.now_s = clock.since_boot_s()
        self.ts = clock.ts()
        self.outbox = OutboxTable(
            db, self.ts, rejections or RejectionLimit(clock.since_boot_s), with_words=self._limits.event_words
        )
        self.added_lines = False

    def close(self) -> None:
        """Store what belongs to the end of a transaction."""
        self.outbox.save_counts()
        if self._db.total_changes != self._changes:
            self.mark_alive()

    def mark_alive(self) -> None:
        """Store the time: after a boot, ages go on from here."""
        self.remember(".seen_s", repr(self.now_s))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Roll back the changes in this block if it raises."""
        self._db.execute("SAVEPOINT entries")
        added_lines, outbox = self.added_lines, self.outbox.snapshot()
        try:
            yield
        except BaseException:
            self.added_lines = added_lines
            self.outbox.roll_back(outbox)
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO entries")
            raise
        finally:
            if self._db.in_transaction:
                self._db.execute("RELEASE entries")

    # Queries

    def rows(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """All rows of one query."""
        return self._db.execute(sql, parameters).fetchall()

    def execute(self, sql: str, *parameters: Any) -> None:
        """Run one statement that changes something."""
        self._db.execute(sql, parameters)

    def row(self, seq: int, *states: str) -> sqlite3.Row:
        """The row of one line, which must be in one of the states.

        Raises:
            InboxError: It is not. The caller has lost track of it.
        """
        for row in self.rows("SELECT * FROM lines WHERE seq = ?", seq):
            if row["state"] in states:
                return row
            raise InboxError(f"line {row['id']} (number {seq}) is {row['state']}, not {' or '.join(states)}")
        raise InboxError(f"there is no line number {seq} in the inbox")

    def depth(self) -> int:
        """Number of waiting lines."""
        return int(self.rows("SELECT count(*) AS n FROM lines WHERE state = 'waiting'")[0]["n"])

    def facts(self) -> QueueFacts:
        """What the other threads ask all the time."""
        speaking = self.rows("SELECT 1 FROM lines WHERE state = 'speaking' LIMIT 1")
        expiry = (
            "SELECT CAST(min(deadline_s) AS REAL) AS s FROM lines INDEXED BY lines_expiry"
            " WHERE state = 'waiting' AND NOT started"
        )
        urgent = self.rows(
            "SELECT voice, started, CAST(deadline_s AS REAL) AS deadline_s FROM lines"
            " WHERE state = 'waiting' AND priority = ?",
            int(Priority.URGENT),
        )
        until_s: dict[str | None, float] = {}
        for row in urgent:
            ends_s = math.inf if row["started"] else row["deadline_s"]
            until_s[row["voice"]] = max(ends_s, until_s.get(row["voice"], ends_s))
        return QueueFacts(self.depth(), bool(speaking), until_s, self.rows(expiry)[0]["s"])

    def waiting(self, line_id: str | None = None) -> list[sqlite3.Row]:
        """All waiting lines, or those with one id, in order of arrival."""
        if line_id is None:
            return self.rows("SELECT * FROM lines INDEXED BY lines_waiting WHERE state = 'waiting' ORDER BY seq")
        of_id = (
            "SELECT * FROM lines INDEXED BY lines_open WHERE id = ? AND state IN ('waiting', 'speaking')"
            " AND state = 'waiting' ORDER BY seq"
        )
        return self.rows(of_id, storable(line_id))

    # Lines

    def insert(self, line: Line, state: str, life_s: float) -> int:
        """Add a line.

        Args:
            life_s: How long it may wait, in seconds.

        Returns:
            Its number.
        """
        times = {"ts": self.ts, "born_s": self.now_s, "deadline_s": self.now_s + life_s}
        columns = {**line_columns(line), **times, "state": state}
        marks = ", ".join("?" * len(columns))
        cursor = self._db.execute(
            f"INSERT INTO lines ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608  names of our own
            tuple(columns.values()),
        )
        assert cursor.lastrowid is not None  # noqa: S101  an INSERT has one
        self.added_lines = self.added_lines or state == WAITING
        return cursor.lastrowid

    def update(self, seq: int, **columns: Any) -> None:
        """Set columns of one line."""
        changes = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE lines SET {changes} WHERE seq = ?", (*columns.values(), seq))  # noqa: S608  ours

    def put_back(self, row: sqlite3.Row) -> None:
        """Let a line that was being spoken wait again, at its old place. This does not count as an attempt."""
        self.update(row["seq"], state=WAITING, attempts=row["attempts"] - 1)
        self.added_lines = True

    def end(self, row: sqlite3.Row, outcome: Outcome, data: dict[str, Any] | None = None) -> None:
        """Give a line its final outcome, and store its final event."""
        self.end_line(row["seq"], row["id"], row_reply(row), outcome, data or {}, words=row_words(row))

    def end_line(
        self,
        seq: int,
        line_id: str,
        reply_to: ReplyTo | None,
        outcome: Outcome,
        data: dict[str, Any],
        *,
        words: Mapping[str, str],
    ) -> None:
        """As `end`, for a line whose row is not at hand.

        Args:
            words: Text and author, as its event has them.
        """
        ended_n = self.rows("SELECT coalesce(max(ended_n), 0) + 1 AS n FROM lines")[0]["n"]
        ended = {"ended_n": ended_n, "ended_wall_s": self._clock.wall_s()}
        # The event in the outbox has the reply topic from now on; the history needs no copy of it.
        self.update(seq, state=outcome.value, data=json.dumps(data), **ended, **reply_columns(None))
        self.outbox.add(line_id, outcome.value, data, reply_to, words)

    def expire(self) -> None:
        """End the lines that have waited too long."""
        stale = "state = 'waiting' AND NOT started AND deadline_s <= ?"
        sql = f"SELECT * FROM lines INDEXED BY lines_expiry WHERE {stale} ORDER BY seq"  # noqa: S608  ours
        for row in self.rows(sql, self.now_s):
            own_end_s = _own_end_s(row)
            # If quiet hours still hold it, its deadline was too early: the wall clock was not set yet when it came, or
            # summer time has ended since.
            held_s = self._limits.held_s(0.0) if row["priority"] < Priority.HIGH else 0.0
            until_s = min(own_end_s, self.now_s + held_s + self._limits.max_age_s) if held_s else self.now_s
            if until_s > self.now_s:
                self.update(row["seq"], deadline_s=until_s)
            else:
                limit = "its own ttl_s" if own_end_s <= self.now_s else "queue.max_age_s"
                self.end(row, Outcome.EXPIRED, {"detail": f"it waited longer than {limit}"})

    # Settings and history

    def remember(self, key: str, value: str) -> None:
        """Store one setting."""
        remember(self._db, key, value)

    def recall(self, key: str) -> str | None:
        """A stored setting, or `None`."""
        return recall(self._db, key)

    def prune(self, limits: InboxLimits, most: int, *, short: bool = False) -> int:
        """Remove up to `most` ended lines that the history has no room for; see `pruning.prune`."""
        removed = prune(self._db, limits, Now(self.now_s, self._clock.wall_s()), most, short=short)
        self.outbox.removed(removed.events)
        return removed.lines + removed.events


def _own_end_s(row: sqlite3.Row) -> float:
    """When a line expires after its own `ttl_s`, in seconds since the boot; infinite if it has none."""
    try:
        ttl_s = row_line(row).ttl_s
    except UnreadableRow:
        return -math.inf
    return math.inf if ttl_s is None else float(row["born_s"]) + ttl_s
