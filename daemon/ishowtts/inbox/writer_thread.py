"""The only thread that writes: it commits everything that was requested in the meantime in one transaction."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from ishowtts.errors import InboxError
from ishowtts.inbox.storage import Storage
from ishowtts.inbox.transaction import QueueFacts, Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")
_MOST_CHANGES = 200  # in one transaction
_CHECK_S = 1.0
_WAIT_S = 30.0
# Errors caused by our own SQL. The file is healthy, so do not fail over.
_CALLER_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.NotSupportedError,
)


def wait_for(change: Future[T]) -> T:
    """Wait for a change, and return its result.

    Raises:
        InboxError: The change was not stored, or the disk does not answer.
    """
    try:
        return change.result(_WAIT_S)
    except NotInTime as error:
        raise InboxError(f"the disk has not stored a change of the inbox for {_WAIT_S:.0f} s") from error


@dataclass
class _Change:
    work: Callable[[Transaction], Any]
    durable: bool
    future: Future[Any] = field(default_factory=Future)


class PendingTake(Generic[T]):
    """A request that runs in the first transaction in which it gives something.

    Attributes:
        future: The result, once it is on disk; `None` if the request was withdrawn before.
    """

    def __init__(self, work: Callable[[Transaction], T | None], withdraw: Callable[[PendingTake[T]], None]) -> None:
        self.work = work
        self.future: Future[T | None] = Future()
        self._withdraw = withdraw

    def withdraw(self) -> None:
        """Withdraw the request. `future` is done now, or with the transaction that runs."""
        self._withdraw(self)


class WriterThread:
    """Owns the thread `inbox`, which alone uses the connection of the storage.

    A change is done once its transaction is committed. A durable change is then on disk; another one is in the hands
    of the system, and only a power cut can lose it. Changes run in the order in which they came.

    Args:
        begin: Makes the `Transaction` of one transaction.
        recover: Handles the lines that a crash interrupted, in the transaction that is open.
        on_commit: Called after each transaction on this thread, before its futures are done.
    """

    def __init__(
        self,
        storage: Storage,
        begin: Callable[[Storage], Transaction],
        recover: Callable[[], None],
        on_commit: Callable[[Transaction], None],
    ) -> None:
        self._storage = storage
        self._begin = begin
        self._recover = recover
        self._on_commit = on_commit
        self._wake = threading.Condition()
        self._changes: deque[_Change] = deque()
        self._pending: PendingTake[Any] | None = None
        self._untried = False  # whether something came since the pending take was last tried
        self._running = False  # whether the current transaction may run the pending take
        self._withdrawn = False
        self._closing = False
        self._tick_s = time.monotonic()
        self.facts: QueueFacts = storage.run_with_failover(lambda: begin(storage).facts())
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Transaction], T], *, durable: bool = False) -> Future[T]:
        """Run `work` in a transaction; never blocks. If it raises, it has changed nothing, and the future raises."""
        change = _Change(work, durable)
        with self._wake:
            if self._closing:
                change.future.set_exception(InboxError("the inbox cannot be used any more: it is closed"))
            else:
                self._changes.append(change)
                self._wake.notify()
        return change.future

    def take_later(self, work: Callable[[Transaction], T | None]) -> PendingTake[T]:
        """Register a take that runs as soon as it gives something. Only one may be pending; a second is refused."""
        take: PendingTake[T] = PendingTake(work, self._withdraw)
        with self._wake:
            if self._closing or self._pending is not None:
                take.future.set_result(None)
            else:
                self._pending, self._untried, self._withdrawn = take, True, False
                self._wake.notify()
        return take

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def overdue_s(self) -> float:
        """How long the thread has worked on one group of changes, in seconds."""
        return time.monotonic() - self._tick_s

    def close(self, timeout_s: float) -> None:
        """Run what was requested, then end the thread."""
        with self._wake:
            take, self._closing = self._pending, True
            self._wake.notify()
        if take is not None:
            take.withdraw()
        self._thread.join(timeout_s)

    def _withdraw(self, take: PendingTake[Any]) -> None:
        with self._wake:
            if self._pending is not take:
                return
            if self._running:
                self._withdrawn = True
                return
            self._pending = None
        take.future.set_result(None)

    def _run(self) -> None:
        while True:
            self._tick_s = time.monotonic()
            with self._wake:
                self._wake.wait_for(self._has_work, _CHECK_S)
                if self._closing and not self._changes:
                    break
                group = [self._changes.popleft() for _ in range(min(_MOST_CHANGES, len(self._changes)))]
                # Every change that makes a line wait is durable, so the take is tried whenever it may give one. It
                # runs after all changes: a line that a waiting change cancels must not be given.
                due = self._pending is not None and (self._untried or any(change.durable for change in group))
                wanted = due and not self._changes
                take = self._pending if wanted else None
                self._running, self._untried = wanted, due and not wanted
            restored = (
                self._storage.restore_is_due() and not self.facts.speaking and self._storage.restore(self._recover)
            )
            if restored:
                self._untried = True
            if group or take is not None or restored:
                self._run_group(group, take)
            else:
                self._storage.check_file()
        # The last chance for rows that are only in memory, even if the next try is not due yet.
        self._storage.restore(self._recover)

    def _has_work(self) -> bool:
        return bool(self._changes) or self._closing or (self._untried and self._pending is not None)

    def _run_group(self, group: list[_Change], take: PendingTake[Any] | None) -> None:
        taken, answers = None, list[Callable[[], None]]()
        try:
            try:
                taken, answers = self._transact(group, take)
            except InboxError as error:
                self._storage.fail_over(error)
                taken, answers = self._transact(group, take)
        except InboxError as error:
            log.error("changes of the queue are lost: %s", error)
            answers = [partial(change.future.set_exception, error) for change in group]
        with self._wake:
            self._running = False
            done = taken is not None or (take is not None and self._withdrawn)
            if done:
                self._pending = None
        if take is not None and done:
            take.future.set_result(taken)
        for answer in answers:
            answer()

    def _transact(self, group: list[_Change], take: PendingTake[Any] | None) -> tuple[Any, list[Callable[[], None]]]:
        durable = take is not None or any(change.durable for change in group)
        with self._storage.transaction(durable=durable):
            transaction = self._begin(self._storage)
            answers = [_run_change(change, transaction) for change in group]
            taken = None if take is None else take.work(transaction)
            transaction.close()
            facts = transaction.facts()
        self.facts = facts
        if transaction.added_lines and take is None:
            self._untried = True
        self._on_commit(transaction)
        return taken, answers


class SettingWrites:
    """Writes settings through a writer thread; at most one write of each key waits. Any thread may call."""

    def __init__(self, writer: WriterThread) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._newest: dict[str, str] = {}
        self._waiting: dict[str, Future[None]] = {}

    def remember(self, key: str, value: str) -> Future[None]:
        """Store `value`, if it is not stored already. Done when it, or a newer value of this key, is stored."""

        def write(transaction: Transaction) -> None:
            # This write no longer waits: a value that comes later needs a write of its own.
            with self._lock:
                self._waiting.pop(key, None)
                newest = self._newest[key]
            transaction.remember(key, newest)

        with self._lock:
            self._newest[key] = value
            if key not in self._waiting:
                self._waiting[key] = self._writer.submit(write, durable=True)
            return self._waiting[key]


def _run_change(change: _Change, transaction: Transaction) -> Callable[[], None]:
    """Run one change. Returns the call that completes its future."""
    try:
        with transaction.savepoint():
            return partial(change.future.set_result, change.work(transaction))
    except Exception as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _CALLER_ERRORS):
            raise  # a fault of the file: the whole transaction runs again after the failover
        # As with any executor, the future raises the error to the caller, and the thread goes on.
        return partial(change.future.set_exception, error)
