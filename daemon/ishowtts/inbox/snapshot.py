"""Copies the queue's file while a daemon uses it, and prepares the copy for another time or another board."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import InboxError
from ishowtts.inbox import migrations
from ishowtts.inbox.database import connect, refuse_newer, remember
from ishowtts.inbox.database_file import FileDamaged, SqliteError, refuse_special, translated
from ishowtts.model import Outcome

BY_RESTORE = "restore"
"""Stands in the history for who ended the lines that waited when a copy was made."""

_OPEN = "state IN ('waiting', 'speaking')"
_OF_OPEN_LINES = (".prefetched", ".suspect", ".rejected_counts")  # settings that mean something only with these lines


@dataclass(frozen=True)
class QueueContent:
    """What is in a queue's file.

    Args:
        version: Version of its tables.
        waiting: Number of lines that wait or are being spoken; `None` if this version cannot count them.
        ended: Number of lines of the history; `None` if this version cannot count them.
    """

    version: int
    waiting: int | None
    ended: int | None


def copy_queue(source: sqlite3.Connection, target: Path) -> QueueContent:
    """Copy the whole database, as it is at one moment, into a file of its own without files beside it.

    All pages are copied in one step of SQLite's online backup. Then a daemon can write during the copy, and the copy
    does not begin again after each of its transactions.

    Args:
        source: From `open_source`. It may belong to a user who cannot write `target`.
        target: An empty file.

    Raises:
        InboxError: The queue is damaged or cannot be read, or the disk of `target` is full.
    """
    with translated(target), closing(sqlite3.connect(str(target), isolation_level=None)) as copy:
        # With these two settings SQLite makes no other file, which the owner of `source` could not make here.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)
        # Without this, the copy would begin with a log beside it as soon as somebody reads it.
        copy.execute("PRAGMA journal_mode = DELETE")
    return examine_copy(target)


def open_source(path: Path) -> sqlite3.Connection:
    """Open a queue to copy it. The caller has the rights of its owner: SQLite may make its log beside it.

    Raises:
        InboxError: It cannot be opened.
    """
    refuse_special(path)
    with translated(path):
        connection = connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log as well
        except BaseException:
            connection.close()
            raise
        return connection


def examine_copy(path: Path) -> QueueContent:
    """Check a copy that nobody uses, without changing it.

    Raises:
        FileDamaged: SQLite finds damage in it.
    """
    with translated(path), closing(connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
        if (found := copy.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise FileDamaged(f"{path} is damaged ({found})")
        version = migrations.version_of(copy)
        if not migrations.is_known(copy):
            return QueueContent(version, None, None)
        [(waiting, ended)] = copy.execute(
            f"SELECT coalesce(sum({_OPEN}), 0), coalesce(sum(NOT {_OPEN}), 0) FROM lines"  # noqa: S608  ours
        ).fetchall()
        return QueueContent(version, waiting, ended)


def prepare_copy(
    path: Path, *, keep_waiting: bool, forget: Collection[str], settings: Mapping[str, str]
) -> QueueContent:
    """Change a copy that nobody uses, so that a daemon can go on with it later, or somewhere else.

    What the broker delivered before is forgotten: it is known only together with the session of then.

    Args:
        keep_waiting: Whether lines that waited when the copy was made still wait. If not, they expire, and
            no event is published: they may have been spoken since, and each line has one final event. Like other
            expired lines, they can be sent again with the same id.
        forget: Names of settings to remove.
        settings: Settings to store after that.

    Returns:
        What is in the file now.

    Raises:
        FileTooNew: A later version of this program wrote it.
        FileDamaged: It is damaged, or has other tables than a queue.
    """
    with translated(path), closing(connect(str(path))) as copy:
        refuse_newer(copy, path)
        if not migrations.is_known(copy) or migrations.version_of(copy) == 0:
            raise FileDamaged(f"{path} has other tables than a queue of this version of ishowtts")
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute("BEGIN IMMEDIATE")
        copy.execute("DELETE FROM deliveries")
        for name in (".session", *forget, *(() if keep_waiting else _OF_OPEN_LINES)):
            copy.execute("DELETE FROM settings WHERE key = ?", (name,))
        for name, value in settings.items():
            remember(copy, name, value)
        if not keep_waiting:
            _end_open_lines(copy)
        copy.execute("COMMIT")
    return examine_copy(path)


def empty_log(path: Path) -> bool:
    """Bring the log of a queue that no daemon uses into the file. Return whether no file is left beside it.

    Only then can another file take the place of this one in a single step: SQLite would read a log into the other one.
    """
    if not path.exists():
        return False
    try:
        refuse_special(path)
        with closing(connect(str(path))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except (InboxError, *SqliteError):
        pass  # the caller sets the file aside together with its log
    return not any(path.with_name(path.name + tail).exists() for tail in ("-wal", "-shm", "-journal"))


def _end_open_lines(copy: sqlite3.Connection) -> None:
    [(ended_n,)] = copy.execute("SELECT coalesce(max(ended_n), 0) FROM lines").fetchall()
    rows = copy.execute(f"SELECT seq FROM lines WHERE {_OPEN} ORDER BY seq").fetchall()  # noqa: S608  ours
    copy.executemany(
        "UPDATE lines SET state = ?, data = ?, ended_n = ?, ended_wall_s = ?, reply_topic = NULL,"
        " reply_correlation = NULL WHERE seq = ?",
        [
            (Outcome.EXPIRED.value, f'{{"by": "{BY_RESTORE}"}}', ended_n + number, time.time(), row["seq"])
            for number, row in enumerate(rows, start=1)
        ],
    )
    copy.execute("DELETE FROM outbox")
