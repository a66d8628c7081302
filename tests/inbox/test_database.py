"""A file that another program has changed never makes the daemon or a reader wait."""

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

Queue = Any  # of conftest.py
_ENDLESS = "(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r)"
_READ_AND_START = """
import sys
from pathlib import Path
from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits, read_history
path = Path(sys.argv[1])
try:
    print(read_history(path, 9))
except InboxError as error:
    print(error)
inbox = Inbox(path, InboxLimits())
print(inbox.problem)
print(inbox.recall("volume"))
inbox.close()
"""


def read_and_start(path: Path) -> list[str]:
    """What a reader, a start and the stored volume give, in a separate process: a hang fails only this test."""
    command = [sys.executable, "-c", _READ_AND_START, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["inbox.sqlite", "inbox.sqlite-wal"])
def test_a_pipe_is_refused_at_once(queue: Queue, name: str) -> None:
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.close()
    path = queue.path
    path.with_name(name).unlink(missing_ok=True)
    os.mkfifo(path.with_name(name))
    read, problem, _ = read_and_start(path)
    assert read.endswith(f"{name} is not a regular file: move it away")
    assert f"{name} is not a regular file: move it away. Until then lines wait in memory only" in problem
    path.with_name(name).unlink()
    queue.open()


@pytest.mark.parametrize(
    "statements",
    [
        f"ALTER TABLE lines RENAME TO l2; CREATE VIEW lines AS SELECT * FROM l2 WHERE {_ENDLESS} > 0",
        f"ALTER TABLE lines RENAME TO l2; CREATE VIEW LINES AS SELECT * FROM l2 WHERE {_ENDLESS} > 0",
        "DROP TABLE lines; CREATE TABLE lines (seq INTEGER PRIMARY KEY, state TEXT)",
        "ALTER TABLE lines ADD COLUMN more TEXT AS (printf('%.*c', 500000000, 'x'))",
    ],
)
def test_only_ordinary_tables_are_read(queue: Queue, statements: str) -> None:
    """The code of a view or a computed column may run forever. The other tables are salvaged."""
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.remember("volume", "30")
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.executescript(statements)
    read, problem, volume = read_and_start(queue.path)
    assert "has other tables than this version of ishowtts" in read
    assert "has other tables than this version of ishowtts: move it away. It is now" in problem
    assert volume == "30"
    queue.open()


def test_a_table_with_one_more_column_is_salvaged(queue: Queue) -> None:
    """Another program may have added it."""
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.executescript("ALTER TABLE lines ADD COLUMN more TEXT DEFAULT 'x'")
    queue.open()
    assert "has other tables" in queue.inbox.problem
    assert queue.inbox.take().line.id == "a"


def test_reading_has_a_deadline(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.inbox.accept([Line("a", "hello")])
    monkeypatch.setattr(database, "_READ_S", 0.0)
    monkeypatch.setattr(database, "_STEPS", 1)
    with pytest.raises(InboxError, match="interrupted"):
        read_history(queue.path, 9)


def test_a_salvage_that_takes_too_long_goes_on_in_small_pieces(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk loses no line. Only a query that never ends is left out."""
    queue.inbox.close()
    monkeypatch.setattr(database, "_SALVAGE_S", 0.0)
    monkeypatch.setattr(database, "_STEPS", 1000)
    limits = InboxLimits(max_lines=1000)
    inbox = Inbox(queue.path, limits)
    for n in range(500):
        last = inbox.accept([Arrival(Line(str(n), f"line {n}"))])
    last.result(30)
    inbox.close()
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.executescript("PRAGMA user_version = 1")
    inbox = Inbox(queue.path, limits)
    assert inbox.depth() == 500
    inbox.close()
    queue.open()
