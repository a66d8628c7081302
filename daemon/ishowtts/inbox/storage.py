"""Stores the queue in its file, in a fresh file if that one is damaged, or in memory while the disk refuses."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ishowtts.errors import InboxError
from ishowtts.inbox.boot_clock import BootClock, move_to_this_boot
from ishowtts.inbox.database import open_file, open_memory, open_to_salvage
from ishowtts.inbox.database_file import (
    FileDamaged,
    FileInUse,
    FileRemoved,
    FileTooNew,
    SqliteError,
    draft_of,
    file_id,
    finish_replacement,
    ids_beside,
    lock,
    replace_by,
    translated,
)
from ishowtts.inbox.row_check import remove_unreadable
from ishowtts.inbox.salvage import append_live, begin_apart, copy_live, replace_live

log = logging.getLogger(__name__)

T = TypeVar("T")
_RETRY_S = 10.0


class Storage:
    """Owns the connection. One thread at a time uses it and calls the methods.

    Args:
        path: The file; `None` keeps everything in memory on purpose.

    Attributes:
        connection: For the next transaction; `fail_over` and `restore` replace it.
        durable: Whether a commit is on disk.
        problem: What is wrong with the file, for the operator; `None` while all is well.

    Raises:
        FileInUse: Another daemon has the file open.
        FileTooNew: A later version of this program wrote the file. In memory the acknowledged lines, `muted` and
            `paused` would be lost, so the operator has to decide.
    """

    def __init__(self, path: Path | None, clock: BootClock) -> None:
        self._path = path
        self._clock = clock
        self._lock: int | None = None
        self._copied = False  # whether the file still holds the rows that the memory began with
        self._retry_at_s = 0.0
        self._file_id = (0, 0)  # while `durable`
        self._ids_beside = ids_beside(path) if path else ()
        self.durable = False
        self.problem: str | None = None
        if path is None:
            self.connection = open_memory()
        else:
            self._open(path)
        self.run_with_failover(lambda: _prepare(self.connection, self._clock))

    @property
    def failed_over(self) -> bool:
        """Whether everything is in memory although there should be a file."""
        return self._path is not None and not self.durable

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Commit at the end of the block, or roll back if it raises. Raises InboxError if the file refuses.

        Args:
            durable: Have it on disk, with everything that was committed before. If not, a power cut may lose it.
        """
        self._check_file()
        connection = self.connection
        with translated(self._path):
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back by itself already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def check_file(self) -> None:
        """Check the file between transactions: committed rows must not wait for the next one to be safe."""
        with suppress(InboxError):  # the next transaction finds the same, and fails over
            self._check_file()

    def run_with_failover(self, change: Callable[[], T]) -> T:
        """Run `change` in its own transaction. If the file refuses, fail over and run it there. Returns its result.

        Raises:
            InboxError: There is nowhere left to go.
        """
        try:
            with self.transaction():
                return change()
        except InboxError as error:
            self.fail_over(error)
            with self.transaction():
                return change()

    def fail_over(self, error: InboxError) -> None:
        """Move all live rows to a fresh file if this one is damaged, else to memory.

        Raises:
            InboxError: There is nowhere left to go.
        """
        if self._path is None or self.failed_over:
            raise error
        old = self.connection
        if not (isinstance(error, FileDamaged) and self._start_fresh_file(self._path, old, error)):
            # A damaged file that cannot be set aside is read again by `restore`, and holds the same lines.
            self._go_to_memory(error, copied=not isinstance(error, FileRemoved))
            if not _fill(self.connection, old, self._clock) and self._copied and not isinstance(error, FileDamaged):
                # The file cannot even be read for now: its rows wait there, and the memory begins empty.
                self._go_to_memory(error, copied=False)
                begin_apart(self.connection)
        if isinstance(error, FileRemoved):
            self._unlock()  # the lock was beside it
        log.error("%s", self.problem)
        with suppress(*SqliteError):
            old.close()

    def restore_is_due(self) -> bool:
        """Whether it is time to try the file again."""
        return self.failed_over and time.monotonic() >= self._retry_at_s

    def restore(self, recover: Callable[[], None]) -> bool:
        """Try to go on in the file. If that fails, all stays in memory. No line may be spoken now: numbers change.

        Args:
            recover: Handles the lines that a crash interrupted, in the same transaction.
        """
        if self._path is None or not self.failed_over:
            return False
        memory, problem, copied = self.connection, self.problem, self._copied
        try:
            self._open_file(self._path)
            with self.transaction() as file:
                _prepare(file, self._clock)
                (replace_live if copied else append_live)(memory, file)
                recover()
        except InboxError as error:
            log.debug("the inbox stays in memory: %s", error)
            if self.connection is not memory:
                self.connection.close()
            self.connection, self.problem, self.durable = memory, problem, False
            self._retry_at_s = time.monotonic() + _RETRY_S
            return False
        memory.close()
        log.warning("the inbox %s is in use again", self._path)
        return True

    def close(self) -> None:
        """Close the file and release its lock."""
        with suppress(*SqliteError):
            self.connection.close()
        self._unlock()

    def _check_file(self) -> None:
        if self._path is None or not self.durable:
            return
        if file_id(self._path) != self._file_id:
            raise FileRemoved(f"another file took the place of the inbox {self._path}: restart the daemon")
        if ids_beside(self._path) != self._ids_beside:
            self._save_log(self._path)

    def _save_log(self, path: Path) -> None:
        """Bring a removed log into the database: committed rows are in a file without a name.

        Raises:
            FileRemoved: That failed. All rows can still be read on this connection.
        """
        log.error("a file beside the inbox %s was removed under the daemon: its log is made again", path)
        try:
            [(busy, *_)] = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except SqliteError as error:
            raise FileRemoved(f"the log of the inbox {path} was removed under the daemon ({error})") from error
        if busy:
            raise FileRemoved(f"the log of the inbox {path} was removed under the daemon while another program read it")
        self.connection.close()
        try:
            self.connection = open_file(path)
        except InboxError:
            with translated(path):
                self.connection = open_to_salvage(path)
            raise
        self._ids_beside = ids_beside(path)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open(self, path: Path) -> None:
        try:
            self._open_file(path)
        except (FileInUse, FileTooNew):
            self._unlock()
            raise
        except InboxError as error:
            self._go_to_memory(error, copied=False)

    def _open_file(self, path: Path) -> None:
        """Open the file, or a fresh one in place of a damaged one."""
        if self._lock is None:
            self._lock = lock(path)
        self.problem = None
        finish_replacement(path, _suffix())
        try:
            self.connection = open_file(path)
        except FileDamaged as damage:
            self._replace(path, damage, None)
        self._file_id, self._ids_beside = file_id(path), ids_beside(path)
        self.durable = True

    def _start_fresh_file(self, path: Path, old: sqlite3.Connection, damage: FileDamaged) -> bool:
        try:
            self._replace(path, damage, old)
        except InboxError as error:
            log.error("a fresh inbox cannot be made: %s", error)
            return False
        return True

    def _replace(self, path: Path, damage: FileDamaged, old: sqlite3.Connection | None) -> None:
        """Fill a fresh file with the rows that can still be read, and put it in the place of the damaged one.

        Args:
            old: A connection to the damaged file; `None` opens one.
        """
        draft = draft_of(path)
        with closing(open_file(draft)) as fresh, translated(path):
            if old is not None:
                _fill(fresh, old, self._clock)
            else:
                with closing(open_to_salvage(path)) as reader:
                    _fill(fresh, reader, self._clock)
        aside = replace_by(draft, path, _suffix())
        fresh = open_file(path)
        self.connection, self._file_id, self._ids_beside = fresh, file_id(path), ids_beside(path)
        self.problem = f"{damage}. It is now {aside}; a fresh one holds what could be read of it"

    def _go_to_memory(self, error: InboxError, *, copied: bool) -> None:
        self.connection = open_memory()
        self.durable, self._copied = False, copied
        self.problem = f"{error}. Until then lines wait in memory only: a restart loses them"
        self._retry_at_s = time.monotonic() + _RETRY_S


def _suffix() -> str:
    """What the name of a damaged file ends with."""
    return f"corrupt-{int(time.time())}"


def _prepare(db: sqlite3.Connection, clock: BootClock) -> None:
    remove_unreadable(db, clock)
    move_to_this_boot(db, clock)


def _fill(fresh: sqlite3.Connection, old: sqlite3.Connection, clock: BootClock) -> bool:
    fresh.execute("BEGIN IMMEDIATE")
    complete = copy_live(old, fresh)
    remove_unreadable(fresh, clock)
    fresh.execute("COMMIT")
    return complete
