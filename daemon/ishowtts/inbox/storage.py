"""Where the inbox is kept: in its file, in a fresh one beside a damaged one, or in memory while the disk refuses."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ishowtts.errors import InboxError
from ishowtts.inbox.boot_clock import BootClock
from ishowtts.inbox.database import (
    FileDamaged,
    FileInUse,
    FileRemoved,
    FileTooNew,
    SqliteError,
    file_id,
    ids_beside,
    lock,
    open_file,
    open_memory,
    remember,
    set_aside,
    translated,
)
from ishowtts.inbox.row_check import remove_unreadable
from ishowtts.inbox.safe_open import open_to_rescue
from ishowtts.inbox.salvage import append_live, begin_apart, copy_live, replace_live

log = logging.getLogger(__name__)

T = TypeVar("T")
_RETURN_S = 10.0
_MOST_S = 1e9  # no machine runs so long


class Storage:
    """Owns the connection. One thread at a time uses it, and calls the methods.

    Args:
        path: the file; `None` keeps everything in memory, and that is meant.

    Attributes:
        connection: for the next transaction; another one after `flee` and `come_back`.
        durable: whether a commit is on disk.
        trouble: what had to give, for the operator; `None` while all is well.

    Raises:
        InUse: another daemon has the file open. What else may be wrong with it is told in `trouble`.
    """

    def __init__(self, path: Path | None, clock: BootClock) -> None:
        self._path = path
        self._clock = clock
        self._guard: int | None = None
        self._copied = False  # whether the file still holds what the memory began with
        self._return_at = 0.0
        self._file_id = (0, 0)  # while `durable`
        self._beside = ids_beside(path) if path else ()
        self.durable = False
        self.trouble: str | None = None
        if path is None:
            self.connection = open_memory()
        else:
            self._open(path)
        self.insist(lambda: _make_usable(self.connection, self._clock))

    @property
    def away(self) -> bool:
        """Whether everything is in memory although there is a file for it."""
        return self._path is not None and not self.durable

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Committed when it has returned, undone when it raises. Raises InboxError where the file refuses.

        Args:
            durable: have it on disk, and all that was committed before; else it may be lost in a power cut.
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

    def look(self) -> None:
        """Between transactions: what was committed shall not wait for the next one to be safe."""
        with suppress(InboxError):  # the next transaction finds the same, and sees to it
            self._check_file()

    def _check_file(self) -> None:
        if self._path is None or not self.durable:
            return
        if file_id(self._path) != self._file_id:
            raise FileRemoved(f"another file stands where the inbox {self._path} was: start the daemon anew")
        if ids_beside(self._path) != self._beside:
            self._save_log(self._path)

    def _save_log(self, path: Path) -> None:
        """The log was removed: what was committed is in a file without a name. Bring it into the database.

        Raises:
            Removed: that did not succeed; all of it can still be read on this connection.
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
                self.connection = open_to_rescue(path)
            raise
        self._beside = ids_beside(path)

    def insist(self, change: Callable[[], T]) -> T:
        """Make a change, or read, in a transaction of its own; if the file refuses, elsewhere. Gives what it gave.

        Raises:
            InboxError: there is nowhere left to go.
        """
        try:
            with self.transaction():
                return change()
        except InboxError as error:
            self.flee(error)
            with self.transaction():
                return change()

    def flee(self, error: InboxError) -> None:
        """The file refused: all that lives goes on in a fresh one where it was damaged, else in memory.

        Raises:
            InboxError: there is nowhere left to go.
        """
        if self._path is None or self.away:
            raise error
        old = self.connection
        if not (isinstance(error, FileDamaged) and self._start_afresh(self._path, old, error)):
            # Where a damaged file could not be set aside it is read again at the return, and holds the same lines.
            self._go_to_memory(error, copied=not isinstance(error, FileRemoved))
            if not _fill(self.connection, old, self._clock) and self._copied and not isinstance(error, FileDamaged):
                # It cannot even be read for now: what it holds waits there, and memory begins with nothing.
                self._go_to_memory(error, copied=False)
                begin_apart(self.connection)
        if isinstance(error, FileRemoved):
            self._let_go()  # the lock stood beside it
        log.error("%s", self.trouble)
        with suppress(*SqliteError):
            old.close()

    def due_back(self) -> bool:
        """Whether it is time to try the file again."""
        return self.away and time.monotonic() >= self._return_at

    def come_back(self, recover: Callable[[], None]) -> bool:
        """Try to go on in the file; without success all stays in memory. No line may be on the air: numbers change.

        Args:
            recover: sees to the lines that a crash cut off, in the transaction that brings the others back.
        """
        if self._path is None or not self.away:
            return False
        memory, trouble, copied = self.connection, self.trouble, self._copied
        try:
            self._open_file(self._path)
            with self.transaction() as file:
                _make_usable(file, self._clock)
                (replace_live if copied else append_live)(memory, file)
                recover()
        except InboxError as error:
            log.debug("the inbox stays in memory: %s", error)
            if self.connection is not memory:
                self.connection.close()
            self.connection, self.trouble, self.durable = memory, trouble, False
            self._return_at = time.monotonic() + _RETURN_S
            return False
        memory.close()
        log.warning("the inbox %s is in use again", self._path)
        return True

    def close(self) -> None:
        """Close the file and let go of its lock."""
        with suppress(*SqliteError):
            self.connection.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None

    def _open(self, path: Path) -> None:
        try:
            self._open_file(path)
        except (FileInUse, FileTooNew):
            self._let_go()
            raise
        except InboxError as error:
            self._go_to_memory(error, copied=False)

    def _open_file(self, path: Path) -> None:
        """Open the file, or a fresh one in place of a damaged one."""
        if self._guard is None:
            self._guard = lock(path)
        self.trouble = None
        try:
            self.connection = open_file(path)
        except FileDamaged as damage:
            self._replace(path, damage, None)
        self._file_id, self._beside = file_id(path), ids_beside(path)
        self.durable = True

    def _start_afresh(self, path: Path, old: sqlite3.Connection, damage: FileDamaged) -> bool:
        try:
            self._replace(path, damage, old)
        except InboxError as error:
            log.error("no fresh inbox can be begun: %s", error)
            return False
        return True

    def _replace(self, path: Path, damage: FileDamaged, old: sqlite3.Connection | None) -> None:
        """Set the damaged file aside and begin a fresh one with what can still be read of it, if need be anew."""
        aside = set_aside(path, f"corrupt-{int(time.time())}")
        fresh = open_file(path)
        try:
            with translated(path):
                if old is not None:
                    _fill(fresh, old, self._clock)
                else:
                    with closing(open_to_rescue(aside)) as reader:
                        _fill(fresh, reader, self._clock)
        except BaseException:
            fresh.close()
            raise
        self.connection, self._file_id, self._beside = fresh, file_id(path), ids_beside(path)
        self.trouble = f"{damage}. It is now {aside}; a fresh one holds what could be read of it"

    def _go_to_memory(self, error: InboxError, *, copied: bool) -> None:
        self.connection = open_memory()
        self.durable, self._copied = False, copied
        self.trouble = f"{error}. Until then lines wait in memory only: a restart loses them"
        self._return_at = time.monotonic() + _RETURN_S


def move_to_this_boot(db: sqlite3.Connection, clock: BootClock) -> None:
    """After a boot go on counting ages where they stood when the last one was seen for the last time.

    How long the machine was off is not known: its wall clock may still be wrong. If the last time cannot be read,
    ages are not known, and count from now on. The caller commits.
    """
    now_s = clock.since_boot_s()
    seen = dict(db.execute("SELECT key, value FROM settings WHERE key IN ('.boot_id', '.seen_s')").fetchall())
    if seen.get(".boot_id") != clock.boot_id:
        seen_s = _seconds(seen.get(".seen_s"))
        if seen_s is not None:
            shift_s = now_s - seen_s
            db.execute("UPDATE lines SET born_s = born_s + ?, deadline_s = deadline_s + ?", (shift_s, shift_s))
        else:
            db.execute("UPDATE lines SET born_s = ?, deadline_s = deadline_s - born_s + ?", (now_s, now_s))
    # No line was born later than now.
    db.execute(
        "UPDATE lines SET born_s = :now, deadline_s = deadline_s - born_s + :now WHERE born_s > :now", {"now": now_s}
    )
    remember(db, ".boot_id", clock.boot_id)
    remember(db, ".seen_s", repr(now_s))


def _seconds(written: str | None) -> float | None:
    try:
        seconds = float(written or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds < _MOST_S else None


def _make_usable(db: sqlite3.Connection, clock: BootClock) -> None:
    remove_unreadable(db, clock)
    move_to_this_boot(db, clock)


def _fill(fresh: sqlite3.Connection, old: sqlite3.Connection, clock: BootClock) -> bool:
    fresh.execute("BEGIN IMMEDIATE")
    whole = copy_live(old, fresh)
    remove_unreadable(fresh, clock)
    fresh.execute("COMMIT")
    return whole
