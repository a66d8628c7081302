"""The SQLite file of the inbox: opening it, its tables, transactions that are on disk when they return."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ishowtts.errors import InboxError
from ishowtts.inbox.clock import Clock

_VERSION = 1
_TABLES = """
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    id TEXT NOT NULL, text TEXT NOT NULL, voice TEXT, priority INTEGER NOT NULL, details TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB,
    ts TEXT NOT NULL,                       -- wall time of arrival, to print
    born_s REAL NOT NULL,                   -- since boot; the boot is in `settings`
    deadline_s REAL NOT NULL,
    state TEXT NOT NULL,                    -- waiting, speaking, or the final outcome
    position INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    started INTEGER NOT NULL DEFAULT 0,
    ended_n INTEGER,                        -- order of the final events
    ended_wall_s REAL,
    data TEXT NOT NULL DEFAULT '{}'         -- of the final event
);
CREATE INDEX lines_open ON lines (state, priority DESC, seq) WHERE state IN ('waiting', 'speaking');
CREATE INDEX lines_id ON lines (id);
CREATE INDEX lines_ended ON lines (ended_n);
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    ts TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB
);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_REMEMBER = "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class InUse(InboxError):
    """Another daemon holds this inbox: there is nothing wrong with the file."""


class Damaged(InboxError):
    """What the file holds is of no use to this version of the program."""


class Store:
    """One connection under one lock.

    Args:
        path: the file; `None` keeps everything in memory.
        clock: tells the boot that ages count from.

    Raises:
        InboxError: the file cannot be used, with the mend; `InUse` where another daemon has it
            open, `Damaged` where a fresh file would do.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._guard: int | None = None
        with _translated(path):
            self._guard = None if path is None else _lock_file(path)
            try:
                self._connection = _connect(path)
                self._move_to_this_boot()
            except BaseException:
                self._release()
                raise

    @property
    def now_s(self) -> float:
        """Now, as `born_s` and `deadline_s` count."""
        return self._clock.since_boot_s()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on disk when it has returned, undone when it raises."""
        with self._lock, _translated(self._path):
            before = self._connection.total_changes
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                if self._connection.total_changes != before:
                    self._mark_time()
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back by itself already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def read(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """The rows of one query."""
        with self._lock, _translated(self._path):
            return self._connection.execute(sql, parameters).fetchall()

    def marked_s(self) -> float:
        """When this boot was last seen, as `now_s` counts."""
        return float(self.read("SELECT value FROM settings WHERE key = '.seen_s'")[0]["value"])

    def mark(self) -> None:
        """Note that this boot was seen now."""
        with self.change():
            self._mark_time()

    def remember(self, key: str, value: str) -> None:
        """Keep one setting."""
        with self.change() as db:
            db.execute(_REMEMBER, (key, value))

    def recall(self, key: str) -> str | None:
        """A kept setting."""
        rows = self.read("SELECT value FROM settings WHERE key = ?", key)
        return rows[0]["value"] if rows else None

    def close(self) -> None:
        """Close the file; what is used afterwards raises `InboxError`."""
        with self._lock:
            self._connection.close()
            self._release()

    def _move_to_this_boot(self) -> None:
        """After a boot go on counting ages where they stood when the last one was seen for the last time.

        How long the machine was off is not known: its wall clock may still be wrong.
        """
        with self.change() as db:
            seen = dict(db.execute("SELECT key, value FROM settings WHERE key IN ('.boot_id', '.seen_s')").fetchall())
            if seen.get(".boot_id") not in (None, self._clock.boot_id):
                shift_s = self.now_s - float(seen[".seen_s"])
                db.execute("UPDATE lines SET born_s = born_s + ?, deadline_s = deadline_s + ?", (shift_s, shift_s))
            db.execute(_REMEMBER, (".boot_id", self._clock.boot_id))

    def _mark_time(self) -> None:
        self._connection.execute(_REMEMBER, (".seen_s", repr(self.now_s)))

    def _release(self) -> None:
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None


def _lock_file(path: Path) -> int:
    """Hold `path`.lock until it is closed: two daemons would speak each other's lines."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise InUse(f"{path} is in use by another ishowtts: stop it, or give this one its own state_dir") from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _connect(path: Path | None) -> sqlite3.Connection:
    # Whoever uses it holds the lock of `Store`.
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise Damaged(f"{path} was written by another version of ishowtts: install that one, or move it away")
        elif (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise Damaged(f"{path} is damaged ({found}): move it away")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _translated(path: Path | None) -> Iterator[None]:
    """SQLite's and the system's errors as `InboxError`."""
    try:
        yield
    except OSError as error:
        mend = "state_dir must be a folder that this user may write"
        raise InboxError(f"the inbox {path} cannot be opened ({error.strerror}): {mend}") from error
    except sqlite3.OperationalError as error:
        mend = "see that its folder can be written by this user and that the disk has room"
        raise InboxError(f"the inbox {path} cannot be used ({error}): {mend}") from error
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
        raise InboxError(f"the inbox {path} cannot be used any more: {error}") from error
    except sqlite3.Error as error:
        raise Damaged(f"the inbox {path} is damaged ({error}): move it away") from error


def set_aside(path: Path, suffix: str) -> Path:
    """Rename the file, and what SQLite keeps beside it, out of the way; returns the new name.

    Raises:
        InboxError: it cannot be renamed.
    """
    aside = path.with_name(f"{path.name}.{suffix}")
    with _translated(path):
        path.rename(aside)
        for tail in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + tail).rename(f"{aside}{tail}")
    return aside
