"""The table `outbox`: events that wait for the broker, in order, bounded in number."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from ishowtts.inbox.columns import UnreadableRow, reply_columns, row_event, storable
from ishowtts.inbox.database import recall, remember
from ishowtts.inbox.pruning import make_room
from ishowtts.inbox.rejection_limit import (
    NOT_ACCEPTED,
    RejectionLimit,
    counts_from_text,
    counts_to_text,
    kind_of,
    sum_event,
)
from ishowtts.model import Event, ReplyTo

log = logging.getLogger(__name__)

_COUNTS = ".rejected_counts"  # the setting that counts lines that were not accepted and have no event of their own


class OutboxTable:
    """The outbox within one transaction.

    Args:
        ts: Time of the transaction, as events show it.
        rejections: Limits how many lines that are not accepted have an event of their own.
        with_words: Whether events have the text and the author of their line.

    Attributes:
        added: Whether there are new events to publish.
        dropped: Number of events that were removed or not stored because the outbox is full.
        counted: Whether lines were rejected without an event of their own.
    """

    def __init__(self, db: sqlite3.Connection, ts: str, rejections: RejectionLimit, *, with_words: bool = True) -> None:
        self._db = db
        self._ts = ts
        self._rejections = rejections
        self._with_words = with_words
        self._counts: Counter[str] = Counter()  # by kind: lines not accepted that have no event of their own
        self._length: int | None = None  # number of events in the table; `None`: not known
        self.added = False
        self.dropped = 0
        self.counted = False

    def add(
        self,
        line_id: str,
        name: str,
        data: dict[str, Any],
        reply_to: ReplyTo | None = None,
        words: Mapping[str, str] | None = None,
    ) -> None:
        """Store an event of now. If too many lines are rejected, it is only counted (see `sum_up`).

        Args:
            words: Text and author of the line.
        """
        if name in NOT_ACCEPTED and not self._rejections.allows(awaited=reply_to is not None):
            self._counts[kind_of(name, data)] += 1
            return
        if words and self._with_words:
            data = {**data, **words}
        self.store(Event(self._ts, line_id, name, data, reply_to))

    def store(self, event: Event) -> None:
        """Store an event, if there is room for it."""
        if self._length is None:
            self._length = int(self._db.execute("SELECT count(*) FROM outbox").fetchone()[0])
        removed = make_room(self._db, event.event, self._length)
        if removed is None:
            self.dropped += 1
            return
        self.dropped += removed
        self._length += 1 - removed
        reply = reply_columns(event.reply_to)
        self._db.execute(
            "INSERT INTO outbox (ts, id, event, data, reply_topic, reply_correlation) VALUES (?, ?, ?, ?, ?, ?)",
            (event.ts, storable(event.id), event.event, _json(event.data), *reply.values()),
        )
        self.added = True

    def sum_up(self) -> None:
        """Store one event for each kind of rejected lines that have no event of their own."""
        counts = counts_from_text(recall(self._db, _COUNTS))
        if counts:
            remember(self._db, _COUNTS, counts_to_text(Counter()))
        for kind, count in sorted(counts.items()):
            name, data = sum_event(kind, count)
            self.store(Event(self._ts, uuid4().hex, name, data))

    def save_counts(self) -> None:
        """Add this transaction's counts to those in the file. To be called at its end."""
        if self._counts:
            self.counted = True
            counts = counts_from_text(recall(self._db, _COUNTS)) + self._counts
            remember(self._db, _COUNTS, counts_to_text(counts))

    def sent(self, numbered: Sequence[tuple[int, Event]]) -> None:
        """Remove events that the broker has confirmed.

        After a failover a number may belong to another event. That one stays.
        """
        for number, event in numbered:
            for row in self._db.execute("SELECT ts, id, event FROM outbox WHERE number = ?", (number,)).fetchall():
                # Compared as they are read: what SQLite holds need not be UTF-8.
                if tuple(row) == (event.ts, event.id, event.event):
                    self.remove(number)

    def unsent(self, limit: int) -> list[tuple[int, Event]]:
        """The oldest events, each with its number. One that cannot be read is removed: nobody could publish it."""
        events = []
        for row in self._db.execute("SELECT * FROM outbox ORDER BY number LIMIT ?", (limit,)).fetchall():
            try:
                events.append((row["number"], row_event(row)))
            except UnreadableRow as error:
                log.error("event %d of the outbox cannot be read and is dropped (%s)", row["number"], error)
                self.remove(row["number"])
        return events

    def remove(self, number: int) -> None:
        """Remove one event."""
        self._db.execute("DELETE FROM outbox WHERE number = ?", (number,))
        self._length = None

    def removed(self, count: int) -> None:
        """Note that pruning has removed events."""
        self.dropped += count
        self._length = None

    def snapshot(self) -> tuple[bool, int, Counter[str]]:
        """State for `roll_back`."""
        return self.added, self.dropped, self._counts.copy()

    def roll_back(self, snapshot: tuple[bool, int, Counter[str]]) -> None:
        """Forget what happened after the snapshot, because SQLite has rolled it back."""
        self.added, self.dropped, self._counts = snapshot
        self._length = None


def _json(data: dict[str, Any]) -> str:
    """JSON without escapes of letters: with them, Chinese would take twice the room, and emoji three times."""
    return storable(json.dumps(data, ensure_ascii=False))
