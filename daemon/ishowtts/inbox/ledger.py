"""What one transaction does to lines and outbox. A `Ledger` lives as long as its transaction."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from ishowtts.errors import InboxError
from ishowtts.inbox.clock import Clock
from ishowtts.inbox.rows import WAITING, line_columns, reply_columns, row_reply, storable
from ishowtts.speech import Event, Line, Outcome, Priority, Rejection, ReplyTo


class Ledger:
    """Entries of one transaction.

    Attributes:
        has_lines: whether there is more to speak than before.
        has_events: whether there is more to publish than before.
    """

    def __init__(self, db: sqlite3.Connection, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.now_s = clock.since_boot_s()
        self.ts = clock.ts()
        self.has_lines = False
        self.has_events = False

    def rows(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """The rows of one query."""
        return self._db.execute(sql, parameters).fetchall()

    def row(self, seq: int, *states: str) -> sqlite3.Row:
        """The row of one line, which must be in one of the states.

        Raises:
            InboxError: it is not: a caller has lost track.
        """
        for row in self.rows("SELECT * FROM lines WHERE seq = ?", seq):
            if row["state"] in states:
                return row
            raise InboxError(f"line {row['id']} (number {seq}) is {row['state']}, not {' or '.join(states)}")
        raise InboxError(f"there is no line number {seq} in the inbox")

    def update(self, seq: int, **columns: Any) -> None:
        """Set columns of one line."""
        changes = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE lines SET {changes} WHERE seq = ?", (*columns.values(), seq))  # noqa: S608  ours

    def depth(self) -> int:
        """How many lines wait."""
        return int(self.rows("SELECT count(*) AS n FROM lines WHERE state = 'waiting'")[0]["n"])

    def first(self) -> sqlite3.Row | None:
        """The line to speak next."""
        rows = self.rows("SELECT * FROM lines WHERE state = 'waiting' ORDER BY priority DESC, seq LIMIT 1")
        return rows[0] if rows else None

    def twin(self, line: Line, dedup_s: float) -> sqlite3.Row | None:
        """The line of the same id and text that arrived lately, if any; what was rejected may try again."""
        rows = self.rows(
            "SELECT * FROM lines WHERE id = ? AND text = ? AND born_s > ? AND state != 'rejected' ORDER BY seq LIMIT 1",
            storable(line.id),
            storable(line.text),
            self.now_s - dedup_s,
        )
        return rows[0] if rows else None

    def add(self, line: Line, max_age_s: float) -> None:
        """A new line, waiting."""
        life_s = max_age_s if line.ttl_s is None else min(line.ttl_s, max_age_s)
        self._insert(WAITING, life_s, line_columns(line))
        self.has_lines = True

    def reject(self, arrival: Line | Rejection, reason: str, detail: str) -> None:
        """What was never accepted: a row for the history, and its final event."""
        line = arrival if isinstance(arrival, Line) else Line(arrival.id, "", reply_to=arrival.reply_to)
        seq = self._insert(Outcome.REJECTED.value, 0.0, line_columns(line))
        self._close(seq, line.id, line.reply_to, Outcome.REJECTED, {"reason": reason, "detail": detail})

    def end(self, row: sqlite3.Row, outcome: Outcome, data: dict[str, Any] | None = None) -> None:
        """The one final outcome of a line, and its event."""
        self._close(row["seq"], row["id"], row_reply(row), outcome, data or {})

    def expire(self) -> None:
        """End what has waited too long."""
        stale = "state = 'waiting' AND NOT started AND deadline_s <= ?"
        for row in self.rows(f"SELECT * FROM lines WHERE {stale} ORDER BY seq", self.now_s):  # noqa: S608  ours
            self.end(row, Outcome.EXPIRED)

    def evict(self) -> bool:
        """End the oldest low line that nobody has heard a part of; False where there is none."""
        low = "state = 'waiting' AND NOT started AND priority = ?"
        sql = f"SELECT * FROM lines WHERE {low} ORDER BY seq LIMIT 1"  # noqa: S608  ours
        rows = self.rows(sql, int(Priority.LOW))
        for row in rows:
            self.end(row, Outcome.EVICTED)
        return bool(rows)

    def put_back(self, row: sqlite3.Row, position: int) -> None:
        """A line that was spoken waits again, at its old place; that was no attempt."""
        self.update(row["seq"], state=WAITING, attempts=row["attempts"] - 1, position=position)
        self.has_lines = True

    def recover(self, max_attempts: int) -> None:
        """After a crash: lines that were being spoken wait again, unless that has happened too often."""
        for row in self.rows("SELECT * FROM lines WHERE state = 'speaking' ORDER BY seq"):
            if row["attempts"] >= max_attempts:
                error = f"the daemon ended {row['attempts']} times while speaking it"
                self.end(row, Outcome.FAILED, {"error": error})
            else:
                self.update(row["seq"], state=WAITING)

    def event(self, line_id: str, name: str, data: dict[str, Any], reply_to: ReplyTo | None = None) -> None:
        """An event of now, into the outbox."""
        self.post(Event(self.ts, line_id, name, data, reply_to))

    def post(self, event: Event) -> None:
        """An event into the outbox."""
        reply = reply_columns(event.reply_to)
        self._db.execute(
            "INSERT INTO outbox (ts, id, event, data, reply_topic, reply_correlation) VALUES (?, ?, ?, ?, ?, ?)",
            (event.ts, storable(event.id), event.event, json.dumps(event.data), *reply.values()),
        )
        self.has_events = True

    def _insert(self, state: str, life_s: float, line: dict[str, Any]) -> int:
        times = {"ts": self.ts, "born_s": self.now_s, "deadline_s": self.now_s + life_s}
        columns = {**line, **times, "state": state}
        marks = ", ".join("?" * len(columns))
        cursor = self._db.execute(
            f"INSERT INTO lines ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608  names of our own
            tuple(columns.values()),
        )
        assert cursor.lastrowid is not None  # noqa: S101  an INSERT has one
        return cursor.lastrowid

    def _close(self, seq: int, line_id: str, reply_to: ReplyTo | None, outcome: Outcome, data: dict[str, Any]) -> None:
        ended_n = self.rows("SELECT coalesce(max(ended_n), 0) + 1 AS n FROM lines")[0]["n"]
        ended = {"ended_n": ended_n, "ended_wall_s": self._clock.wall_s()}
        self.update(seq, state=outcome.value, data=json.dumps(data), **ended)
        self.event(line_id, outcome.value, data, reply_to)
