"""An older file is upgraded as a whole or not at all. A newer one is refused and not changed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits, database, migrations, read_history
from ishowtts.inbox.database_file import FileTooNew
from ishowtts.model import Line, Outcome
from support.disk import fill
from support.service_process import DAEMON
from support.waiting import eventually

# The tables as those versions of the program wrote them. They are not made from the steps that they test.
TABLES = {
    2: """
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    id TEXT NOT NULL, text TEXT NOT NULL, voice TEXT, priority INTEGER NOT NULL, details TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB,
    ts TEXT NOT NULL,                       -- wall time of arrival, to print
    born_s REAL NOT NULL,                   -- since boot; the boot is in `settings`
    deadline_s REAL NOT NULL,
    state TEXT NOT NULL,                    -- waiting, speaking, or the final outcome
    position INTEGER NOT NULL DEFAULT 0,    -- in `spoken`
    spoken TEXT,                            -- as it is read aloud, once a part of it was heard
    attempts INTEGER NOT NULL DEFAULT 0,
    times INTEGER NOT NULL DEFAULT 1,       -- 1, and the repeats that were merged into it
    started INTEGER NOT NULL DEFAULT 0,
    ended_n INTEGER,                        -- order of the final events
    ended_wall_s REAL,
    data TEXT NOT NULL DEFAULT '{}'         -- of the final event
);
CREATE INDEX lines_open ON lines (state, priority DESC, seq) WHERE state IN ('waiting', 'speaking');
CREATE INDEX lines_expiry ON lines (deadline_s) WHERE state = 'waiting' AND NOT started;
CREATE INDEX lines_id ON lines (id);
CREATE INDEX lines_ended ON lines (ended_n);
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    ts TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB
);
-- The last message of each packet id in this session with the broker; `seq` is the newest line of then.
CREATE TABLE deliveries (packet_id INTEGER PRIMARY KEY, digest BLOB NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    3: """
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    id TEXT NOT NULL, text TEXT NOT NULL, voice TEXT, priority INTEGER NOT NULL, details TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB,
    ts TEXT NOT NULL,                       -- wall time of arrival, to print
    born_s REAL NOT NULL,                   -- since boot; the boot is in `settings`
    deadline_s REAL NOT NULL,
    state TEXT NOT NULL,                    -- waiting, speaking, or the final outcome
    position INTEGER NOT NULL DEFAULT 0,    -- in `spoken`
    spoken TEXT,                            -- as it is read aloud, once a part of it was heard
    attempts INTEGER NOT NULL DEFAULT 0,
    times INTEGER NOT NULL DEFAULT 1,       -- 1, and the repeats that were merged into it
    started INTEGER NOT NULL DEFAULT 0,
    ended_n INTEGER,                        -- order of the final events
    ended_wall_s REAL,
    data TEXT NOT NULL DEFAULT '{}'         -- of the final event
);
-- SQLite takes a partial index only where a query repeats its condition word for word.
CREATE INDEX lines_waiting ON lines (priority DESC, seq) WHERE state = 'waiting';
CREATE INDEX lines_speaking ON lines (seq) WHERE state = 'speaking';
CREATE INDEX lines_expiry ON lines (deadline_s) WHERE state = 'waiting' AND NOT started;
CREATE INDEX lines_begun ON lines (seq) WHERE state = 'waiting' AND started;
CREATE INDEX lines_same ON lines (text) WHERE state = 'waiting' AND NOT started;
CREATE INDEX lines_id ON lines (id, born_s);
CREATE INDEX lines_ended ON lines (ended_n);
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    ts TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB
);
-- The last message of each packet id in this session with the broker; `seq` is the newest line of then.
CREATE TABLE deliveries (packet_id INTEGER PRIMARY KEY, digest BLOB NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    4: """
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    id TEXT NOT NULL, text TEXT NOT NULL, voice TEXT, priority INTEGER NOT NULL, details TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB,
    ts TEXT NOT NULL,                       -- wall time of arrival, to print
    born_s REAL NOT NULL,                   -- since boot; the boot is in `settings`
    deadline_s REAL NOT NULL,
    state TEXT NOT NULL,                    -- waiting, speaking, or the final outcome
    position INTEGER NOT NULL DEFAULT 0,    -- in `spoken`
    spoken TEXT,                            -- as it is read aloud, once a part of it was heard
    attempts INTEGER NOT NULL DEFAULT 0,
    times INTEGER NOT NULL DEFAULT 1,       -- 1, and the repeats that were merged into it
    started INTEGER NOT NULL DEFAULT 0,
    ended_n INTEGER,                        -- order of the final events
    ended_wall_s REAL,
    data TEXT NOT NULL DEFAULT '{}'         -- of the final event
);
CREATE INDEX lines_expiry ON lines (deadline_s) WHERE state = 'waiting' AND NOT started;
CREATE INDEX lines_ended ON lines (ended_n);
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    ts TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB
);
CREATE TABLE deliveries (packet_id INTEGER PRIMARY KEY, digest BLOB NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX lines_waiting ON lines (priority DESC, seq) WHERE state = 'waiting';
CREATE INDEX lines_speaking ON lines (seq) WHERE state = 'speaking';
CREATE INDEX lines_begun ON lines (seq) WHERE state = 'waiting' AND started;
CREATE INDEX lines_same ON lines (text) WHERE state = 'waiting' AND NOT started;
CREATE INDEX lines_id ON lines (id, born_s);
CREATE INDEX lines_rejected ON lines (ended_n) WHERE state = 'rejected';
CREATE INDEX lines_sounded ON lines (ended_n) WHERE started AND ended_n > 0;
CREATE INDEX lines_open ON lines (id) WHERE state IN ('waiting', 'speaking');
CREATE INDEX lines_known ON lines (id, born_s) WHERE state NOT IN ('rejected', 'expired');
""",
}
TABLES[5] = f"""{TABLES[4]}
ALTER TABLE lines ADD COLUMN sent_text TEXT;  -- as it was sent, if the policies changed it
ALTER TABLE lines ADD COLUMN heard_at TEXT;   -- wall time of its first sound
"""
# Later programs of version 3 added these.
LATER_INDEXES = """
CREATE INDEX lines_rejected ON lines (ended_n) WHERE state = 'rejected';
CREATE INDEX lines_sounded ON lines (ended_n) WHERE started AND ended_n > 0;
"""
# Rows as a daemon left them: a finished line, one that was being spoken, two that wait.
ROWS = """
INSERT INTO lines (id, text, priority, details, ts, born_s, deadline_s, state, position, spoken, attempts, started,
    ended_n, ended_wall_s, data) VALUES
('done', 'over', 1, '{}', '2026-11-20T10:15:00Z', 50.0, 950.0, 'finished', 0, NULL, 1, 1, 1, 1.8e9, '{"rtf": 0.1}'),
('spoken', 'half of it', 2, '{"speed": 1.5}', '2026-11-20T10:15:01Z', 51.0, 951.0, 'speaking', 5, 'half of it', 1, 1,
    NULL, NULL, '{}'),
('a', 'first', 1, '{}', '2026-11-20T10:15:02Z', 52.0, 952.0, 'waiting', 0, NULL, 0, 0, NULL, NULL, '{}'),
('b', 'second', 1, '{}', '2026-11-20T10:15:03Z', 53.0, 953.0, 'waiting', 0, NULL, 0, 0, NULL, NULL, '{}');
INSERT INTO outbox (ts, id, event, data) VALUES ('2026-11-20T10:15:04.000Z', 'b', 'accepted', '{"queue_depth": 2}');
INSERT INTO settings VALUES ('volume', '30'), ('.boot_id', 'boot-1'), ('.seen_s', '60.0'),
    ('.untold', '{"empty": 7}'), ('.rehearsed', 'run 3');
"""
NAMES_OF_4 = {".untold": ".rejected_counts", ".rehearsed": ".prefetched"}
KINDS = [(2, ""), (3, ""), (3, LATER_INDEXES), (4, ""), (5, "")]
OLDER = pytest.mark.parametrize(("version", "more"), KINDS, ids=["2", "3", "3 with later indexes", "4", "5"])

Queue = Any  # of conftest.py


def write_file(path: Path, version: int, more: str = "", waiting: int = 0) -> None:
    """Write a file as a program of this version left it."""
    path.unlink(missing_ok=True)
    rows = ROWS
    for old, new in NAMES_OF_4.items() if version >= 4 else ():
        rows = rows.replace(old, new)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {TABLES[version]} {more} PRAGMA user_version = {version}; COMMIT;")
        connection.executescript(f"BEGIN; {rows} COMMIT;")
        for number in range(waiting):
            connection.execute(
                "INSERT INTO lines (id, text, priority, details, ts, born_s, deadline_s, state)"
                " VALUES (?, ?, 1, '{}', '', 54.0, 954.0, 'waiting')",
                (f"w{number}-{'i' * 50}", "x" * 200),
            )
        connection.commit()


def version_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def contents(path: Path) -> list[Any]:
    """Version, schema and rows of a file."""
    with closing(sqlite3.connect(path)) as connection:
        tables = ("sqlite_master", "lines", "outbox", "deliveries", "settings")
        rows = [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]
    return [version_in(path), *rows]


def tables_of(path: Path) -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


@OLDER
def test_an_older_file_is_upgraded_and_keeps_every_line(queue: Queue, version: int, more: str) -> None:
    fresh = tables_of(queue.path)
    queue.inbox.close()
    write_file(queue.path, version, more)
    queue.open()
    assert queue.inbox.durable
    assert queue.inbox.problem is None
    assert list(queue.path.parent.glob("*corrupt*")) == []
    assert version_in(queue.path) == migrations.VERSION
    assert tables_of(queue.path) == fresh, "an upgraded file is equal to a fresh one"
    assert queue.inbox.recall("volume") == "30"
    assert queue.events() == [("b", "accepted")]
    queue.inbox.sum_up()
    assert [event.data["count"] for _, event in queue.inbox.unsent()] == [7], "counted by the older version"
    assert queue.inbox.peek_for_prefetch() is None, "line 3 was prefetched when the older version crashed"
    taken = [queue.inbox.take() for _ in range(3)]
    assert [(one.line.id, one.position) for one in taken] == [("spoken", 5), ("a", 0), ("b", 0)]
    queue.inbox.accept([Line("c", "drei", language="de")])
    assert queue.inbox.take().line.language == "de"
    done = queue.history(9)[-1]
    assert done.outcome is Outcome.FINISHED
    assert (done.sent_text, done.heard_at) == (None, None), "older versions did not store them"


@OLDER
def test_a_damaged_file_of_an_older_version_loses_no_line(queue: Queue, version: int, more: str) -> None:
    queue.inbox.close()
    write_file(queue.path, version, f"{more} CREATE TABLE of_somebody_else (x);")
    queue.open()
    assert "has other tables" in queue.inbox.problem
    assert queue.inbox.depth() == 3
    assert [entry.id for entry in queue.history(9)] == ["b", "a", "spoken", "done"]


@OLDER
def test_the_history_of_an_older_file_is_read_without_an_upgrade(tmp_path: Path, version: int, more: str) -> None:
    path = tmp_path / "inbox.sqlite"
    write_file(path, version, more)
    assert [entry.id for entry in read_history(path, 9)] == ["b", "a", "spoken", "done"]
    assert version_in(path) == version


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.inbox.close()
    write_file(queue.path, 3)
    before = contents(queue.path)
    steps = {**migrations.STEPS, 4: migrations.STEPS[4] + "CREATE INDEX broken ON missing (seq);"}
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", steps)
        patch.setattr(migrations, "is_known", lambda _: True)
        with pytest.raises(InboxError, match=r"cannot be used \(no such table: main.missing\)"):
            database.open_file(queue.path)
    assert contents(queue.path) == before
    queue.open()
    assert queue.inbox.depth() == 3


def test_a_process_killed_in_the_middle_of_an_upgrade_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "inbox.sqlite"
    write_file(path, 3, waiting=2000)
    before = contents(path)
    program = f"""
import os, signal, sqlite3
from pathlib import Path
from ishowtts.inbox import database, migrations
path = Path({str(path)!r})
connect = database.connect
def connect_and_die(name, **options):
    connection = connect(name, **options)
    connection.execute("PRAGMA cache_size = 5")  # pages of the upgrade are in the file's log before the commit
    def look(statement):
        written = path.with_name("inbox.sqlite-wal").stat().st_size
        if statement.endswith("PRAGMA user_version = {migrations.VERSION};") and written > 100_000:
            os.kill(os.getpid(), signal.SIGKILL)
    connection.set_trace_callback(look)
    return connection
database.connect = connect_and_die
database.open_file(path)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(DAEMON)},
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert contents(path) == before
    inbox = Inbox(path, InboxLimits(max_lines=5000))
    assert inbox.problem is None
    assert inbox.depth() == 2003
    inbox.close()
    assert version_in(path) == migrations.VERSION


def test_on_a_full_disk_an_older_file_waits_and_is_upgraded_when_there_is_room(
    build_queue: Callable[..., Queue], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.inbox.storage._RETRY_S", 0.1)
    queue = build_queue(small_disk, max_lines=5000)
    queue.inbox.close()
    write_file(queue.path, 3, waiting=300)
    filler = fill(small_disk)
    os.truncate(filler, filler.stat().st_size - 60_000)  # the upgrade begins, and cannot end
    queue.open()
    assert "memory only" in queue.inbox.problem
    queue.inbox.accept([Line("late", "hello")])
    assert version_in(queue.path) == 3
    filler.unlink()
    eventually(lambda: queue.inbox.depth() == 304, "the return to the file")
    assert queue.inbox.durable
    assert queue.inbox.problem is None
    queue.inbox.close()
    assert version_in(queue.path) == migrations.VERSION
    assert list(queue.path.parent.glob("*corrupt*")) == []


@pytest.mark.parametrize("hurt", ["", "DROP TABLE lines", "CREATE VIEW more AS SELECT 1"])
def test_a_newer_file_is_refused_in_a_sentence_and_left_alone(queue: Queue, hurt: str) -> None:
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.close()
    newer = migrations.VERSION + 1
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.executescript(f"{hurt}; PRAGMA user_version = {newer}")
    before = queue.path.read_bytes()
    with pytest.raises(FileTooNew) as refused:
        Inbox(queue.path, InboxLimits())
    assert str(refused.value) == (
        f"{queue.path} has version {newer} of the queue's file, and this ishowtts reads versions up to"
        f" {migrations.VERSION}: go back to the newer ishowtts (sudo /opt/ishowtts/install.sh --rollback, or install"
        " it again), or move the file away and begin with an empty queue"
    )
    assert queue.path.read_bytes() == before
    assert {path.name for path in queue.path.parent.iterdir()} == {"inbox.sqlite", "inbox.sqlite.lock"}
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.execute(f"PRAGMA user_version = {migrations.VERSION}")
    queue.open()


def test_the_daemon_does_not_start_on_a_newer_file(tmp_path: Path) -> None:
    """In memory it would lose acknowledged lines at the next restart, and know nothing of `muted`."""
    path = tmp_path / "state" / "inbox.sqlite"
    path.parent.mkdir()
    write_file(path, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9")
    before = path.read_bytes()
    config = {
        "mqtt": {"host": "127.0.0.1", "port": 1},
        "engine": {"kind": "espeak"},
        "audio": {"device": f"wav:{tmp_path}/sound.wav"},
        "state_dir": str(path.parent),
        "cache_dir": str(tmp_path / "cache"),
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    done = subprocess.run(
        [sys.executable, "-m", "ishowtts", "run", "--config", str(tmp_path / "config.yaml")],
        env={**os.environ, "PYTHONPATH": str(DAEMON)},
        timeout=100,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"{path} has version 9 of the queue's file" in done.stderr
    assert path.read_bytes() == before


def test_the_history_of_a_newer_file_with_other_tables_is_refused_in_the_same_sentence(tmp_path: Path) -> None:
    path = tmp_path / "inbox.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE queue (seq INTEGER); PRAGMA user_version = 9")
    with pytest.raises(FileTooNew, match="has version 9 of the queue's file"):
        read_history(path, 9)


def test_a_newer_file_that_appears_while_lines_are_in_memory_is_left_alone(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.inbox.storage._RETRY_S", 0.0)
    queue.inbox.accept([Line("a", "hello")])
    queue.path.unlink()
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    before = queue.path.read_bytes()
    for number in range(3):
        queue.inbox.accept([Line(f"b{number}", "hello")])
    assert not queue.inbox.durable
    assert queue.inbox.depth() == 4
    assert queue.path.read_bytes() == before
    assert list(queue.path.parent.glob("*corrupt*")) == []


@pytest.mark.parametrize("version", [1, -5, 1_000_000])
def test_a_file_with_a_version_that_no_program_wrote_is_set_aside_and_its_lines_are_kept(
    queue: Queue, version: int
) -> None:
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    queue.open()
    assert "corrupt-" in queue.inbox.problem
    assert queue.inbox.take().line.id == "a"
