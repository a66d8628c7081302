from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ishowtts.inbox import (
    BootClock,
    DequeuedLine,
    HistoryEntry,
    Inbox,
    InboxLimits,
    PendingTake,
    read_history,
    wait_for,
)
from ishowtts.model import Arrival, Line, Priority, Rejection

_MEMORY = Path("/dev/shm")


class ManualClock(BootClock):
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.boot_id = "boot-1"
        self.wall = 1_800_000_000.0
        self.since_boot = 100.0

    def wall_s(self) -> float:
        return self.wall

    def since_boot_s(self) -> float:
        return self.since_boot

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds

    def reboot(self) -> None:
        """Switch off for a while. Without a battery, the wall clock starts in 1970 again."""
        self.boot_id += "+"
        self.wall = 0.0
        self.since_boot = 5.0


class SettledInbox:
    """An inbox that waits for each change. `plain` is the inbox itself."""

    def __init__(self, inbox: Inbox) -> None:
        self.plain = inbox

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.plain, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            given = found(*arguments, **named)
            return wait_for(given) if isinstance(given, Future) else given

        return call

    def accept(self, arrivals: Sequence[Arrival | Line | Rejection]) -> None:
        wait_for(self.plain.accept([one if isinstance(one, Arrival) else Arrival(one) for one in arrivals]))

    def take(self, minimum: Priority = Priority.LOW, held: Collection[str | None] = ()) -> DequeuedLine | None:
        """The result of a take that is tried once."""
        return self._at_once(self.plain.take(minimum, held))

    def peek_for_prefetch(
        self, minimum: Priority = Priority.LOW, held: Collection[str | None] = ()
    ) -> DequeuedLine | None:
        """The result of a take that is tried once."""
        return self._at_once(self.plain.peek_for_prefetch(minimum, held))

    def _at_once(self, pending: PendingTake[DequeuedLine]) -> DequeuedLine | None:
        wait_for(self.plain.unsent(0))  # after the first try of the take
        pending.withdraw()
        return wait_for(pending.future)

    def started(self, seq: int, *, muted: bool) -> None:
        wait_for(self.plain.started(seq, {"muted": muted}))

    def reached(self, seq: int, position: int) -> None:
        wait_for(self.plain.reached(seq, "as it is read", position))

    def interrupt(self, seq: int, position: int) -> None:
        self.reached(seq, position)
        wait_for(self.plain.interrupt(seq))


class Queue:
    """A state folder with its open inbox."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.limits = InboxLimits(**{"max_lines": 4, "max_age_s": 900, "dedup_s": 600, "history_days": 30, **limits})
        self.lines_calls = 0
        self.events_calls = 0
        self._lives = 0
        self.open()

    @property
    def path(self) -> Path:
        return self.folder / f"life-{self._lives}" / "inbox.sqlite"

    def open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.inbox = self.make_inbox()

    def make_inbox(self) -> SettledInbox:
        return SettledInbox(
            Inbox(self.path, self.limits, on_lines=self._count_lines, on_events=self._count_events, clock=self.clock)
        )

    def history(self, limit: int) -> list[HistoryEntry]:
        return read_history(self.path, limit)

    def restart(self) -> None:
        self.inbox.close()
        self.open()

    def crash(self) -> None:
        """Continue from the files as they are now, as after a power cut."""
        before = self.path.parent
        self._lives += 1
        shutil.copytree(before, self.path.parent)
        self.inbox.close()
        self.open()

    def events(self) -> list[tuple[str, str]]:
        """The events in the outbox, which are sent now."""
        unsent = self.inbox.unsent(1000)
        self.inbox.sent(unsent)
        return [(event.id, event.event) for _, event in unsent]

    def _count_lines(self) -> None:
        self.lines_calls += 1

    def _count_events(self) -> None:
        self.events_calls += 1


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder in memory, if there is room: these tests would spend most of their time in syncs of the disk.

    Whether a commit is synced is tested with the pragma and with strace, and never with the time that it takes.
    """
    usable = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 100_000_000
    with tempfile.TemporaryDirectory(prefix="ishowtts-inbox-", dir=_MEMORY if usable else None) as folder:
        yield Path(folder)


@pytest.fixture
def state_dir() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture
def queue(state_dir: Path) -> Iterator[Queue]:
    queue = Queue(state_dir)
    yield queue
    queue.inbox.close()


@pytest.fixture
def make_queue(state_dir: Path) -> Iterator[Callable[..., Queue]]:
    """`make_queue(merge_s=10)`: a queue with other limits."""
    made: list[Queue] = []

    def make(**limits: Any) -> Queue:
        made.append(Queue(state_dir / str(len(made)), **limits))
        return made[-1]

    yield make
    for queue in made:
        queue.inbox.close()


@pytest.fixture(scope="session")
def build_queue() -> Callable[[Path], Queue]:
    return Queue


@pytest.fixture(scope="session")
def make_folder() -> Callable[[], AbstractContextManager[Path]]:
    """`with make_folder() as folder`: for tests that need one for each example."""
    return folder_in_memory
