"""The one thread that writes: whatever was asked for meanwhile goes to disk in one transaction."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from ishowtts.errors import InboxError
from ishowtts.inbox.storage import Storage
from ishowtts.inbox.transaction import QueueFacts, Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")
_GROUP = 200
_LOOK_S = 1.0
# What SQLite thinks of values and statements; nothing is wrong with the file.
_OF_THE_CALLER = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.NotSupportedError,
)


@dataclass
class _Change:
    work: Callable[[Transaction], Any]
    durable: bool
    future: Future[Any] = field(default_factory=Future)


class PendingTake(Generic[T]):
    """A standing order: carried out in the first transaction in which it gives something.

    Attributes:
        future: what it gave, once that is on disk; `None` where it was withdrawn before.
    """

    def __init__(self, work: Callable[[Transaction], T | None], withdraw: Callable[[PendingTake[T]], None]) -> None:
        self.work = work
        self.future: Future[T | None] = Future()
        self._withdraw = withdraw

    def withdraw(self) -> None:
        """Not wanted any more: `future` is done now, or with the transaction that runs."""
        self._withdraw(self)


class WriterThread:
    """Owns the thread `inbox`, and with it the use of the keeper's connection.

    A job is done once its transaction is committed: on disk where it is durable, else in the system's hands, which
    only a power cut can take it from. Jobs are carried out in the order in which they came.

    Args:
        books: opens the ledger of one transaction.
        recover: sees to the lines that a crash cut off, in the transaction that is open.
        on_commit: told of each transaction, on this thread, before those who wait for it.
    """

    def __init__(
        self,
        keeper: Storage,
        books: Callable[[Storage], Transaction],
        recover: Callable[[], None],
        on_commit: Callable[[Transaction], None],
    ) -> None:
        self._keeper = keeper
        self._books = books
        self._recover = recover
        self._on_commit = on_commit
        self._wake = threading.Condition()
        self._jobs: deque[_Change] = deque()
        self._order: PendingTake[Any] | None = None
        self._untried = False  # whether something came since the order was tried
        self._in_hand = False  # whether the transaction that runs may carry it out
        self._withdrawn = False
        self._closing = False
        self._looked_s = time.monotonic()
        self.facts: QueueFacts = keeper.insist(lambda: books(keeper).facts())
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Transaction], T], *, durable: bool = False) -> Future[T]:
        """Have `work` carried out; never blocks. Where it raises, it has changed nothing, and the future tells."""
        job = _Change(work, durable)
        with self._wake:
            if self._closing:
                job.future.set_exception(InboxError("the inbox cannot be used any more: it is closed"))
            else:
                self._jobs.append(job)
                self._wake.notify()
        return job.future

    def stand(self, work: Callable[[Transaction], T | None]) -> PendingTake[T]:
        """Place the standing order; it takes the place of none that stands."""
        order: PendingTake[T] = PendingTake(work, self._withdraw)
        with self._wake:
            if self._closing or self._order is not None:
                order.future.set_result(None)
            else:
                self._order, self._untried, self._withdrawn = order, True, False
                self._wake.notify()
        return order

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def overdue_s(self) -> float:
        """How long the thread has been at one group of changes."""
        return time.monotonic() - self._looked_s

    def close(self, timeout_s: float) -> None:
        """Carry out what was asked for, then end."""
        with self._wake:
            order, self._closing = self._order, True
            self._wake.notify()
        if order is not None:
            order.withdraw()
        self._thread.join(timeout_s)

    def _withdraw(self, order: PendingTake[Any]) -> None:
        with self._wake:
            if self._order is not order:
                return
            if self._in_hand:
                self._withdrawn = True
                return
            self._order = None
        order.future.set_result(None)

    def _run(self) -> None:
        while True:
            self._looked_s = time.monotonic()
            with self._wake:
                self._wake.wait_for(self._has_work, _LOOK_S)
                if self._closing and not self._jobs:
                    break
                group = [self._jobs.popleft() for _ in range(min(_GROUP, len(self._jobs)))]
                # What makes a line wait is durable, so an order is in hand whenever it may give one. It overtakes
                # nobody: what is cancelled by a job that still waits must not be given.
                due = self._order is not None and (self._untried or any(job.durable for job in group))
                wanted = due and not self._jobs
                order = self._order if wanted else None
                self._in_hand, self._untried = wanted, due and not wanted
            back = self._keeper.due_back() and not self.facts.speaking and self._keeper.come_back(self._recover)
            if back:
                self._untried = True
            if group or order is not None or back:
                self._carry_out(group, order)
            else:
                self._keeper.look()
        # The last chance of what is only in memory, though it is not yet time to try the file again.
        self._keeper.come_back(self._recover)

    def _has_work(self) -> bool:
        return bool(self._jobs) or self._closing or (self._untried and self._order is not None)

    def _carry_out(self, group: list[_Change], order: PendingTake[Any] | None) -> None:
        given, tell = None, list[Callable[[], None]]()
        try:
            try:
                given, tell = self._transact(group, order)
            except InboxError as error:
                self._keeper.flee(error)
                given, tell = self._transact(group, order)
        except InboxError as error:
            log.error("what was to be kept is lost: %s", error)
            tell = [partial(job.future.set_exception, error) for job in group]
        with self._wake:
            self._in_hand = False
            done = given is not None or (order is not None and self._withdrawn)
            if done:
                self._order = None
        if order is not None and done:
            order.future.set_result(given)
        for answer in tell:
            answer()

    def _transact(self, group: list[_Change], order: PendingTake[Any] | None) -> tuple[Any, list[Callable[[], None]]]:
        durable = order is not None or any(job.durable for job in group)
        with self._keeper.transaction(durable=durable):
            ledger = self._books(self._keeper)
            tell = [_do(job, ledger) for job in group]
            given = None if order is None else order.work(ledger)
            ledger.close()
            facts = ledger.facts()
        self.facts = facts
        if ledger.has_lines and order is None:
            self._untried = True
        self._on_commit(ledger)
        return given, tell


class SettingWrites:
    """Writes settings through a writer; at most one write of each key waits. Any thread may call."""

    def __init__(self, writer: WriterThread) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._newest: dict[str, str] = {}
        self._waiting: dict[str, Future[None]] = {}

    def remember(self, key: str, value: str) -> Future[None]:
        """Have `value` kept, if it is not kept already. Done when it, or a newer one of this key, is kept."""

        def enter(ledger: Transaction) -> None:
            # Not waiting from here on: a value that comes later needs a write of its own.
            with self._lock:
                self._waiting.pop(key, None)
                newest = self._newest[key]
            ledger.remember(key, newest)

        with self._lock:
            self._newest[key] = value
            if key not in self._waiting:
                self._waiting[key] = self._writer.submit(enter)
            return self._waiting[key]


def _do(job: _Change, ledger: Transaction) -> Callable[[], None]:
    """Carry out one job, and give what tells its end."""
    try:
        with ledger.undone_where_it_raises():
            return partial(job.future.set_result, job.work(ledger))
    except Exception as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OF_THE_CALLER):
            raise  # the file's fault: the whole transaction is made again elsewhere
        # As with any executor: whatever is wrong with a job is told to who asked for it, and the thread lives on.
        return partial(job.future.set_exception, error)
