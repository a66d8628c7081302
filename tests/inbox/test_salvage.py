"""Damaged pages cost only their own rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ishowtts.inbox import salvage
from ishowtts.inbox.database import open_memory
from ishowtts.model import Line

Queue = Any  # of conftest.py


def damage_pages(path: Path, places: list[float]) -> int:
    """Overwrite leaf pages of tables at these parts of the file. Returns how many rows were in them."""
    raw = bytearray(path.read_bytes())
    pages = [start for start in range(4096, len(raw), 4096) if raw[start] == 0x0D]
    rows = 0
    for start in {pages[int(len(pages) * place)] for place in places}:
        rows += int.from_bytes(raw[start + 3 : start + 5], "big")
        raw[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(raw)
    return rows


@pytest.mark.parametrize("places", [[0.5], [0.35, 0.7], [0.2, 0.4, 0.8]])
def test_no_line_outside_unreadable_pages_is_lost(make_queue: Callable[..., Queue], places: list[float]) -> None:
    queue = make_queue(max_lines=1000)
    queue.inbox.accept([Line(f"{n}", f"line {n} " + "x" * 100) for n in range(300)])
    queue.events()
    queue.inbox.close()
    lost = damage_pages(queue.path, places)
    queue.open()
    assert "corrupt-" in queue.inbox.problem
    assert lost > 10
    assert queue.inbox.depth() == 300 - lost


def test_every_row_that_can_be_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search finds as many rows as a reader that tries each one."""
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
