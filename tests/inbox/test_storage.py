"""Disks that are full, files that are damaged: lines are accepted and spoken all the same, and nothing is forgotten."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ishowtts.inbox import storage
from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority
from ishowtts.speech import Outbox
from support.disk import fill
from support.waiting import eventually

House = Any  # of conftest.py


@pytest.fixture
def quick_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_RETRY_S", 0.1)


def reopen_in_memory(house: House) -> Path:
    """Open a house whose file cannot be used, until the folder that this gives is removed."""
    lock: Path = house.path.with_name("inbox.sqlite.lock")
    lock.unlink()
    lock.mkdir()
    house.open()
    assert not house.inbox.durable
    return lock


def accept_until_it_flees(house: House) -> list[str]:
    """SQLite has some room left in the pages that it holds."""
    sent = []
    while house.inbox.durable:
        sent.append(f"late-{len(sent)}")
        house.inbox.accept([Line(sent[-1], sent[-1] + "x" * 2000)])
    return sent


def test_on_a_full_disk_lines_go_on_in_memory_and_say_so(
    build_house: Callable[..., House], small_disk: Path, quick_return: None
) -> None:
    house = build_house(small_disk, max_lines=1000)
    house.inbox.accept([Line("a", "first"), Line("b", "second"), Line("c", "third", priority=Priority.HIGH)])
    house.inbox.remember("volume", "30")
    spoken = house.inbox.take()
    filler = fill(small_disk)
    late = accept_until_it_flees(house)

    assert "memory only" in house.inbox.trouble
    assert "room" in house.inbox.trouble
    [*_, (_, event)] = house.inbox.unsent(1000)
    assert (event.event, event.id, event.data["durable"]) == ("accepted", late[-1], False)
    house.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    assert [house.inbox.take().line.id for _ in range(2)] == ["a", "b"]
    assert house.inbox.recall("volume") == "30"
    events = [(event.id, event.event) for _, event in house.inbox.unsent(1000)]
    assert events == [
        *((name, "accepted") for name in ["a", "b", "c", *late]),
        ("c", "finished"),
    ]

    for seq in (1, 2):
        house.inbox.finish(seq, Outcome.FINISHED, {})
    filler.unlink()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    assert house.inbox.trouble is None
    house.restart()
    assert house.inbox.depth() == len(late)
    assert [house.inbox.take().line.id for _ in late] == late
    assert {entry.id: entry.outcome for entry in house.history(99)}["a"] is Outcome.FINISHED
    assert [event.id for _, event in house.inbox.unsent(1000)][-2:] == ["a", "b"]
    house.inbox.close()


def test_what_a_folder_refused_at_the_start_is_kept_once_it_can_be(
    build_house: Callable[..., House], tmp_path: Path, quick_return: None
) -> None:
    house = build_house(tmp_path)
    house.inbox.close()
    blocker = tmp_path / "blocker"
    blocker.write_text("no folder")
    house.path.parent.rename(tmp_path / "aside")
    house.path.parent.symlink_to(blocker)
    house.inbox = house.make_inbox()
    assert "memory only" in house.inbox.trouble
    house.inbox.accept([Line("a", "hello")])
    house.path.parent.unlink()
    house.path.parent.mkdir()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    house.restart()
    assert house.inbox.take().line.id == "a"
    house.inbox.close()


def test_a_file_that_can_be_opened_but_not_written_stops_no_start(
    build_house: Callable[..., House], tmp_path: Path, quick_return: None
) -> None:
    house = build_house(tmp_path)
    house.inbox.accept([Line("a", "hello")])
    house.inbox.close()
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        house.open()
        assert "memory only" in house.inbox.trouble
        assert house.inbox.depth() == 1, "what could be read goes on"
    eventually(lambda: house.inbox.durable, "the return to the disk")
    assert house.inbox.take().line.id == "a"
    assert house.inbox.take() is None
    house.inbox.close()


@pytest.mark.parametrize("details", ['{"pitch": 2}', "{", "[]"])
def test_a_line_that_cannot_be_read_back_fails_alone(house: House, details: str) -> None:
    house.inbox.accept([Line("a", "hello"), Line("b", "hello")])
    house.inbox.close()
    with closing(sqlite3.connect(house.path)) as other, other:
        other.execute("UPDATE lines SET details = ? WHERE id = 'a'", (details,))
    house.open()
    assert house.inbox.take().line.id == "b"
    assert house.events()[-1] == ("a", "failed")


def test_a_row_that_damage_left_empty_costs_no_other(house: House) -> None:
    house.inbox.accept([Line(name, "hello") for name in ("a", "b", "c")])
    house.inbox.close()
    with closing(sqlite3.connect(house.path)) as other, other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, 'ts TEXT NOT NULL', 'ts TEXT')")
    with closing(sqlite3.connect(house.path)) as other, other:
        other.execute("UPDATE outbox SET ts = NULL WHERE id = 'b'")
        other.execute("UPDATE lines SET ts = NULL WHERE id = 'c'")
    with closing(sqlite3.connect(house.path)) as other, other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, 'ts TEXT', 'ts TEXT NOT NULL')")
    house.open()
    assert "damaged" in house.inbox.trouble
    assert [house.inbox.take().line.id for _ in range(2)] == ["a", "b"]
    assert house.events() == [("a", "accepted"), ("c", "accepted"), ("c", "failed")]


def test_a_folder_removed_under_the_daemon_is_noticed_and_used_again_once_it_is_there(
    house: House, quick_return: None
) -> None:
    house.inbox.accept([Line("a", "hello")])
    spoken = house.inbox.take()
    shutil.rmtree(house.path.parent)
    house.inbox.accept([Line("b", "hello")])
    assert not house.inbox.durable
    assert "removed under the daemon" in house.inbox.trouble
    house.path.parent.mkdir()
    house.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    eventually(lambda: house.inbox.durable, "the return to the disk")
    house.restart()
    assert house.inbox.take().line.id == "b"
    assert house.inbox.take() is None
    assert house.events() == [("a", "accepted"), ("b", "accepted"), ("a", "finished")]


def test_lines_that_cannot_be_read_for_a_while_wait_in_the_file(
    make_house: Callable[..., House], quick_return: None
) -> None:
    house = make_house(max_lines=100)
    house.inbox.accept([Line(f"a{n}", "hello") for n in range(5)])
    house.inbox.take()
    # SQLite itself breaks off each statement on this connection, as it does when the disk cannot be read.
    house.inbox.plain._storage.connection.set_progress_handler(lambda: 1, 1)
    house.inbox.accept([Line("b", "hello")])
    assert not house.inbox.durable
    eventually(lambda: house.inbox.durable, "the return to the disk")
    assert [house.inbox.take().line.id for _ in range(6)] == [*(f"a{n}" for n in range(5)), "b"]
    assert [name for name, _ in house.events()] == [*(f"a{n}" for n in range(5)), "b"]


@pytest.fixture
def house_away(build_house: Callable[..., House], tmp_path: Path) -> Iterator[Callable[..., tuple[House, Path]]]:
    """`house_away(*ids)`: what came before is in a file that cannot be opened until a folder is removed."""
    houses = []

    def make(*ids: str, **limits: Any) -> tuple[House, Path]:
        house = build_house(tmp_path, **limits)
        houses.append(house)
        house.inbox.accept([Line(name, f"text of {name}") for name in ids])
        house.inbox.close()
        lock = reopen_in_memory(house)
        return house, lock

    yield make
    for house in houses:
        house.inbox.close()


def test_what_the_file_held_counts_at_once_when_it_is_back(
    house_away: Callable[..., tuple[House, Path]], quick_return: None
) -> None:
    house, lock = house_away("a", "b")
    lock.rmdir()
    eventually(lambda: house.inbox.depth() == 2, "the lines of the file, though nobody asks for any")


def test_an_event_of_the_file_is_not_taken_for_one_of_the_memory(
    house_away: Callable[..., tuple[House, Path]], quick_return: None
) -> None:
    house, lock = house_away("a")
    house.inbox.accept([Line("b", "hello")])
    unsent = house.inbox.unsent()
    assert [(number, event.id) for number, event in unsent] == [(1, "b")]
    lock.rmdir()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    house.inbox.sent(unsent)
    assert [event.id for _, event in house.inbox.unsent()] == ["a", "b"], "told twice rather than never"


def test_every_event_is_told_once_though_the_numbers_begin_anew(
    house_away: Callable[..., tuple[House, Path]], quick_return: None
) -> None:
    house, lock = house_away("a")
    house.inbox.accept([Line(f"b{n}", "hello") for n in range(3)])
    told: list[str] = []
    outbox = Outbox(house.inbox.plain, lambda numbered, _: len(numbered), lambda event: told.append(event.id))
    outbox.start()
    try:
        eventually(lambda: not house.inbox.unsent(), "the events of the memory")
        lock.rmdir()
        eventually(lambda: house.inbox.durable, "the return to the disk")
        outbox.wake()
        eventually(lambda: len(told) == 4, "the event of the file")
    finally:
        outbox.close(20)
    assert told == ["b0", "b1", "b2", "a"]


def test_what_the_broker_delivered_into_memory_is_known_in_the_file(
    house_away: Callable[..., tuple[House, Path]], quick_return: None
) -> None:
    def arrival(line_id: str, packet_id: int, *, again: bool) -> Arrival:
        return Arrival(Line(line_id, "hello"), Delivery(packet_id, b"hello", again))

    house, lock = house_away()
    lock.rmdir()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    house.inbox.begin_session("s", False)
    house.inbox.accept([arrival("a", 7, again=False)])
    house.inbox.close()
    lock.unlink()
    lock.mkdir()
    house.open()
    house.inbox.begin_session("s", False)
    house.inbox.accept([arrival("b", 8, again=False)])
    lock.rmdir()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    house.inbox.accept([arrival("c", 8, again=True), arrival("d", 7, again=True)])
    assert [house.inbox.take().line.id for _ in range(3)] == ["a", "b", "d"]
    assert house.inbox.take() is None


def test_the_last_line_that_sounded_is_one_of_the_memory(
    house_away: Callable[..., tuple[House, Path]], quick_return: None
) -> None:
    def speak(house: House) -> None:
        seq = house.inbox.take().seq
        house.inbox.started(seq, muted=False)
        house.inbox.finish(seq, Outcome.FINISHED, {})

    house, lock = house_away("a", "b")
    lock.rmdir()
    eventually(lambda: house.inbox.depth() == 2, "the return to the disk")
    speak(house)
    speak(house)
    house.inbox.close()
    lock.unlink()
    lock.mkdir()
    house.open()
    house.inbox.accept([Line("c", "hello")])
    speak(house)
    lock.rmdir()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    assert house.inbox.replay("again").id == "c"


def test_after_crash_holds_for_a_file_that_comes_late(
    build_house: Callable[..., House], tmp_path: Path, quick_return: None
) -> None:
    house = build_house(tmp_path, after_crash="skip")
    house.inbox.accept([Line("a", "hello")])
    house.inbox.take()
    house.inbox.close()
    lock = house.path.with_name("inbox.sqlite.lock")
    lock.unlink()
    lock.mkdir()
    house.open()
    lock.rmdir()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    assert house.inbox.take() is None
    assert house.events()[-1] == ("a", "failed")
    house.inbox.close()


def test_what_is_in_memory_reaches_a_file_that_is_good_again_by_the_end(
    house_away: Callable[..., tuple[House, Path]],
) -> None:
    house, lock = house_away("a")
    house.inbox.accept([Line("b", "hello")])
    lock.rmdir()
    house.restart()
    assert [house.inbox.take().line.id for _ in range(2)] == ["a", "b"]


def test_lines_of_the_file_come_before_those_that_waited_in_memory(
    build_house: Callable[..., House], small_disk: Path, quick_return: None
) -> None:
    house = build_house(small_disk, max_lines=1000)
    house.inbox.accept([Line("a", "hello")])
    seq = house.inbox.take().seq
    house.inbox.reached(seq, 3)
    house.inbox.close()
    lock = reopen_in_memory(house)
    house.inbox.accept([Line("b", "hello")])
    lock.rmdir()
    eventually(lambda: house.inbox.durable, "the return to the disk")
    taken = [house.inbox.take() for _ in range(2)]
    assert [(one.line.id, one.position) for one in taken] == [("a", 3), ("b", 0)]
    assert [event.id for _, event in house.inbox.unsent()] == ["a", "b"]
    house.inbox.close()


def test_a_value_that_sqlite_refuses_is_no_fault_of_the_file(make_house: Callable[..., House]) -> None:
    house = make_house()
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL constraint failed"):
        house.inbox.remember("volume", None)
    kinds = (sqlite3.ProgrammingError, sqlite3.InterfaceError)  # the latter on Python 3.10
    with pytest.raises(kinds, match=r"[Ee]rror binding parameter"):
        house.inbox.remember("volume", object())
    assert house.inbox.durable
    assert house.inbox.trouble is None


def test_a_file_damaged_under_the_daemon_is_replaced_with_what_lives(make_house: Callable[..., House]) -> None:
    house = make_house(max_lines=10_000)
    house.inbox.remember("volume", "30")
    house.inbox.accept([Line(f"{n}", f"{n}" + "x" * 3000) for n in range(2000)])
    house.restart()
    spoken = house.inbox.take()
    path = house.path
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(400_000))
    cancelled = house.inbox.cancel_waiting("test")
    assert "corrupt-" in house.inbox.trouble
    assert house.inbox.durable
    assert 500 < cancelled < 2000, "what stood before the damage"
    house.inbox.accept([Line("new", "hello")])
    house.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    assert house.inbox.recall("volume") == "30"
    house.restart()
    assert house.inbox.take().line.id == "new"
