"""The SQLite file of the inbox: its tables, opening it, its lock, and SQLite's errors in our words."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ishowtts.errors import InboxError

_VERSION = 3
_TABLES = """
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
"""


class InUse(InboxError):
    """Another daemon holds this inbox: there is nothing wrong with the file."""


class Damaged(InboxError):
    """What the file holds is of no use to this version of the program."""


class Removed(InboxError):
    """The file was taken away under the daemon, which SQLite does not notice: it writes where nobody can read."""


def file_id(path: Path) -> tuple[int, int]:
    """What tells the file at `path` from any other, earlier or later.

    Raises:
        Removed: there is none.
    """
    try:
        found = path.stat()
    except OSError as error:
        mend = "make its folder again, or start the daemon anew"
        raise Removed(f"the inbox {path} was removed under the daemon ({error.strerror}): {mend}") from error
    return found.st_dev, found.st_ino


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there or is made.

    Raises:
        InboxError: it cannot be used, with the mend; `Damaged` where a fresh file would do.
    """
    with translated(path):
        connection = _connect(str(path))
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                _make_tables(connection)
            elif version != _VERSION:
                raise Damaged(f"{path} was written by another version of ishowtts: install that one, or move it away")
            elif (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise Damaged(f"{path} is damaged ({found}): move it away")
        except BaseException:
            connection.close()
            raise
    return connection


def open_memory() -> sqlite3.Connection:
    """The same tables in memory."""
    connection = _connect(":memory:")
    _make_tables(connection)
    return connection


def open_to_rescue(path: Path) -> sqlite3.Connection:
    """A connection to a file that may be damaged. Raises sqlite3.Error."""
    # Not read-only: what lies in its WAL is wanted too.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def _connect(database: str) -> sqlite3.Connection:
    # One thread uses it at a time: the one that opens the inbox, then the writer.
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")


def lock(path: Path) -> int:
    """Hold `path`.lock until the descriptor is closed: two daemons would speak each other's lines.

    Raises:
        InUse: another one holds it.
        InboxError: it cannot be made.
    """
    with translated(path):
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            mend = "stop it, or give this one its own state_dir"
            raise InUse(f"{path} is in use by another ishowtts: {mend}") from error
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def set_aside(path: Path, suffix: str) -> Path:
    """Rename the file, and what SQLite keeps beside it, out of the way; returns the new name.

    Raises:
        InboxError: it cannot be renamed.
    """
    aside = path.with_name(f"{path.name}.{suffix}")
    with translated(path):
        path.rename(aside)
        for tail in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + tail).rename(f"{aside}{tail}")
    return aside


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """SQLite's and the system's errors as `InboxError`."""
    name = f"the inbox {path}" if path else "the inbox in memory"
    try:
        yield
    except OSError as error:
        mend = "state_dir must be a folder that this user may write"
        raise InboxError(f"{name} cannot be opened ({error.strerror}): {mend}") from error
    except sqlite3.OperationalError as error:
        mend = "see that its folder can be written by this user and that the disk has room"
        raise InboxError(f"{name} cannot be used ({error}): {mend}") from error
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
        raise InboxError(f"{name} cannot be used any more: {error}") from error
    except sqlite3.Error as error:
        raise Damaged(f"{name} is damaged ({error}): move it away") from error
