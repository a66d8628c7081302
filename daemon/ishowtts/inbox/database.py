"""The SQLite file of the inbox: its tables, opening it, its lock, and SQLite's errors in our words."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
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
# Came later; a file without it is given it.
_LATER_INDEXES = {
    "lines_rejected": "lines (ended_n) WHERE state = 'rejected'",
    "lines_sounded": "lines (ended_n) WHERE started AND ended_n > 0",
}
_LATER = " ".join(f"CREATE INDEX IF NOT EXISTS {name} ON {on};" for name, on in _LATER_INDEXES.items())
_SCHEMA = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
_BESIDE = ("-wal", "-shm")
_FILE_MODE = 0o640  # spoken text is private, whatever the umask is
_MOST_WAL_BYTES = 4 << 20  # what is left of the log after one large transaction

FileId = tuple[int, int]

SqliteError = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's calls raise: the latter if the error's own words hold a damaged name."""


class FileInUse(InboxError):
    """Another daemon holds this inbox: there is nothing wrong with the file."""


class FileDamaged(InboxError):
    """What the file holds is of no use to this version of the program."""


class FileRemoved(InboxError):
    """The file was taken away under the daemon, which SQLite does not notice: it writes where nobody can read."""


def file_id(path: Path) -> FileId:
    """What tells the file at `path` from any other, earlier or later.

    Raises:
        Removed: there is none.
    """
    try:
        found = path.stat()
    except OSError as error:
        mend = "make its folder again, or start the daemon anew"
        raise FileRemoved(f"the inbox {path} was removed under the daemon ({error.strerror}): {mend}") from error
    return found.st_dev, found.st_ino


def ids_beside(path: Path) -> tuple[FileId | None, ...]:
    """What tells the log of an open file, and its index, from any others; `None`: there is no such file."""
    return tuple(_id_or_none(path.with_name(path.name + tail)) for tail in _BESIDE)


def _id_or_none(path: Path) -> FileId | None:
    try:
        return file_id(path)
    except FileRemoved:
        return None


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there or is made. Only its owner and group can read the file.

    Raises:
        InboxError: it cannot be used, with the mend; `Damaged` where a fresh file would do.
    """
    with translated(path):
        _make_private(path)
        connection = connect(str(path))
        try:
            if path.stat().st_size == 0:  # later it cannot be changed
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {_MOST_WAL_BYTES}")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                _make_tables(connection)
            elif version != _VERSION:
                raise FileDamaged(
                    f"{path} was written by another version of ishowtts: install that one, or move it away"
                )
            else:
                # First: a file with other tables may have SQLite run for ever.
                _check_tables(connection, path)
                if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                    raise FileDamaged(f"{path} is damaged ({found}): move it away")
                connection.executescript(_LATER)
        except BaseException:
            connection.close()
            raise
    return connection


def refuse_special(path: Path) -> None:
    """Raise InboxError if the database, or a file beside it, is there and no regular file: a pipe may never answer."""
    for each in (path, *(path.with_name(path.name + tail) for tail in _BESIDE)):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(each.stat().st_mode):
                raise InboxError(f"{each} is no regular file: move it away")


def _make_private(path: Path) -> None:
    """Make the file, and take the rights of others from it and from what is beside it.

    SQLite gives a log the mode of its database.
    """
    refuse_special(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE))
    for each in (path, *(path.with_name(path.name + tail) for tail in (*_BESIDE, ".lock"))):
        with suppress(FileNotFoundError):
            mode = each.stat().st_mode & 0o777
            if mode & ~_FILE_MODE:
                each.chmod(mode & _FILE_MODE)


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    found, known = _schema(connection), _schema_of_this_version()
    needed = {each for each in known if each[1] not in _LATER_INDEXES}
    if not needed <= found <= known:
        raise FileDamaged(f"{path} has other tables than this version of ishowtts: move it away")


def _schema(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    return {tuple(row) for row in connection.execute(_SCHEMA)}


@cache
def _schema_of_this_version() -> set[tuple[str, ...]]:
    with closing(open_memory()) as connection:
        return _schema(connection)


def open_memory() -> sqlite3.Connection:
    """The same tables in memory."""
    connection = connect(":memory:")
    _make_tables(connection)
    return connection


def connect(database: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection as this package uses it. Raises sqlite3.Error."""
    # One thread uses it at a time: the one that opens the inbox, then the writer.
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False, uri=uri)
    connection.row_factory = sqlite3.Row
    # A text that is not UTF-8 is damage to one value; Python would raise for the whole query.
    connection.text_factory = _text
    # What a file's own views and columns call is not trusted.
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def remember(db: sqlite3.Connection, key: str, value: str) -> None:
    """Keep one setting; the same value again changes nothing. The caller commits."""
    db.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value",
        (key, value),
    )


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.executescript(f"BEGIN; {_TABLES} {_LATER} PRAGMA user_version = {_VERSION}; COMMIT;")


def lock(path: Path) -> int:
    """Hold `path`.lock until the descriptor is closed: two daemons would speak each other's lines.

    Raises:
        InUse: another one holds it.
        InboxError: it cannot be made.
    """
    with translated(path):
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            mend = "stop it, or give this one its own state_dir"
            raise FileInUse(f"{path} is in use by another ishowtts: {mend}") from error
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
        for tail in _BESIDE:
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
    except SqliteError as error:
        raise FileDamaged(f"{name} is damaged ({error}): move it away") from error
