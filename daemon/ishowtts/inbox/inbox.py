"""The queue of lines as the other packages use it. Most methods that change something return a future."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from ishowtts.inbox import arrivals, dequeue, line_states
from ishowtts.inbox.boot_clock import BootClock
from ishowtts.inbox.history_reader import latest_entries
from ishowtts.inbox.queue_types import DequeuedLine, HeldKey, HistoryEntry, InboxLimits
from ishowtts.inbox.rejection_limit import RejectionLimit
from ishowtts.inbox.storage import Storage
from ishowtts.inbox.transaction import Transaction
from ishowtts.inbox.writer_thread import PendingTake, SettingWrites, WriterThread, wait_for
from ishowtts.model import Arrival, Delivery, Event, Line, Outcome, Priority
from ishowtts.util.callbacks import no_op

T = TypeVar("T")
_MARK_EVERY_S = 30.0
_CLOSE_S = 10.0
_PRUNE_AT_ONCE = 500
_PRUNE_FOR_S = 1.0
_PRUNE_WAIT_S = 5.0
_PRUNE_PER_ARRIVAL = 2  # ended lines removed for each arrival, so that a flood shrinks a history that is too large


class Inbox:
    """A durable priority queue of lines, and the outbox of their events. Any thread may call any method.

    No method blocks unless it says so. Changes go to one thread, which commits them in groups, in the order in which
    they came. Arrivals, attempts, outcomes and settings are on disk when their futures are done, and before others are
    told of them. Other changes of a line survive the end of the daemon, and a power cut may lose them. If the disk
    refuses, all goes on in memory (`durable`, `problem`).

    Args:
        path: The SQLite file, or `None` for memory only.
        limits: How much it keeps.
        on_lines: Called after a commit if there is more to speak, or if `problem` changed.
        on_events: Called after a commit if there is more to publish.
        clock: For tests.

    Attributes:
        events_dropped: Number of events that the full outbox had no room for, since the start.

    Raises:
        InboxError: Another daemon uses the file, or a later version of this program wrote it.
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
        self._rejections = RejectionLimit(self._clock.since_boot_s)
        self._has_counts = True  # the file may have some from the last run
        self._run = uuid4().hex
        self._storage = Storage(path, self._clock)
        self._reported_problem = self._storage.problem
        self.events_dropped = 0
        self._marked_s = self._last_arrival_s = self._clock.since_boot_s()
        try:
            self._storage.run_with_failover(self._recover)
            self._writer = WriterThread(self._storage, self._begin, self._recover, self._committed)
            self._settings = SettingWrites(self._writer)
        except BaseException:
            self._storage.close()
            raise

    @property
    def durable(self) -> bool:
        """Whether a line that is accepted now is on disk."""
        return self._storage.durable

    @property
    def problem(self) -> str | None:
        """What is wrong with the file, in a sentence for the operator; `None` while all is well."""
        return self._storage.problem

    def set_limits(self, limits: InboxLimits) -> None:
        """Take other limits. A line that waits keeps the time of its end."""
        self._limits = limits

    def alive(self) -> bool:
        """Whether the thread `inbox` runs."""
        return self._writer.alive()

    def overdue_s(self) -> float:
        """How long the thread `inbox` has worked on one group of changes, in seconds."""
        return self._writer.overdue_s()

    def close(self) -> None:
        """Store what was requested, and close the file. A line that is being spoken counts as cut off by a crash."""
        self._writer.submit(dequeue.end_in_order)
        self._writer.close(_CLOSE_S)
        self._storage.close()

    # Arrivals

    def accept(self, group: Sequence[Arrival]) -> Future[None]:
        """Accept a group of arrivals, in order. Either all of them are on disk, or none.

        Each gets an event: `accepted`, `duplicate`, `merged` or `rejected`. During a flood of `duplicate` and
        `rejected`, most of these are only counted (`sum_up`). A message that the broker delivers again gets no event.
        In a full queue, a waiting line of lower priority of which nothing was heard is `evicted`. If there is none, the
        arrival is rejected as `queue_full`.
        """

        def accept(transaction: Transaction) -> None:
            self._last_arrival_s = transaction.now_s
            arrivals.accept_all(transaction, group, self._limits, durable=self.durable)
            transaction.prune(self._limits, _PRUNE_PER_ARRIVAL * len(group))

        return self._writer.submit(accept, durable=True)

    def begin_session(self, session: str, resumed: bool) -> Future[None]:
        """Note that the daemon is connected to the broker. No message may be accepted before this is on disk.

        Args:
            session: Names the session with the broker.
            resumed: Whether the broker has resumed it. If not, the packet ids of earlier deliveries mean nothing any
                more.
        """
        return self._writer.submit(
            lambda transaction: arrivals.begin_session(transaction, session, resumed), durable=True
        )

    def forget_deliveries(self, deliveries: Sequence[Delivery]) -> Future[None]:
        """Forget deliveries that the broker will not repeat: their packet ids mean other messages from now on."""
        return self._writer.submit(lambda transaction: arrivals.forget_deliveries(transaction, deliveries))

    # The line being spoken

    def take(self, minimum: Priority = Priority.LOW, held: Collection[HeldKey] = ()) -> PendingTake[DequeuedLine]:
        """Take the next line as soon as there is one: the highest priority first, then the oldest.

        When the future is done, the line is `speaking`, and this attempt is on disk. Only one take or peek may be
        pending; the future of a second one gives `None`.

        Args:
            minimum: Lines of a lower priority wait, unless they were started.
            held: The lines that wait and let the others pass.
        """
        return self._writer.take_later(lambda transaction: dequeue.take(transaction, minimum, held))

    def peek_for_prefetch(
        self, minimum: Priority = Priority.LOW, held: Collection[HeldKey] = ()
    ) -> PendingTake[DequeuedLine]:
        """Show the line that `take` would give, as soon as there is one. The line stays in the queue.

        Before the future is done, the database records that this line was handed to an engine. If the process then
        crashes, prefetching stays off until that line has ended. So it cannot crash the daemon again while other lines
        wait before it.

        Args:
            minimum, held: As for `take`.
        """
        return self._writer.take_later(
            lambda transaction: dequeue.peek_for_prefetch(transaction, minimum, held, self._run)
        )

    def started(self, seq: int, data: dict[str, Any]) -> Future[None]:
        """Note that its first sound plays. From now on the line cannot expire. Its event comes once.

        Args:
            data: What the event has besides `queue_s`.
        """
        return self._writer.submit(lambda transaction: line_states.start(transaction, seq, data))

    def resumed(self, seq: int, data: dict[str, Any]) -> Future[None]:
        """Note that a line goes on that was heard before: after an interruption, or after a restart.

        Args:
            data: What the event has.
        """
        return self._writer.submit(lambda transaction: line_states.resume(transaction, seq, data))

    def reached(self, seq: int, spoken: str, position: int) -> Future[None]:
        """Note where the line goes on if it is interrupted now.

        Args:
            spoken: The text as it is read aloud.
            position: In `spoken`, in characters.
        """
        return self._writer.submit(lambda transaction: line_states.reach(transaction, seq, spoken, position))

    def interrupt(self, seq: int) -> Future[None]:
        """Put the line back for a more urgent one, with an event. It goes on from the position that it has reached."""
        return self._writer.submit(lambda transaction: line_states.interrupt(transaction, seq))

    def postpone(self, seq: int) -> Future[None]:
        """Put the line back without an event, because it cannot be spoken now (no engine, no device)."""
        return self._writer.submit(lambda transaction: line_states.postpone(transaction, seq))

    def finish(self, seq: int, outcome: Outcome, data: dict[str, Any], spoken: str | None = None) -> Future[None]:
        """Give a line that is spoken or waits its final outcome.

        Args:
            data: What its event has.
            spoken: The text as it was read aloud, for the history.
        """
        return self._writer.submit(
            lambda transaction: line_states.finish(transaction, seq, outcome, data, spoken), durable=True
        )

    # The lines waiting

    def cancel_waiting(self, by: str, line_id: str | None = None) -> Future[int]:
        """Cancel all waiting lines, or those with one id. The future gives how many there were."""
        return self._writer.submit(
            lambda transaction: line_states.cancel_waiting(transaction, by, line_id), durable=True
        )

    def cancel_author(
        self, by: str, is_author: Callable[[str | None], bool], line_id: str | None = None
    ) -> Future[tuple[int, int]]:
        """Cancel the waiting lines of an author, or those of them with one id.

        The future gives how many lines there were, and how many of the author's lines were taken out of the counts of
        other authors' lines, into which they were merged.

        Args:
            is_author: Returns whether a name is that of the author. Called on the thread `inbox`; it must not raise.
        """
        return self._writer.submit(
            lambda transaction: line_states.cancel_author(transaction, by, is_author, line_id), durable=True
        )

    def replay(self, new_id: str) -> Future[Line | None]:
        """Queue the last line that was heard and has ended again, with a new id.

        The future gives the old line, or `None` if there is none. It raises CommandError if the queue is full.
        """

        def replay(transaction: Transaction) -> Line | None:
            return line_states.replay(transaction, new_id, self._limits, durable=self.durable)

        return self._writer.submit(replay, durable=True)

    def expire(self) -> None:
        """End the lines that have waited too long. To be called while nobody takes lines."""
        now_s, due_s = self._clock.since_boot_s(), self._writer.facts.next_expiry_s
        stale = due_s is not None and due_s <= now_s
        # After a power cut, ages go on from the last time that this boot was seen. That matters for waiting lines and
        # for known ids: a line that is sent at the start of each day must not count as its own duplicate.
        aging = self.depth() or now_s - self._last_arrival_s <= self._limits.dedup_s + _MARK_EVERY_S
        if stale or (aging and now_s - self._marked_s > _MARK_EVERY_S):
            self._marked_s = now_s
            self._writer.submit(_expire_and_mark, durable=True)

    def urgent_waiting(self, held: Collection[HeldKey] = ()) -> bool:
        """Whether a line waits that interrupts the one being spoken. `held`: as for `take`."""
        now_s = self._clock.since_boot_s()
        until_s = self._writer.facts.urgent_until_s
        return any(ends_s > now_s for voice, ends_s in until_s.items() if voice not in held)

    def depth(self) -> int:
        """Number of waiting lines, without the one being spoken."""
        return self._writer.facts.depth

    def expires_while_held(self) -> bool:
        """Whether the quiet hours of now hold a line that expires before they end, after its own `ttl_s`."""
        held_s, due_s = self._limits.held_s(0.0), self._writer.facts.next_expiry_s
        return bool(held_s) and due_s is not None and due_s < self._clock.since_boot_s() + held_s

    def lines_in_memory(self, limit: int, before_seq: int | None) -> Future[list[HistoryEntry]]:
        """The latest lines, newest first, while `durable` is false: the file does not have them then.

        Args:
            before_seq: As in `HistoryFilter`.
        """
        return self._writer.submit(lambda transaction: latest_entries(transaction.rows, limit, before_seq))

    def prune(self, *, short: bool = False) -> bool:
        """Remove ended lines that the history has no room for, a few in each transaction. Blocks for about a second.

        Args:
            short: The disk is short of room; every line goes that is not needed.

        Returns:
            Whether there may be more to remove.

        Raises:
            InboxError: The disk refuses.
        """
        until_s = time.monotonic() + _PRUNE_FOR_S
        while True:
            change = self._writer.submit(
                lambda transaction: transaction.prune(self._limits, _PRUNE_AT_ONCE, short=short)
            )
            try:
                if not change.result(_PRUNE_WAIT_S):
                    return False
            except NotInTime:
                return True  # the disk is busy with lines; the history can wait
            if time.monotonic() >= until_s:
                return True

    # The outbox

    def record(self, event: Event) -> Future[None]:
        """Send an event that does not belong to a line, such as `command`, in order with the others."""
        return self._writer.submit(lambda transaction: transaction.outbox.store(event))

    def sum_up(self) -> None:
        """Send one event for each kind of lines that a flood left without one. To be called every few seconds."""
        if self._has_counts:
            self._has_counts = False
            self._writer.submit(lambda transaction: transaction.outbox.sum_up(), durable=True)

    def unsent(self, limit: int = 100) -> Future[list[tuple[int, Event]]]:
        """The oldest events that the broker has not confirmed, each with its number, in order."""
        return self._writer.submit(lambda transaction: transaction.outbox.unsent(limit))

    def sent(self, numbered: Sequence[tuple[int, Event]]) -> Future[None]:
        """Remove events that the broker has confirmed."""
        return self._writer.submit(lambda transaction: transaction.outbox.sent(numbered))

    # Settings

    def remember(self, key: str, value: str) -> Future[None]:
        """Store a setting that survives a restart (`volume`, `muted`, `paused`, `voice`).

        If values come faster than the disk takes them, only the newest is written. The future is done when this value,
        or a newer one, is stored.
        """
        return self._settings.remember(key, value)

    def recall(self, key: str) -> str | None:
        """A stored setting, or `None`. Waits for the disk; to be called at the start."""
        return wait_for(self._writer.submit(lambda transaction: transaction.recall(key)))

    def _begin(self, storage: Storage) -> Transaction:
        return Transaction(storage.connection, self._clock, self._rejections, self._limits)

    def _recover(self) -> None:
        dequeue.recover(self._begin(self._storage), self._limits, self._run)

    def _committed(self, transaction: Transaction) -> None:
        """Call the listeners after a commit."""
        self.events_dropped += transaction.outbox.dropped
        self._has_counts = self._has_counts or transaction.outbox.counted
        if transaction.outbox.added:
            self._on_events()
        if transaction.added_lines or self._reported_problem != self._storage.problem:
            self._reported_problem = self._storage.problem
            self._on_lines()


def _expire_and_mark(transaction: Transaction) -> None:
    transaction.expire()
    transaction.mark_alive()
