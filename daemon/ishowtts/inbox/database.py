"""The SQLite file of the inbox: its tables, opening it, its lock, and SQLite's errors in our words."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ishowtts.errors import InboxError
from ishowtts.inbox import migrations

log = logging.getLogger(__name__)

_BESIDE = ("-wal", "-shm")
_FILE_MODE = 0o640  # spoken text is private, whatever the umask is
_MOST_WAL_BYTES = 4 << 20  # what is left of the log after one large transaction

FileId = tuple[int, int]

SqliteError = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's calls raise: the latter if the error's own words hold a damaged name."""


class FileInUse(InboxError):
    """Another daemon holds this inbox: there is nothing wrong with the file."""


class FileTooNew(InboxError):
    """A later version of this program wrote the file: there is nothing wrong with it."""


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
            refuse_newer(connection, path)
            if path.stat().st_size == 0:  # later it cannot be changed
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {_MOST_WAL_BYTES}")
            # First: a file with other tables may have SQLite run for ever.
            if not migrations.is_known(connection):
                raise FileDamaged(f"{path} has other tables than this version of ishowtts: move it away")
            if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise FileDamaged(f"{path} is damaged ({found}): move it away")
            _upgrade(connection, path)
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


def refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Raise FileTooNew if a later version of this program wrote the file."""
    version = migrations.version_of(connection)
    if migrations.is_newer(version):
        raise FileTooNew(
            f"{path} has version {version} of the queue's file, and this ishowtts reads versions up to"
            f" {migrations.VERSION}: install the newer ishowtts again, or move it away and begin with an empty queue"
        )


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    version = migrations.version_of(connection)
    migrations.upgrade(connection)
    if 0 < version < migrations.VERSION:
        log.info("%s was upgraded from version %d to version %d of the queue's file", path, version, migrations.VERSION)


def open_memory() -> sqlite3.Connection:
    """The same tables in memory."""
    connection = connect(":memory:")
    migrations.upgrade(connection)
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
