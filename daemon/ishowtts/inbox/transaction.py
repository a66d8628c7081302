"""What one transaction does to lines and outbox. A `Ledger` lives as long as its transaction."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from ishowtts.errors import InboxError
from ishowtts.inbox.boot_clock import BootClock
from ishowtts.inbox.columns import (
    WAITING,
    UnreadableRow,
    cut,
    line_columns,
    reply_columns,
    row_event,
    row_reply,
    storable,
)
from ishowtts.inbox.database import remember
from ishowtts.inbox.pruning import Now, make_room, prune
from ishowtts.inbox.queue_types import AfterCrash, InboxLimits
from ishowtts.inbox.rejection_limit import (
    NOT_ACCEPTED,
    RejectionLimit,
    counts_from_text,
    counts_to_text,
    kind_of,
    sum_event,
)
from ishowtts.model import Delivery, Event, Line, Outcome, Priority, Rejection, ReplyTo

log = logging.getLogger(__name__)

_UNTOLD = ".untold"  # the setting that counts refused lines without an event of their own
_MOST_OF_ONE_ID = 1000  # lines that a new one is compared with, if a publisher uses one id for all of its lines
_IN_FLIGHT = 10_000
"""No broker has so many messages under way; packet ids come round after 65,535."""


@dataclass(frozen=True)
class QueueFacts:
    """What is known without asking the database. Times count from the boot.

    Attributes:
        depth: lines that wait.
        speaking: whether one is on the air.
        urgent_until_s: until then an urgent line waits, by the voice that it names.
        next_expiry_s: when the next waiting line expires; `None`: none will.
    """

    depth: int
    speaking: bool
    urgent_until_s: Mapping[str | None, float]
    next_expiry_s: float | None


class Transaction:
    """Entries of one transaction.

    Attributes:
        has_lines: whether there is more to speak than before.
        has_events: whether there is more to publish than before.
        dropped: events that had to go, or were not taken, since the outbox is full.
        has_untold: whether lines were refused without an event of their own.
    """

    def __init__(self, db: sqlite3.Connection, clock: BootClock, refusals: RejectionLimit | None = None) -> None:
        self._db = db
        self._clock = clock
        self._refusals = refusals or RejectionLimit(clock.since_boot_s)
        self._untold: Counter[str] = Counter()  # by kind: lines not accepted that have no event of their own
        self._changes = db.total_changes
        self.now_s = clock.since_boot_s()
        self.ts = clock.ts()
        self.has_lines = False
        self.has_events = False
        self.dropped = 0
        self.has_untold = False
        self._events: int | None = None  # how many the outbox holds, once that was asked

    def close(self) -> None:
        """The last entry of a transaction that changed something."""
        if self._untold:
            self.has_untold = True
            self.remember(_UNTOLD, counts_to_text(counts_from_text(self.recall(_UNTOLD)) + self._untold))
        if self._db.total_changes != self._changes:
            self.mark()

    def mark(self) -> None:
        """When this boot was last seen alive."""
        remember(self._db, ".seen_s", repr(self.now_s))

    @contextmanager
    def undone_where_it_raises(self) -> Iterator[None]:
        """Entries that are all made, or none."""
        self._db.execute("SAVEPOINT entries")
        before = self.has_lines, self.has_events, self.dropped
        untold = self._untold.copy()
        try:
            yield
        except BaseException:
            self.has_lines, self.has_events, self.dropped = before
            self._untold = untold
            self._events = None
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO entries")
            raise
        finally:
            if self._db.in_transaction:
                self._db.execute("RELEASE entries")

    # Looking things up

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

    def depth(self) -> int:
        """How many lines wait."""
        return int(self.rows("SELECT count(*) AS n FROM lines WHERE state = 'waiting'")[0]["n"])

    def facts(self) -> QueueFacts:
        """What everybody asks all the time."""
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

    def first(self, minimum: Priority, held: Collection[str | None]) -> sqlite3.Row | None:
        """The line to speak next, of at least this priority; one that was begun goes on in any case.

        Args:
            held: voices whose lines are passed over; `None`: those of lines that name none.
        """
        names = [voice or "" for voice in held]
        others = f"coalesce(voice, '') NOT IN ({', '.join('?' * len(names))})"
        loud = f"SELECT * FROM lines WHERE state = 'waiting' AND priority >= ? AND {others}"  # noqa: S608  marks
        rows = self.rows(f"{loud} ORDER BY priority DESC, seq LIMIT 1", int(minimum), *names)
        if not rows:
            begun = f"SELECT * FROM lines INDEXED BY lines_begun WHERE state = 'waiting' AND started AND {others}"  # noqa: S608  marks
            rows = self.rows(f"{begun} ORDER BY priority DESC, seq LIMIT 1", *names)
        return rows[0] if rows else None

    def waiting(self, line_id: str | None = None) -> list[sqlite3.Row]:
        """The lines that wait, or those of one id, in the order in which they came."""
        if line_id is None:
            return self.rows("SELECT * FROM lines INDEXED BY lines_waiting WHERE state = 'waiting' ORDER BY seq")
        of_id = (
            "SELECT * FROM lines INDEXED BY lines_open WHERE id = ? AND state IN ('waiting', 'speaking')"
            " AND state = 'waiting' ORDER BY seq"
        )
        return self.rows(of_id, storable(line_id))

    def twin(self, line: Line, dedup_s: float) -> sqlite3.Row | None:
        """The line of the same id and content that arrived lately, if any; what was rejected or expired may try again.

        The life of a line is no part of its content: a broker shortens it while it keeps the message.
        """
        columns = line_columns(line)
        known = "lines INDEXED BY lines_known WHERE id = ? AND state NOT IN ('rejected', 'expired')"
        since = f"SELECT born_s FROM {known} ORDER BY born_s DESC LIMIT 1 OFFSET ?"  # noqa: S608  ours
        rows = self.rows(
            f"SELECT * FROM {known} AND born_s >= max(?, coalesce(({since}), -1e300))"  # noqa: S608  ours
            " AND text = ? AND priority = ? AND voice IS ?"
            " AND CASE WHEN json_valid(details) THEN json_remove(details, '$.ttl_s') END = json_remove(?, '$.ttl_s')"
            " ORDER BY seq LIMIT 1",
            *(columns["id"], math.nextafter(self.now_s - dedup_s, math.inf)),
            *(columns["id"], _MOST_OF_ONE_ID),
            *(columns[name] for name in ("text", "priority", "voice", "details")),
        )
        return rows[0] if rows else None

    def same(self, line: Line, merge_s: float) -> sqlite3.Row | None:
        """The line that waits, of which nothing was heard, and which this one only repeats, if any."""
        columns = line_columns(line)
        rows = self.rows(
            "SELECT * FROM lines INDEXED BY lines_same WHERE state = 'waiting' AND NOT started"
            " AND text = ? AND priority = ? AND voice IS ? AND details = ? AND born_s > ? ORDER BY seq LIMIT 1",
            *(columns[name] for name in ("text", "priority", "voice", "details")),
            self.now_s - merge_s,
        )
        return rows[0] if rows else None

    # Deliveries

    def redelivered(self, delivery: Delivery) -> bool:
        """Whether this message was taken before: then the broker has only not heard of it."""
        if not delivery.again:
            return False
        known = "SELECT 1 FROM deliveries WHERE packet_id = ? AND digest = ? AND seq > ?"
        return bool(self.rows(known, delivery.packet_id, delivery.digest, self._newest() - _IN_FLIGHT))

    def delivered(self, delivery: Delivery) -> None:
        """Keep in mind that this message was taken."""
        self._db.execute(
            "INSERT OR REPLACE INTO deliveries (packet_id, digest, seq) VALUES (?, ?, ?)",
            (delivery.packet_id, delivery.digest, self._newest()),
        )

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        """The broker will not repeat these; a packet id that has come to mean another message stays."""
        self._db.executemany(
            "DELETE FROM deliveries WHERE packet_id = ? AND digest = ?",
            [(delivery.packet_id, delivery.digest) for delivery in deliveries],
        )

    def forget_deliveries(self) -> None:
        """The broker's session is a new one: its packet ids mean other messages."""
        self._db.execute("DELETE FROM deliveries")

    def _is_open(self, line_id: str) -> bool:
        """Whether a line with this id waits or is spoken."""
        found = "SELECT 1 FROM lines INDEXED BY lines_open WHERE id = ? AND state IN ('waiting', 'speaking') LIMIT 1"
        return bool(self.rows(found, storable(line_id)))

    def _newest(self) -> int:
        """The number of the newest line that there ever was."""
        rows = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'lines'")
        return int(rows[0]["seq"]) if rows else 0

    # Lines

    def update(self, seq: int, **columns: Any) -> None:
        """Set columns of one line."""
        changes = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE lines SET {changes} WHERE seq = ?", (*columns.values(), seq))  # noqa: S608  ours

    def add(self, line: Line, max_age_s: float) -> None:
        """A new line, waiting."""
        self._insert(WAITING, _life_s(line, max_age_s), line_columns(line))
        self.has_lines = True

    def live_on(self, twin: sqlite3.Row, line: Line, max_age_s: float) -> None:
        """Let a line that waits live as long as the line that repeats it: a short life must not silence the repeat."""
        self._db.execute(
            "UPDATE lines SET deadline_s = max(CAST(deadline_s AS REAL), ?) WHERE seq = ? AND state = 'waiting'",
            (self.now_s + _life_s(line, max_age_s), twin["seq"]),
        )

    def reject(self, arrival: Line | Rejection, reason: str, detail: str) -> None:
        """What was never accepted: a row for the history, with the head of its text, and its final event.

        If a line with its id waits or is spoken, it gets another id: who reads that line's events must not take this
        one for its end.
        """
        line = arrival if isinstance(arrival, Line) else arrival.line or Line(arrival.id, "", reply_to=arrival.reply_to)
        if self._is_open(line.id):
            detail = f"{detail} (it was sent with the id {line.id}, which a line has that is not finished)"
            line = replace(line, id=uuid4().hex)
        seq = self._insert(Outcome.REJECTED.value, 0.0, line_columns(replace(line, text=cut(line.text), reply_to=None)))
        self._close(seq, line.id, line.reply_to, Outcome.REJECTED, {"reason": reason, "detail": detail})

    def merge(self, line: Line, into: sqlite3.Row) -> None:
        """A line that is not spoken itself: the one that waits is said to have come so many times."""
        self.update(into["seq"], times=into["times"] + 1)
        seq = self._insert(WAITING, 0.0, line_columns(line))
        self._close(seq, line.id, line.reply_to, Outcome.MERGED, {"into": into["id"]})

    def end(self, row: sqlite3.Row, outcome: Outcome, data: dict[str, Any] | None = None) -> None:
        """The one final outcome of a line, and its event."""
        self._close(row["seq"], row["id"], row_reply(row), outcome, data or {})

    def expire(self) -> None:
        """End what has waited too long."""
        stale = "state = 'waiting' AND NOT started AND deadline_s <= ?"
        sql = f"SELECT * FROM lines INDEXED BY lines_expiry WHERE {stale} ORDER BY seq"  # noqa: S608  ours
        for row in self.rows(sql, self.now_s):
            self.end(row, Outcome.EXPIRED)

    def evict(self, arriving: Priority) -> bool:
        """End a waiting line that nobody has heard a part of, so that a full queue has room for another one.

        Of lines with a lower priority than the arriving one, the newest of the lowest priority is ended. A low line
        replaces the oldest low line instead.

        Returns:
            False if there is no such line.
        """
        unheard = "SELECT * FROM lines WHERE state = 'waiting' AND NOT started"
        if arriving is Priority.LOW:
            rows = self.rows(f"{unheard} AND priority = ? ORDER BY seq LIMIT 1", int(Priority.LOW))
        else:
            rows = self.rows(f"{unheard} AND priority < ? ORDER BY priority, seq DESC LIMIT 1", int(arriving))
        for row in rows:
            self.end(row, Outcome.EVICTED)
        return bool(rows)

    def put_back(self, row: sqlite3.Row) -> None:
        """A line that was spoken waits again, at its old place; that was no attempt."""
        self.update(row["seq"], state=WAITING, attempts=row["attempts"] - 1)
        self.has_lines = True

    def rehearses(self, seq: int, run: str) -> None:
        """A line that waits is shown to an engine by this run of the daemon."""
        self.remember(".rehearsed", f"{run} {seq}")

    def rehearses_nothing(self) -> None:
        """No crash from now on is a rehearsal's."""
        self.remember(".rehearsed", "")

    def rehearsal_ended_badly(self) -> bool:
        """Whether a line is open still that was rehearsed when the daemon crashed."""
        suspect = self.recall(".suspect")
        open_lines = "SELECT 1 FROM lines WHERE seq = ? AND state IN ('waiting', 'speaking')"
        return bool(suspect) and bool(self.rows(open_lines, suspect))

    def recover(self, after_crash: AfterCrash, max_attempts: int, run: str) -> None:
        """After a crash: lines that were being spoken wait again, unless that has happened too often.

        Args:
            run: of the daemon that recovers; what it rehearses itself did not crash.
        """
        rehearsed_by, _, seq = (self.recall(".rehearsed") or "").partition(" ")
        if seq and rehearsed_by != run:
            self.remember(".suspect", seq)
            self.rehearses_nothing()
        for row in self.rows("SELECT * FROM lines WHERE state = 'speaking' ORDER BY seq"):
            if row["attempts"] >= max_attempts:
                self.end(row, Outcome.FAILED, {"error": f"the daemon ended {row['attempts']} times while speaking it"})
            elif after_crash == "skip":
                error = "the daemon ended while speaking it, and says such lines no more (queue.after_crash)"
                self.end(row, Outcome.FAILED, {"error": error})
            elif after_crash == "repeat":
                self.update(row["seq"], state=WAITING, position=0, spoken=None)
            else:
                self.update(row["seq"], state=WAITING)

    # Events

    def event(self, line_id: str, name: str, data: dict[str, Any], reply_to: ReplyTo | None = None) -> None:
        """An event of now, into the outbox; if too many lines are refused, it is only counted (see `tell_untold`)."""
        if name in NOT_ACCEPTED and not self._refusals.allows(awaited=reply_to is not None):
            self._untold[kind_of(name, data)] += 1
            return
        self.post(Event(self.ts, line_id, name, data, reply_to))

    def tell_untold(self) -> None:
        """One event for all lines of each kind that were refused without an event of their own."""
        counts = counts_from_text(self.recall(_UNTOLD))
        if counts:
            self.remember(_UNTOLD, counts_to_text(Counter()))
        for kind, count in sorted(counts.items()):
            name, data = sum_event(kind, count)
            self.post(Event(self.ts, uuid4().hex, name, data))

    def post(self, event: Event) -> None:
        """An event into the outbox, where there is room for it."""
        if self._events is None:
            self._events = int(self.rows("SELECT count(*) AS n FROM outbox")[0]["n"])
        removed = make_room(self._db, event.event, self._events)
        if removed is None:
            self.dropped += 1
            return
        self.dropped += removed
        self._events += 1 - removed
        reply = reply_columns(event.reply_to)
        self._db.execute(
            "INSERT INTO outbox (ts, id, event, data, reply_topic, reply_correlation) VALUES (?, ?, ?, ?, ?, ?)",
            (event.ts, storable(event.id), event.event, json.dumps(event.data), *reply.values()),
        )
        self.has_events = True

    def sent(self, numbered: Sequence[tuple[int, Event]]) -> None:
        """The broker has these events. Between two files a number may have come to mean another one, which stays."""
        for number, event in numbered:
            for row in self.rows("SELECT ts, id, event FROM outbox WHERE number = ?", number):
                # Compared as they are read: what SQLite holds need not be UTF-8.
                if tuple(row) == (event.ts, event.id, event.event):
                    self.forget_event(number)

    def unsent(self, limit: int) -> list[tuple[int, Event]]:
        """The oldest events, each with its number. One that cannot be read is forgotten: nobody could publish it."""
        events = []
        for row in self.rows("SELECT * FROM outbox ORDER BY number LIMIT ?", limit):
            try:
                events.append((row["number"], row_event(row)))
            except UnreadableRow as error:
                log.error("event %d of the outbox cannot be read and is dropped (%s)", row["number"], error)
                self.forget_event(row["number"])
        return events

    def forget_event(self, number: int) -> None:
        """Remove one event from the outbox."""
        self._db.execute("DELETE FROM outbox WHERE number = ?", (number,))
        self._events = None

    # Settings and history

    def remember(self, key: str, value: str) -> None:
        """Keep one setting."""
        remember(self._db, key, value)

    def recall(self, key: str) -> str | None:
        """A kept setting."""
        rows = self.rows("SELECT value FROM settings WHERE key = ?", key)
        return rows[0]["value"] if rows and isinstance(rows[0]["value"], str) else None

    def prune(self, limits: InboxLimits, most: int, *, short: bool = False) -> int:
        """Forget up to `most` ended lines that the history has no room for; see `pruning.prune`."""
        removed = prune(self._db, limits, Now(self.now_s, self._clock.wall_s()), most, short=short)
        self.dropped += removed.events
        self._events = None
        return removed.lines + removed.events

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
        # Whom to tell is in the outbox from here on; the history needs no copy of it.
        self.update(seq, state=outcome.value, data=json.dumps(data), **ended, **reply_columns(None))
        self.event(line_id, outcome.value, data, reply_to)


def _life_s(line: Line, max_age_s: float) -> float:
    """How long a line may wait, in seconds."""
    return max_age_s if line.ttl_s is None else min(line.ttl_s, max_age_s)
