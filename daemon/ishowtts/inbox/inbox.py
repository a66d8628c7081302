"""The inbox: its whole public face. Each method that changes something is on disk when it returns."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ishowtts.errors import InboxError
from ishowtts.inbox.clock import Clock
from ishowtts.inbox.history import NEWEST_FIRST
from ishowtts.inbox.ledger import Ledger
from ishowtts.inbox.rows import SPEAKING, WAITING, row_event, row_history, row_line, row_outcome
from ishowtts.inbox.store import Damaged, InUse, Store, set_aside
from ishowtts.inbox.values import HistoryEntry, InboxLimits, Taken
from ishowtts.speech import Event, Line, Outcome, Priority, Reason, Rejection

log = logging.getLogger(__name__)

_MARK_EVERY_S = 30.0


def _nobody() -> None:
    """Nobody listens."""


class Inbox:
    """A durable priority queue of lines, and the outbox of their events. Any thread may call any method.

    Args:
        path: the SQLite file, or `None` for memory only.
        limits: how much it keeps.
        on_lines: called when there is more to speak: after the commit, outside the lock.
        on_events: the same when there is more to publish.
        clock: the times.

    Every method raises `InboxError` where the file refuses, and has then changed nothing.
    """

    def __init__(
        self,
        path: Path | None,
        limits: InboxLimits,
        *,
        on_lines: Callable[[], None] = _nobody,
        on_events: Callable[[], None] = _nobody,
        clock: Clock | None = None,
    ) -> None:
        self._limits = limits
        self._on_lines = on_lines
        self._on_events = on_events
        self._clock = clock or Clock()
        self.durable = path is not None
        self._store = Store(path, self._clock)
        try:
            with self._store.change() as db:
                Ledger(db, self._clock).recover(limits.max_attempts)
        except BaseException:
            self._store.close()
            raise

    @classmethod
    def open_or_replace(
        cls,
        path: Path,
        limits: InboxLimits,
        *,
        on_lines: Callable[[], None] = _nobody,
        on_events: Callable[[], None] = _nobody,
        clock: Clock | None = None,
    ) -> tuple[Inbox, str | None]:
        """An inbox in any case, and a sentence about what had to give for it.

        A damaged file is set aside and a fresh one begun; where nothing can be written, all stays in memory.

        Raises:
            InboxError: another daemon has it open.
        """

        def open_at(place: Path | None) -> Inbox:
            return cls(place, limits, on_lines=on_lines, on_events=on_events, clock=clock)

        try:
            try:
                return open_at(path), None
            except Damaged as damage:
                aside = set_aside(path, f"corrupt-{int(time.time())}")
                return open_at(path), f"{damage}. It is now {aside}, and a fresh one is in use"
        except InUse:
            raise
        except InboxError as error:
            return open_at(None), f"{error}. Until then lines wait in memory only: a restart loses them"

    def close(self) -> None:
        """Close the file. What is being spoken counts as cut off by a crash, so put it back first."""
        self._store.close()

    # Arrivals

    def accept(self, arrivals: Sequence[Line | Rejection]) -> None:
        """Take a group of arrivals, in order, in one transaction: all of them are on disk, or none is.

        Each gets `accepted`, `duplicate` or `rejected`. In a full queue the oldest low line of which nothing
        has sounded gives way (`evicted`), whatever the new one's priority; without one, `queue_full`.
        """
        with self._entries() as ledger:
            ledger.expire()
            depth = ledger.depth()
            for arrival in arrivals:
                if isinstance(arrival, Rejection):
                    ledger.reject(arrival, arrival.reason.value, arrival.detail)
                elif (twin := ledger.twin(arrival, self._limits.dedup_s)) is not None:
                    outcome = row_outcome(twin)
                    # While the first one is open, its own final event is the answer.
                    reply_to = arrival.reply_to if outcome else None
                    told = {"of": twin["id"], "outcome": outcome.value if outcome else None}
                    ledger.event(arrival.id, "duplicate", told, reply_to)
                elif depth < self._limits.max_lines or ledger.evict():
                    ledger.add(arrival, self._limits.max_age_s)
                    depth = ledger.depth()
                    lost = {} if self.durable else {"durable": False}
                    ledger.event(arrival.id, "accepted", {"queue_depth": depth, **lost})
                else:
                    detail = f"{depth} lines wait already (queue.max_lines): send it later, or send less"
                    ledger.reject(arrival, Reason.QUEUE_FULL.value, detail)

    # The line being spoken

    def take(self) -> Taken | None:
        """The next line, now `speaking`: the highest priority first, then the oldest. `None`: none waits."""
        with self._entries() as ledger:
            ledger.expire()
            row = ledger.first()
            if row is None:
                return None
            ledger.update(row["seq"], state=SPEAKING, attempts=row["attempts"] + 1)
            queue_s = max(0.0, ledger.now_s - row["born_s"])
            return Taken(row["seq"], row_line(row), queue_s, row["position"], row["attempts"] + 1)

    def started(self, seq: int, muted: bool) -> None:
        """Its first sound plays. Told once a line, also over interruptions; from now on it cannot expire."""
        with self._entries() as ledger:
            row = ledger.row(seq, SPEAKING)
            if not row["started"]:
                ledger.update(seq, started=1)
                queue_s = round(max(0.0, ledger.now_s - row["born_s"]), 3)
                ledger.event(row["id"], "started", {"queue_s": queue_s, "muted": muted})

    def reached(self, seq: int, position: int) -> None:
        """Where to go on, should this one be cut off now."""
        with self._entries() as ledger:
            ledger.row(seq, SPEAKING)
            ledger.update(seq, position=position)

    def interrupt(self, seq: int, position: int) -> None:
        """Something urgent cuts in: back to its place in the queue, to go on from `position`."""
        with self._entries() as ledger:
            row = ledger.row(seq, SPEAKING)
            ledger.put_back(row, position)
            ledger.event(row["id"], "interrupted", {})

    def postpone(self, seq: int) -> None:
        """It cannot be spoken now (no engine, no device): back to its place, without an event."""
        with self._entries() as ledger:
            row = ledger.row(seq, SPEAKING)
            ledger.put_back(row, row["position"])

    def finish(self, seq: int, outcome: Outcome, data: dict[str, Any]) -> None:
        """The final outcome of a line that is spoken or waits, with what the contract names for its event.

        Raises:
            InboxError: it has one already.
        """
        with self._entries() as ledger:
            ledger.end(ledger.row(seq, SPEAKING, WAITING), outcome, data)

    # The lines waiting

    def cancel_waiting(self, by: str, line_id: str | None = None) -> int:
        """Cancel all waiting lines, or those of one id; returns how many there were."""
        with self._entries() as ledger:
            rows = ledger.rows("SELECT * FROM lines WHERE state = 'waiting' ORDER BY seq")
            cancelled = [row for row in rows if line_id is None or row["id"] == line_id]
            for row in cancelled:
                ledger.end(row, Outcome.CANCELLED, {"by": by})
            return len(cancelled)

    def expire(self) -> None:
        """End what has waited too long. Called now and then in a pause, when nobody takes."""
        with self._entries() as ledger:
            ledger.expire()
        # Ages of waiting lines go on after a power cut from the last time this boot was seen.
        if self.depth() and self._clock.since_boot_s() - self._store.marked_s() > _MARK_EVERY_S:
            self._store.mark()

    def waiting_priority(self) -> Priority | None:
        """The priority of the line that `take` would give."""
        fresh = "state = 'waiting' AND (started OR deadline_s > ?)"
        sql = f"SELECT max(priority) AS highest FROM lines WHERE {fresh}"  # noqa: S608  ours
        highest = self._store.read(sql, self._store.now_s)[0]["highest"]
        return None if highest is None else Priority(highest)

    def urgent_waiting(self) -> bool:
        """Whether a line waits that cuts in on the one being spoken."""
        return self.waiting_priority() is Priority.URGENT

    def next_expiry_s(self) -> float | None:
        """Seconds until the next waiting line expires; `None` where none will."""
        sql = "SELECT min(deadline_s) AS s FROM lines WHERE state = 'waiting' AND NOT started"
        deadline_s = self._store.read(sql)[0]["s"]
        return None if deadline_s is None else max(0.0, deadline_s - self._store.now_s)

    def depth(self) -> int:
        """How many lines wait; the one being spoken does not."""
        return int(self._store.read("SELECT count(*) AS n FROM lines WHERE state = 'waiting'")[0]["n"])

    # The past

    def last_spoken(self) -> Line | None:
        """The line that sounded last and has ended, for a replay: it answers to nobody any more."""
        rows = self._store.read("SELECT * FROM lines WHERE started AND ended_n > 0 ORDER BY ended_n DESC LIMIT 1")
        return replace(row_line(rows[0]), reply_to=None) if rows else None

    def history(self, limit: int) -> list[HistoryEntry]:
        """The latest lines, the newest first, those still waiting included."""
        return [row_history(row) for row in self._store.read(NEWEST_FIRST, limit)]

    def prune(self) -> None:
        """Forget lines that ended longer ago than the history goes back."""
        oldest_s = self._clock.wall_s() - self._limits.history_days * 86400
        # The wall clock may have jumped by years: what dedup needs stays, whatever its date.
        young_s = self._store.now_s - self._limits.dedup_s
        with self._store.change() as db:
            db.execute("DELETE FROM lines WHERE ended_wall_s < ? AND born_s < ?", (oldest_s, young_s))

    # The outbox

    def record(self, event: Event) -> None:
        """Send an event that is not of a line's life, such as `command`, in order with the others."""
        with self._entries() as ledger:
            ledger.post(event)

    def unsent(self, limit: int = 100) -> list[tuple[int, Event]]:
        """The oldest events that are not known to be sent, each with its number, in order."""
        rows = self._store.read("SELECT * FROM outbox ORDER BY number LIMIT ?", limit)
        return [(row["number"], row_event(row)) for row in rows]

    def sent(self, numbers: Sequence[int]) -> None:
        """The broker has these events."""
        with self._store.change() as db:
            db.executemany("DELETE FROM outbox WHERE number = ?", [(number,) for number in numbers])

    # Settings

    def remember(self, key: str, value: str) -> None:
        """Keep a setting over a restart (`volume`, `muted`, `paused`)."""
        self._store.remember(key, value)

    def recall(self, key: str) -> str | None:
        """What `remember` kept, or `None`."""
        return self._store.recall(key)

    @contextmanager
    def _entries(self) -> Iterator[Ledger]:
        """One transaction; tells the listeners once it is on disk."""
        with self._store.change() as db:
            ledger = Ledger(db, self._clock)
            yield ledger
        if ledger.has_events:
            self._on_events()
        if ledger.has_lines:
            self._on_lines()
