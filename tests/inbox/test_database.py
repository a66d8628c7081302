"""A file in place of the inbox that another program has made keeps nobody waiting."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits, database, read_history
from ishowtts.model import Arrival, Line

House = Any  # of conftest.py
_ENDLESS = "(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r)"
_OPEN = "from pathlib import Path; from ishowtts.inbox import {0}; path = Path({1!r}); {2}"
_READ = "read_history(path, 9)"
_START = "inbox = Inbox(path, InboxLimits()); print(inbox.trouble, inbox.recall('volume')); inbox.close()"


def in_time(path: Path, work: str) -> str:
    """What a process of its own prints; a hang is a failure of the test and does not keep the others waiting."""
    names = "Inbox, InboxLimits, read_history"
    command = [sys.executable, "-c", _OPEN.format(names, str(path), work)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["inbox.sqlite", "inbox.sqlite-wal"])
def test_a_pipe_is_not_waited_for(house: House, name: str) -> None:
    house.inbox.accept([Line("a", "hello")])
    house.inbox.close()
    path = house.path
    path.with_name(name).unlink(missing_ok=True)
    os.mkfifo(path.with_name(name))
    assert f"{name} is not a regular file: move it away" in in_time(path, _READ)
    assert f"{name} is not a regular file: move it away. Until then lines wait in memory only" in in_time(path, _START)
    path.with_name(name).unlink()
    house.open()


@pytest.mark.parametrize(
    "statements",
    [
        f"ALTER TABLE lines RENAME TO l2; CREATE VIEW lines AS SELECT * FROM l2 WHERE {_ENDLESS} > 0",
        f"ALTER TABLE lines RENAME TO l2; CREATE VIEW LINES AS SELECT * FROM l2 WHERE {_ENDLESS} > 0",
        "DROP TABLE lines; CREATE TABLE lines (seq INTEGER PRIMARY KEY, state TEXT)",
        "ALTER TABLE lines ADD COLUMN more TEXT AS (printf('%.*c', 500000000, 'x'))",
    ],
)
def test_only_ordinary_tables_are_read(house: House, statements: str) -> None:
    """What a view or a computed column runs may never end; the other tables are rescued."""
    house.inbox.accept([Line("a", "hello")])
    house.inbox.remember("volume", "30")
    house.inbox.close()
    with closing(sqlite3.connect(house.path)) as connection:
        connection.executescript(statements)
    assert "has other tables than this version of ishowtts" in in_time(house.path, _READ)
    started = in_time(house.path, _START)
    assert "has other tables than this version of ishowtts: move it away. It is now" in started
    assert started.endswith(" 30\n")
    house.open()


def test_a_table_with_one_more_column_is_rescued(house: House) -> None:
    """As another version of the daemon may have written it."""
    house.inbox.accept([Line("a", "hello")])
    house.inbox.close()
    with closing(sqlite3.connect(house.path)) as connection:
        connection.executescript("ALTER TABLE lines ADD COLUMN more TEXT DEFAULT 'x'")
    house.open()
    assert "has other tables" in house.inbox.trouble
    assert house.inbox.take().line.id == "a"


def test_reading_has_a_deadline(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.inbox.accept([Line("a", "hello")])
    monkeypatch.setattr(database, "_READ_S", 0.0)
    monkeypatch.setattr(database, "_STEPS", 1)
    with pytest.raises(InboxError, match="interrupted"):
        read_history(house.path, 9)


def test_a_rescue_that_takes_too_long_goes_on_in_small_pieces(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk loses no line: only what never ends is left out."""
    house.inbox.close()
    monkeypatch.setattr(database, "_SALVAGE_S", 0.0)
    monkeypatch.setattr(database, "_STEPS", 1000)
    limits = InboxLimits(max_lines=1000)
    inbox = Inbox(house.path, limits)
    for n in range(500):
        last = inbox.accept([Arrival(Line(str(n), f"line {n}"))])
    last.result(30)
    inbox.close()
    with closing(sqlite3.connect(house.path)) as connection:
        connection.executescript("PRAGMA user_version = 1")
    inbox = Inbox(house.path, limits)
    assert inbox.depth() == 500
    inbox.close()
    house.open()
