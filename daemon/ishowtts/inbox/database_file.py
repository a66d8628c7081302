"""The queue's file in the file system: its lock, rights, identity and new name, and SQLite's errors in our words."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ishowtts.errors import InboxError
from ishowtts.util.file_lock import lock_file
from ishowtts.util.files import sync_folder, take_rights

FileId = tuple[int, int]

_BESIDE = ("-wal", "-shm")
_FILE_MODE = 0o600  # spoken text is private, whatever the umask is

SqliteError = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's calls raise; the latter if the text of an error holds a damaged name."""


class FileInUse(InboxError):
    """Another daemon uses this file. There is nothing wrong with it."""


class FileTooNew(InboxError):
    """A later version of this program wrote the file. There is nothing wrong with it."""


class FileDamaged(InboxError):
    """This version of the program cannot use the file. A fresh one would do."""


class FileRemoved(InboxError):
    """The file was removed while the daemon used it. SQLite does not notice, and writes where nobody can read."""


def file_id(path: Path) -> FileId:
    """What distinguishes the file at `path` from any earlier or later one.

    Raises:
        FileRemoved: There is none.
    """
    try:
        found = path.stat()
    except OSError as error:
        fix = "make its folder again, or restart the daemon"
        raise FileRemoved(f"the inbox {path} was removed under the daemon ({error.strerror}): {fix}") from error
    return found.st_dev, found.st_ino


def ids_beside(path: Path) -> tuple[FileId | None, ...]:
    """The same for the log of a database and the log's index; `None`: there is no such file."""
    return tuple(_id_or_none(path.with_name(path.name + tail)) for tail in _BESIDE)


def _id_or_none(path: Path) -> FileId | None:
    try:
        return file_id(path)
    except FileRemoved:
        return None


def refuse_special(path: Path) -> None:
    """Raise InboxError if the database, or a file beside it, is not a regular file: a pipe may never answer."""
    for each in (path, *(path.with_name(path.name + tail) for tail in _BESIDE)):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(each.stat().st_mode):
                raise InboxError(f"{each} is not a regular file: move it away")


def make_private(path: Path) -> None:
    """Create the file if it is absent, and take the rights of others from it and from all files with its name.

    These are its lock, its log, and former files that were set aside. SQLite gives a log the mode of its database.
    """
    refuse_special(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE))
    for each in path.parent.iterdir():
        if each.name.startswith(path.name) and not each.is_symlink():
            with suppress(FileNotFoundError):
                take_rights(each, _FILE_MODE)


def lock(path: Path) -> int:
    """Lock `path`.lock until the descriptor is closed: two daemons would speak each other's lines.

    Raises:
        FileInUse: Another daemon holds the lock.
        InboxError: The lock cannot be made.
    """
    with translated(path):
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            if not lock_file(descriptor):
                fix = "stop it, or give this one its own state_dir"
                raise FileInUse(f"{path} is in use by another ishowtts: {fix}")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def draft_of(path: Path) -> Path:
    """Name of a file that is to replace `path`. What an interrupted try has left there is removed.

    Raises:
        InboxError: It cannot be removed.
    """
    draft = path.with_name(f"{path.name}.draft")
    with translated(path):
        for tail in ("", *_BESIDE):
            draft.with_name(draft.name + tail).unlink(missing_ok=True)
    return draft


def replace_by(draft: Path, path: Path, suffix: str) -> Path:
    """Set `path` aside and put a complete file in its place. Returns the new name of the former one.

    After a power cut at any moment `path` is the former file, or `finish_replacement` completes the change.

    Raises:
        InboxError: They cannot be renamed.
    """
    with translated(path):
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(_complete(path))
        sync_folder(path.parent)
        return _put_in_place(path, suffix)


def finish_replacement(path: Path, suffix: str) -> None:
    """Finish a replacement that a power cut or a fault has interrupted. Raises InboxError."""
    with translated(path):
        if _complete(path).exists():
            _put_in_place(path, suffix)


def _complete(path: Path) -> Path:
    """Name of a file that must take the place of `path`: it is complete and on disk."""
    return path.with_name(f"{path.name}.complete")


def _put_in_place(path: Path, suffix: str) -> Path:
    aside = path.with_name(f"{path.name}.{suffix}")
    for tail in ("", *_BESIDE):  # SQLite would take a log that stays for one of the new file
        with suppress(FileNotFoundError):
            path.with_name(path.name + tail).rename(f"{aside}{tail}")
    _complete(path).rename(path)
    sync_folder(path.parent)
    return aside


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Raise errors of SQLite and of the system as `InboxError`."""
    name = f"the inbox {path}" if path else "the inbox in memory"
    try:
        yield
    except OSError as error:
        fix = "state_dir must be a folder that this user may write"
        raise InboxError(f"{name} cannot be opened ({error.strerror}): {fix}") from error
    except sqlite3.OperationalError as error:
        fix = "check that this user can write its folder and that the disk has room"
        raise InboxError(f"{name} cannot be used ({error}): {fix}") from error
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
        raise InboxError(f"{name} cannot be used any more: {error}") from error
    except SqliteError as error:
        raise FileDamaged(f"{name} is damaged ({error}): move it away") from error
