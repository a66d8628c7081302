"""The inbox: its whole public face. What changes something gives a future, done once the change is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from ishowtts.errors import CommandError, InboxError
from ishowtts.inbox import dequeue
from ishowtts.inbox.arrivals import admit, admit_all
from ishowtts.inbox.boot_clock import BootClock
from ishowtts.inbox.columns import SPEAKING, WAITING, row_line
from ishowtts.inbox.queue_types import DequeuedLine, InboxLimits
from ishowtts.inbox.rejection_limit import RejectionLimit
from ishowtts.inbox.storage import Storage
from ishowtts.inbox.transaction import Transaction
from ishowtts.inbox.writer_thread import PendingTake, SettingWrites, WriterThread
from ishowtts.model import Arrival, Delivery, Event, Line, Outcome, Priority
from ishowtts.util.callbacks import no_op

log = logging.getLogger(__name__)

T = TypeVar("T")
_MARK_EVERY_S = 30.0
_WAIT_S = 30.0
_CLOSE_S = 10.0
_PRUNE_AT_ONCE = 500
_PRUNE_FOR_S = 1.0
_PRUNE_WAIT_S = 5.0
_PRUNE_MOST = 2  # ended lines removed for each that comes: a flood shrinks a history that is too large


def settled(change: Future[T]) -> T:
    """What a change gave, once it is kept.

    Raises:
        InboxError: it was not kept, or the disk does not answer.
    """
    try:
        return change.result(_WAIT_S)
    except NotInTime as error:
        raise InboxError(f"the disk has not taken a change of the inbox for {_WAIT_S:.0f} s") from error


class Inbox:
    """A durable priority queue of lines, and the outbox of their events. Any thread may call any method.

    Nothing blocks: changes go to one thread that commits them in groups, in the order in which they came. Arrivals
    and attempts are on disk when their futures are done; what comes after a line was begun survives the daemon's
    end, and may be lost in a power cut. Where the disk refuses, all goes on in memory (`durable`, `trouble`).

    Args:
        path: the SQLite file, or `None` for memory only.
        limits: how much it keeps.
        on_lines: called when there is more to speak, or `trouble` changed: after the commit.
        on_events: the same when there is more to publish.
        clock: the times.

    Attributes:
        events_dropped: how many events the full outbox had no room for, since the start.

    Raises:
        InboxError: another daemon has the file open.
    """

    def __init__(
        self,
        path: Path | None,
        limits: InboxLimits,
        *,
        on_lines: Callable[[], None] = no_op,
        on_events: Callable[[], None] = no_op,
        clock: BootClock | None = None,
    ) -> None:
        self._limits = limits
        self._on_lines = on_lines
        self._on_events = on_events
        self._clock = clock or BootClock()
        self._refusals = RejectionLimit(self._clock.since_boot_s)
        self._has_untold = True  # perhaps since before the start
        self._run = uuid4().hex
        self._keeper = Storage(path, self._clock)
        self._told = self._keeper.trouble
        self.events_dropped = 0
        self._marked_s = self._heard_s = self._clock.since_boot_s()
        try:
            self._keeper.insist(self._recover)
            self._writer = WriterThread(self._keeper, self._books, self._recover, self._committed)
            self._settings = SettingWrites(self._writer)
        except BaseException:
            self._keeper.close()
            raise

    @property
    def durable(self) -> bool:
        """Whether what is accepted now is on disk."""
        return self._keeper.durable

    @property
    def trouble(self) -> str | None:
        """What had to give for want of a good file, in a sentence for the operator."""
        return self._keeper.trouble

    def alive(self) -> bool:
        """Whether the thread `inbox` still runs."""
        return self._writer.alive()

    def overdue_s(self) -> float:
        """How long the thread `inbox` has been at one group of changes."""
        return self._writer.overdue_s()

    def close(self) -> None:
        """Keep what was asked for, and close the file. What is being spoken counts as cut off by a crash."""
        self._writer.submit(_end_in_order)
        self._writer.close(_CLOSE_S)
        self._keeper.close()

    # Arrivals

    def accept(self, arrivals: Sequence[Arrival]) -> Future[None]:
        """Take a group of arrivals, in order: all of them are on disk, or none is.

        Each gets `accepted`, `duplicate`, `merged` or `rejected`; of a flood of `duplicate` and `rejected` the rest is
        told together (`sum_up`). What the broker delivers once more gets nothing. In a full queue a line of lower
        priority of which nothing has sounded gives way (`evicted`, see `Ledger.evict`); without one, `queue_full`.
        """

        def enter(ledger: Transaction) -> None:
            self._heard_s = ledger.now_s
            admit_all(ledger, arrivals, self._limits, durable=self.durable)
            ledger.prune(self._limits, _PRUNE_MOST * len(arrivals))

        return self._writer.submit(enter, durable=True)

    def begin_session(self, session: str, resumed: bool) -> Future[None]:
        """The connection to the broker stands; `session` names it.

        Where it did not resume the one that we know, the packet ids of earlier deliveries mean nothing any more. No
        message of it may be accepted before this is on disk.
        """

        def enter(ledger: Transaction) -> None:
            if not resumed or ledger.recall(".session") != session:
                ledger.forget_deliveries()
                ledger.remember(".session", session)

        return self._writer.submit(enter, durable=True)

    def forget_deliveries(self, deliveries: Sequence[Delivery]) -> Future[None]:
        """The broker will not repeat these: their packet ids mean other messages from now on."""
        return self._writer.submit(lambda ledger: ledger.forget(deliveries))

    # The line being spoken

    def take(self, minimum: Priority = Priority.LOW, held: Collection[str | None] = ()) -> PendingTake[DequeuedLine]:
        """Order the next line: the highest priority first, then the oldest, as soon as there is one.

        It is `speaking`, and this attempt on disk, when the order's future is done.

        Args:
            minimum: lines of a lower priority wait on, unless they were begun.
            held: voices whose lines wait on and let the others pass; `None`: those of lines that name none.
        """

        return self._writer.stand(lambda ledger: dequeue.take(ledger, minimum, held))

    def rehearse(
        self, minimum: Priority = Priority.LOW, held: Collection[str | None] = ()
    ) -> PendingTake[DequeuedLine]:
        """Order a look at the line that `take` would give, as soon as there is one; it waits on as if nobody looked.

        That an engine may see it is on disk when the order's future is done: after a crash in the middle of a
        rehearsal nothing is rehearsed until that line has ended, so that it cannot take the board down again and
        again from behind the others.

        Args:
            minimum, held: as for `take`.
        """

        return self._writer.stand(lambda ledger: dequeue.rehearse(ledger, minimum, held, self._run))

    def started(self, seq: int, data: dict[str, Any]) -> Future[None]:
        """Its first sound plays. Told once a line, also over interruptions; from now on it cannot expire.

        Args:
            data: what the event tells besides `queue_s`.
        """

        def enter(ledger: Transaction) -> None:
            row = ledger.row(seq, SPEAKING)
            if not row["started"]:
                ledger.update(seq, started=1)
                queue_s = round(max(0.0, ledger.now_s - row["born_s"]), 3)
                ledger.event(row["id"], "started", {"queue_s": queue_s, **data})

        return self._writer.submit(enter)

    def reached(self, seq: int, spoken: str, position: int) -> Future[None]:
        """Where to go on in the text as it is read aloud, should the line be cut off now."""

        def enter(ledger: Transaction) -> None:
            ledger.row(seq, SPEAKING)
            ledger.update(seq, spoken=spoken, position=position)

        return self._writer.submit(enter)

    def interrupt(self, seq: int) -> Future[None]:
        """Something urgent cuts in: back to its place in the queue, to go on from where it has reached."""

        def enter(ledger: Transaction) -> None:
            row = ledger.row(seq, SPEAKING)
            ledger.put_back(row)
            ledger.event(row["id"], "interrupted", {})

        return self._writer.submit(enter)

    def postpone(self, seq: int) -> Future[None]:
        """It cannot be spoken now (no engine, no device): back to its place, without an event."""
        return self._writer.submit(lambda ledger: ledger.put_back(ledger.row(seq, SPEAKING)))

    def finish(self, seq: int, outcome: Outcome, data: dict[str, Any]) -> Future[None]:
        """The final outcome of a line that is spoken or waits, with what the contract names for its event."""
        return self._writer.submit(lambda ledger: ledger.end(ledger.row(seq, SPEAKING, WAITING), outcome, data))

    # The lines waiting

    def cancel_waiting(self, by: str, line_id: str | None = None) -> Future[int]:
        """Cancel all waiting lines, or those of one id; gives how many there were."""

        def enter(ledger: Transaction) -> int:
            rows = ledger.waiting(line_id)
            for row in rows:
                ledger.end(row, Outcome.CANCELLED, {"by": by})
            return len(rows)

        return self._writer.submit(enter)

    def replay(self, new_id: str) -> Future[Line | None]:
        """Say again what sounded last and has ended, as a line of its own; gives the old one, `None`: there is none.

        The future raises CommandError where the queue is full.
        """

        def enter(ledger: Transaction) -> Line | None:
            which = "lines INDEXED BY lines_sounded WHERE started AND ended_n > 0"
            sounded = f"SELECT * FROM {which} ORDER BY ended_n DESC LIMIT 1"  # noqa: S608  ours
            for row in ledger.rows(sounded):
                if ledger.depth() >= self._limits.max_lines:
                    raise CommandError("the queue is full (queue.max_lines); ask again when it is shorter")
                last = row_line(row)
                again = replace(last, id=new_id, reply_to=None, ttl_s=None)
                admit(ledger, again, self._limits, ledger.depth(), durable=self.durable)
                return last
            return None

        return self._writer.submit(enter, durable=True)

    def expire(self) -> None:
        """End what has waited too long, should there be any. For pauses, when nobody takes."""
        now_s, due_s = self._clock.since_boot_s(), self._writer.facts.next_expiry_s
        stale = due_s is not None and due_s <= now_s
        # Ages go on after a power cut from the last time this boot was seen: those of lines that wait, and of those
        # that are known still, lest what is sent at each start of the day be taken for its own repetition.
        aging = self.depth() or now_s - self._heard_s <= self._limits.dedup_s + _MARK_EVERY_S
        if stale or (aging and now_s - self._marked_s > _MARK_EVERY_S):
            self._marked_s = now_s
            self._writer.submit(_expire_and_mark)

    def urgent_waiting(self, held: Collection[str | None] = ()) -> bool:
        """Whether a line waits that cuts in on the one being spoken. `held`: as for `take`."""
        now_s = self._clock.since_boot_s()
        until_s = self._writer.facts.urgent_until_s
        return any(ends_s > now_s for voice, ends_s in until_s.items() if voice not in held)

    def depth(self) -> int:
        """How many lines wait; the one being spoken does not."""
        return self._writer.facts.depth

    def prune(self, *, short: bool = False) -> bool:
        """Forget ended lines that the history has no room for, for about a second, a few in each transaction.

        Args:
            short: the disk is short of room; all that is not needed may go.

        Returns:
            Whether there may be more to forget.

        Raises:
            InboxError: the disk refuses.
        """
        until_s = time.monotonic() + _PRUNE_FOR_S
        while True:
            change = self._writer.submit(lambda ledger: ledger.prune(self._limits, _PRUNE_AT_ONCE, short=short))
            try:
                if not change.result(_PRUNE_WAIT_S):
                    return False
            except NotInTime:
                return True  # the disk is busy with lines; the history can wait
            if time.monotonic() >= until_s:
                return True

    # The outbox

    def record(self, event: Event) -> Future[None]:
        """Send an event that is not of a line's life, such as `command`, in order with the others."""
        return self._writer.submit(lambda ledger: ledger.post(event))

    def sum_up(self) -> None:
        """Send one event for the lines of each kind that a flood left without one. To be called every few seconds."""
        if self._has_untold:
            self._has_untold = False
            self._writer.submit(lambda ledger: ledger.tell_untold())

    def unsent(self, limit: int = 100) -> Future[list[tuple[int, Event]]]:
        """The oldest events that are not known to be sent, each with its number, in order."""
        return self._writer.submit(lambda ledger: ledger.unsent(limit))

    def sent(self, numbered: Sequence[tuple[int, Event]]) -> Future[None]:
        """The broker has these events."""
        return self._writer.submit(lambda ledger: ledger.sent(numbered))

    # Settings

    def remember(self, key: str, value: str) -> Future[None]:
        """Keep a setting over a restart (`volume`, `muted`, `paused`).

        If values come faster than the disk takes them, only the newest is written. The future is done when this
        value, or a newer one, is kept.
        """
        return self._settings.remember(key, value)

    def recall(self, key: str) -> str | None:
        """What `remember` kept, or `None`. Waits for the disk: for the start."""
        return settled(self._writer.submit(lambda ledger: ledger.recall(key)))

    def _books(self, keeper: Storage) -> Transaction:
        return Transaction(keeper.connection, self._clock, self._refusals)

    def _recover(self) -> None:
        self._books(self._keeper).recover(self._limits.after_crash, self._limits.max_attempts, self._run)

    def _committed(self, ledger: Transaction) -> None:
        """Tell the listeners, once it is kept."""
        self.events_dropped += ledger.dropped
        self._has_untold = self._has_untold or ledger.has_untold
        if ledger.has_events:
            self._on_events()
        if ledger.has_lines or self._told != self._keeper.trouble:
            self._told = self._keeper.trouble
            self._on_lines()


def _end_in_order(ledger: Transaction) -> None:
    ledger.mark()
    ledger.rehearses_nothing()


def _expire_and_mark(ledger: Transaction) -> None:
    ledger.expire()
    ledger.mark()
