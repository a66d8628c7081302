"""Files that are removed, replaced or readable by others, and pages that cannot be read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ishowtts.inbox import Inbox, InboxLimits, salvage, settled, storage
from ishowtts.inbox.database import open_memory
from ishowtts.model import Arrival, Line, Outcome
from support.waiting import eventually

House = Any  # of conftest.py


@pytest.fixture
def quick_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_RETRY_S", 0.1)


def beside(house: House, *tails: str) -> list[Path]:
    return [house.path.with_name(house.path.name + tail) for tail in tails]


@pytest.mark.parametrize("tails", [("-wal", "-shm"), ("-wal",), ("-shm",)])
def test_a_log_removed_under_the_daemon_is_made_again(house: House, tails: tuple[str, ...]) -> None:
    house.inbox.accept([Line("a", "hello")])
    for path in beside(house, *tails):
        path.unlink()
    house.inbox.accept([Line("b", "hello")])
    assert house.inbox.durable
    assert all(path.exists() for path in beside(house, "-wal", "-shm"))
    house.crash()
    assert [house.inbox.take().line.id for _ in range(2)] == ["a", "b"]


def test_a_removed_log_is_missed_though_no_line_comes(house: House) -> None:
    house.inbox.accept([Line("a", "hello")])
    for path in beside(house, "-wal", "-shm"):
        path.unlink()
    eventually(lambda: all(path.exists() for path in beside(house, "-wal", "-shm")), "a log of its own")
    house.crash()
    assert house.inbox.take().line.id == "a"


def test_a_file_replaced_by_a_copy_of_itself_doubles_no_line(house: House, quick_return: None) -> None:
    house.inbox.accept([Line("a", "hello"), Line("b", "hello"), Line("c", "hello")])
    house.restart()
    spoken = house.inbox.take()
    copy = house.path.with_name("copy")
    with closing(sqlite3.connect(house.path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.rename(house.path)
    house.inbox.accept([Line("d", "hello")])
    house.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    eventually(lambda: house.inbox.durable, "the return to the disk")
    assert house.inbox.depth() == 3
    assert [house.inbox.take().line.id for _ in range(3)] == ["b", "c", "d"]
    assert house.inbox.take() is None
    assert house.events() == [(name, "accepted") for name in "abcd"] + [("a", "finished")]
    assert [(entry.id, entry.outcome) for entry in house.history(9)][-1] == ("a", Outcome.FINISHED)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


def test_what_is_stored_is_private_whatever_the_umask(open_umask: None, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    settled(inbox.accept([Arrival(Line("a", "hello"))]))
    private = {f"inbox.sqlite{tail}": "0o640" for tail in ("", "-wal", "-shm", ".lock")}
    assert modes(tmp_path) == private
    shutil.copytree(tmp_path, tmp_path / "copy")
    inbox.close()
    for path in (tmp_path / "copy").iterdir():
        path.chmod(0o666)
    inbox = Inbox(tmp_path / "copy" / "inbox.sqlite", InboxLimits())
    assert modes(tmp_path / "copy") == private, "also of a file that others could read"
    inbox.close()


def damage_pages(path: Path, places: list[float]) -> int:
    """Put garbage into leaves of tables, at these parts of the file; gives how many rows were in them."""
    raw = bytearray(path.read_bytes())
    pages = [start for start in range(4096, len(raw), 4096) if raw[start] == 0x0D]
    rows = 0
    for start in {pages[int(len(pages) * place)] for place in places}:
        rows += int.from_bytes(raw[start + 3 : start + 5], "big")
        raw[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(raw)
    return rows


@pytest.mark.parametrize("places", [[0.5], [0.35, 0.7], [0.2, 0.4, 0.8]])
def test_of_the_lines_around_unreadable_pages_none_is_lost(
    make_house: Callable[..., House], places: list[float]
) -> None:
    house = make_house(max_lines=1000)
    house.inbox.accept([Line(f"{n}", f"line {n} " + "x" * 100) for n in range(300)])
    house.events()
    house.inbox.close()
    lost = damage_pages(house.path, places)
    house.open()
    assert "corrupt-" in house.inbox.trouble
    assert lost > 10
    assert house.inbox.depth() == 300 - lost


def test_every_row_that_can_be_read_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a reader that tries each row: whatever pages are hurt, the search finds as many."""
    rows = [{"seq": n} for n in (1, 2, 3, 10, 11, 12, 13, 40, 41, 90, 500_000_000)]
    hurt = {3, 12, 40}
    real = open_memory()
    found_but_unreadable = {500_000_000}
    asked = 0

    class Reader:
        def execute(self, query: str, parameters: tuple[int] = (0,)) -> Any:
            nonlocal asked
            if "sqlite_master" in query or "table_xinfo" in query:
                return real.execute(query, parameters if "?" in query else ())
            asked += 1
            return Cursor(parameters[0], hurt | found_but_unreadable if "*" in query else hurt)

    class Cursor:
        def __init__(self, start: int, unreadable: set[int]) -> None:
            self.start = start
            self.unreadable = unreadable

        def __iter__(self) -> Iterator[dict[str, int]]:
            for row in rows:
                if row["seq"] >= self.start:
                    if row["seq"] in self.unreadable:
                        raise sqlite3.DatabaseError("unreadable")
                    yield row

        def fetchone(self) -> dict[str, int] | None:
            return next(iter(self), None)

    monkeypatch.setattr(salvage, "has_ordinary_table", lambda *_: True)
    found, whole = salvage._all_readable(Reader(), "lines", "seq")  # type: ignore[arg-type]
    assert [row["seq"] for row in found] == [1, 2, 10, 11, 13, 41, 90]
    assert not whole
    assert asked < 1000
