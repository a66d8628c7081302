"""On a full disk or with a damaged file, lines are still accepted and spoken, and nothing is forgotten."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ishowtts.inbox import database, storage
from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority
from ishowtts.speech import Outbox
from support.disk import fill
from support.waiting import eventually

Queue = Any  # of conftest.py


@pytest.fixture
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_RETRY_S", 0.1)


def reopen_in_memory(queue: Queue) -> Path:
    """Open a queue whose file cannot be used until the returned folder is removed."""
    lock: Path = queue.path.with_name("inbox.sqlite.lock")
    lock.unlink()
    lock.mkdir()
    queue.open()
    assert not queue.inbox.durable
    return lock


def accept_until_failover(queue: Queue) -> list[str]:
    """Accept lines until the disk refuses: SQLite has some room left in its pages."""
    sent = []
    while queue.inbox.durable:
        sent.append(f"late-{len(sent)}")
        queue.inbox.accept([Line(sent[-1], sent[-1] + "x" * 2000)])
    return sent


def test_on_a_full_disk_lines_go_on_in_memory_and_their_events_say_so(
    build_queue: Callable[..., Queue], small_disk: Path, quick_retry: None
) -> None:
    queue = build_queue(small_disk, max_lines=1000)
    queue.inbox.accept([Line("a", "first"), Line("b", "second"), Line("c", "third", priority=Priority.HIGH)])
    queue.inbox.remember("volume", "30")
    spoken = queue.inbox.take()
    filler = fill(small_disk)
    late = accept_until_failover(queue)

    assert "memory only" in queue.inbox.problem
    assert "room" in queue.inbox.problem
    [*_, (_, event)] = queue.inbox.unsent(1000)
    assert (event.event, event.id, event.data["durable"]) == ("accepted", late[-1], False)
    queue.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    assert [queue.inbox.take().line.id for _ in range(2)] == ["a", "b"]
    assert queue.inbox.recall("volume") == "30"
    events = [(event.id, event.event) for _, event in queue.inbox.unsent(1000)]
    assert events == [
        *((name, "accepted") for name in ["a", "b", "c", *late]),
        ("c", "finished"),
    ]

    for seq in (1, 2):
        queue.inbox.finish(seq, Outcome.FINISHED, {})
    filler.unlink()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    assert queue.inbox.problem is None
    queue.restart()
    assert queue.inbox.depth() == len(late)
    assert [queue.inbox.take().line.id for _ in late] == late
    assert {entry.id: entry.outcome for entry in queue.history(99)}["a"] is Outcome.FINISHED
    assert [event.id for _, event in queue.inbox.unsent(1000)][-2:] == ["a", "b"]
    queue.inbox.close()


def test_lines_in_memory_are_stored_when_the_folder_can_be_used(
    build_queue: Callable[..., Queue], tmp_path: Path, quick_retry: None
) -> None:
    queue = build_queue(tmp_path)
    queue.inbox.close()
    blocker = tmp_path / "blocker"
    blocker.write_text("no folder")
    queue.path.parent.rename(tmp_path / "aside")
    queue.path.parent.symlink_to(blocker)
    queue.inbox = queue.make_inbox()
    assert "memory only" in queue.inbox.problem
    queue.inbox.accept([Line("a", "hello")])
    queue.path.parent.unlink()
    queue.path.parent.mkdir()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    queue.restart()
    assert queue.inbox.take().line.id == "a"
    queue.inbox.close()


def test_a_file_that_can_be_opened_but_not_written_does_not_prevent_the_start(
    build_queue: Callable[..., Queue], tmp_path: Path, quick_retry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0.2)
    queue = build_queue(tmp_path)
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        queue.open()
        assert "memory only" in queue.inbox.problem
        assert queue.inbox.depth() == 1, "the lines that could be read are there"
    eventually(lambda: queue.inbox.durable, "the return to the file")
    assert queue.inbox.take().line.id == "a"
    assert queue.inbox.take() is None
    queue.inbox.close()


@pytest.mark.parametrize("details", ['{"pitch": 2}', "{", "[]"])
def test_only_the_line_that_cannot_be_read_back_fails(queue: Queue, details: str) -> None:
    queue.inbox.accept([Line("a", "hello"), Line("b", "hello")])
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as other, other:
        other.execute("UPDATE lines SET details = ? WHERE id = 'a'", (details,))
    queue.open()
    assert queue.inbox.take().line.id == "b"
    assert queue.events()[-1] == ("a", "failed")


def test_a_row_with_missing_values_costs_no_other_row(queue: Queue) -> None:
    queue.inbox.accept([Line(name, "hello") for name in ("a", "b", "c")])
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as other, other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, 'ts TEXT NOT NULL', 'ts TEXT')")
    with closing(sqlite3.connect(queue.path)) as other, other:
        other.execute("UPDATE outbox SET ts = NULL WHERE id = 'b'")
        other.execute("UPDATE lines SET ts = NULL WHERE id = 'c'")
    with closing(sqlite3.connect(queue.path)) as other, other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, 'ts TEXT', 'ts TEXT NOT NULL')")
    queue.open()
    assert "damaged" in queue.inbox.problem
    assert [queue.inbox.take().line.id for _ in range(2)] == ["a", "b"]
    assert queue.events() == [("a", "accepted"), ("c", "accepted"), ("c", "failed")]


def test_a_folder_that_is_removed_under_the_daemon_is_used_again_when_it_is_back(
    queue: Queue, quick_retry: None
) -> None:
    queue.inbox.accept([Line("a", "hello")])
    spoken = queue.inbox.take()
    shutil.rmtree(queue.path.parent)
    queue.inbox.accept([Line("b", "hello")])
    assert not queue.inbox.durable
    assert "removed under the daemon" in queue.inbox.problem
    queue.path.parent.mkdir()
    queue.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    eventually(lambda: queue.inbox.durable, "the return to the file")
    queue.restart()
    assert queue.inbox.take().line.id == "b"
    assert queue.inbox.take() is None
    assert queue.events() == [("a", "accepted"), ("b", "accepted"), ("a", "finished")]


def test_lines_that_cannot_be_read_for_a_while_wait_in_the_file(
    make_queue: Callable[..., Queue], quick_retry: None
) -> None:
    queue = make_queue(max_lines=100)
    queue.inbox.accept([Line(f"a{n}", "hello") for n in range(5)])
    queue.inbox.take()
    # SQLite interrupts each statement on this connection, as it does if the disk cannot be read.
    queue.inbox.plain._storage.connection.set_progress_handler(lambda: 1, 1)
    queue.inbox.accept([Line("b", "hello")])
    assert not queue.inbox.durable
    eventually(lambda: queue.inbox.durable, "the return to the file")
    assert [queue.inbox.take().line.id for _ in range(6)] == [*(f"a{n}" for n in range(5)), "b"]
    assert [name for name, _ in queue.events()] == [*(f"a{n}" for n in range(5)), "b"]


@pytest.fixture
def queue_in_memory(build_queue: Callable[..., Queue], tmp_path: Path) -> Iterator[Callable[..., tuple[Queue, Path]]]:
    """`queue_in_memory(*ids)`: lines with these ids are in a file that cannot be opened until a folder is removed."""
    queues = []

    def make(*ids: str, **limits: Any) -> tuple[Queue, Path]:
        queue = build_queue(tmp_path, **limits)
        queues.append(queue)
        queue.inbox.accept([Line(name, f"text of {name}") for name in ids])
        queue.inbox.close()
        lock = reopen_in_memory(queue)
        return queue, lock

    yield make
    for queue in queues:
        queue.inbox.close()


def test_the_lines_of_the_file_count_at_once_when_it_is_back(
    queue_in_memory: Callable[..., tuple[Queue, Path]], quick_retry: None
) -> None:
    queue, lock = queue_in_memory("a", "b")
    lock.rmdir()
    eventually(lambda: queue.inbox.depth() == 2, "the lines of the file, even if nobody takes one")


def test_an_event_in_the_file_is_not_mistaken_for_one_in_memory(
    queue_in_memory: Callable[..., tuple[Queue, Path]], quick_retry: None
) -> None:
    queue, lock = queue_in_memory("a")
    queue.inbox.accept([Line("b", "hello")])
    unsent = queue.inbox.unsent()
    assert [(number, event.id) for number, event in unsent] == [(1, "b")]
    lock.rmdir()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    queue.inbox.sent(unsent)
    assert [event.id for _, event in queue.inbox.unsent()] == ["a", "b"], "sent twice rather than never"


def test_every_event_is_sent_once_even_if_the_numbers_start_again(
    queue_in_memory: Callable[..., tuple[Queue, Path]], quick_retry: None
) -> None:
    queue, lock = queue_in_memory("a")
    queue.inbox.accept([Line(f"b{n}", "hello") for n in range(3)])
    published: list[str] = []
    outbox = Outbox(queue.inbox.plain, lambda numbered, _: len(numbered), lambda event: published.append(event.id))
    outbox.start()
    try:
        eventually(lambda: not queue.inbox.unsent(), "the events of the memory")
        lock.rmdir()
        eventually(lambda: queue.inbox.durable, "the return to the file")
        outbox.wake()
        eventually(lambda: len(published) == 4, "the event of the file")
    finally:
        outbox.close(20)
    assert published == ["b0", "b1", "b2", "a"]


def test_a_message_that_was_delivered_into_memory_is_known_in_the_file(
    queue_in_memory: Callable[..., tuple[Queue, Path]], quick_retry: None
) -> None:
    def arrival(line_id: str, packet_id: int, *, again: bool) -> Arrival:
        return Arrival(Line(line_id, "hello"), Delivery(packet_id, b"hello", again))

    queue, lock = queue_in_memory()
    lock.rmdir()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    queue.inbox.begin_session("s", False)
    queue.inbox.accept([arrival("a", 7, again=False)])
    queue.inbox.close()
    lock.unlink()
    lock.mkdir()
    queue.open()
    queue.inbox.begin_session("s", False)
    queue.inbox.accept([arrival("b", 8, again=False)])
    lock.rmdir()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    queue.inbox.accept([arrival("c", 8, again=True), arrival("d", 7, again=True)])
    assert [queue.inbox.take().line.id for _ in range(3)] == ["a", "b", "d"]
    assert queue.inbox.take() is None


def test_the_last_heard_line_is_one_from_memory(
    queue_in_memory: Callable[..., tuple[Queue, Path]], quick_retry: None
) -> None:
    def speak(queue: Queue) -> None:
        seq = queue.inbox.take().seq
        queue.inbox.started(seq, muted=False)
        queue.inbox.finish(seq, Outcome.FINISHED, {})

    queue, lock = queue_in_memory("a", "b")
    lock.rmdir()
    eventually(lambda: queue.inbox.depth() == 2, "the return to the file")
    speak(queue)
    speak(queue)
    queue.inbox.close()
    lock.unlink()
    lock.mkdir()
    queue.open()
    queue.inbox.accept([Line("c", "hello")])
    speak(queue)
    lock.rmdir()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    assert queue.inbox.replay("again").id == "c"


def test_after_crash_applies_to_a_file_that_is_opened_late(
    build_queue: Callable[..., Queue], tmp_path: Path, quick_retry: None
) -> None:
    queue = build_queue(tmp_path, after_crash="skip")
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.take()
    queue.inbox.close()
    lock = queue.path.with_name("inbox.sqlite.lock")
    lock.unlink()
    lock.mkdir()
    queue.open()
    lock.rmdir()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    assert queue.inbox.take() is None
    assert queue.events()[-1] == ("a", "failed")
    queue.inbox.close()


def test_lines_in_memory_reach_a_usable_file_at_the_end(
    queue_in_memory: Callable[..., tuple[Queue, Path]],
) -> None:
    queue, lock = queue_in_memory("a")
    queue.inbox.accept([Line("b", "hello")])
    lock.rmdir()
    queue.restart()
    assert [queue.inbox.take().line.id for _ in range(2)] == ["a", "b"]


def test_lines_in_the_file_come_before_those_in_memory(
    build_queue: Callable[..., Queue], small_disk: Path, quick_retry: None
) -> None:
    queue = build_queue(small_disk, max_lines=1000)
    queue.inbox.accept([Line("a", "hello")])
    seq = queue.inbox.take().seq
    queue.inbox.reached(seq, 3)
    queue.inbox.close()
    lock = reopen_in_memory(queue)
    queue.inbox.accept([Line("b", "hello")])
    lock.rmdir()
    eventually(lambda: queue.inbox.durable, "the return to the file")
    taken = [queue.inbox.take() for _ in range(2)]
    assert [(one.line.id, one.position) for one in taken] == [("a", 3), ("b", 0)]
    assert [event.id for _, event in queue.inbox.unsent()] == ["a", "b"]
    queue.inbox.close()


def test_a_value_that_sqlite_refuses_does_not_cause_a_failover(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue()
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL constraint failed"):
        queue.inbox.remember("volume", None)
    kinds = (sqlite3.ProgrammingError, sqlite3.InterfaceError)  # the latter on Python 3.10
    with pytest.raises(kinds, match=r"[Ee]rror binding parameter"):
        queue.inbox.remember("volume", object())
    assert queue.inbox.durable
    assert queue.inbox.problem is None


def test_a_file_that_is_damaged_under_the_daemon_is_replaced_by_its_live_rows(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(max_lines=10_000)
    queue.inbox.remember("volume", "30")
    queue.inbox.accept([Line(f"{n}", f"{n}" + "x" * 3000) for n in range(2000)])
    queue.restart()
    spoken = queue.inbox.take()
    path = queue.path
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(400_000))
    cancelled = queue.inbox.cancel_waiting("test")
    assert "corrupt-" in queue.inbox.problem
    assert queue.inbox.durable
    assert 500 < cancelled < 2000, "the rows before the damage"
    queue.inbox.accept([Line("new", "hello")])
    queue.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    assert queue.inbox.recall("volume") == "30"
    queue.restart()
    assert queue.inbox.take().line.id == "new"
