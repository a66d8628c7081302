"""Reads history and settings from the queue's file, also while the daemon runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ishowtts.errors import InboxError
from ishowtts.inbox.columns import UNREADABLE, json_object, row_outcome
from ishowtts.inbox.database import has_ordinary_table, open_to_read, refuse_newer
from ishowtts.inbox.database_file import SqliteError
from ishowtts.inbox.queue_types import HistoryEntry
from ishowtts.model import Outcome, Priority

_NEWEST_FIRST = "SELECT * FROM lines ORDER BY seq DESC LIMIT ?"


def read_history(path: Path, limit: int) -> list[HistoryEntry]:
    """The latest lines, newest first. Changes nothing in a file that a daemon may be writing.

    Raises:
        InboxError: There is no such file, this user may not read it, or another program has made it.
    """
    if not path.exists():
        raise InboxError(f"there is no history at {path}: the daemon has not run with this state_dir")
    try:
        with closing(open_to_read(path)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # raises if nothing can be read
            if not has_ordinary_table(connection, "lines"):
                refuse_newer(connection, path)
                raise InboxError(f"{path} has other tables than this version of ishowtts: move it away")
            return [_entry(row) for row in connection.execute(_NEWEST_FIRST, (limit,))]
    except SqliteError as error:
        raise InboxError(f"{path} cannot be read ({error}): run this as root or as the daemon's user") from error


def read_setting(path: Path, key: str) -> str | None:
    """A stored setting; `None` if it is not stored, or if the file cannot be read now.

    Changes nothing in a file that a daemon may be writing.
    """
    if not path.exists():
        return None
    try:
        with closing(open_to_read(path)) as connection:
            if not has_ordinary_table(connection, "settings"):
                return None
            row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
            return row[0] if row is not None and isinstance(row[0], str) else None
    except SqliteError:
        return None


def _entry(row: sqlite3.Row) -> HistoryEntry:
    """The entry of a row of `lines`. Of a row that cannot be read, it has as much as possible."""
    outcome, priority = row_outcome(row), Priority.NORMAL
    try:
        data = json_object(row["data"])
        priority = Priority(row["priority"])
    except ValueError:
        outcome, data = Outcome.FAILED, {"error": UNREADABLE}
    texts = {name: "" if row[name] is None else str(row[name]) for name in ("id", "text", "ts")}
    voice = None if row["voice"] is None else str(row["voice"])
    return HistoryEntry(**texts, outcome=outcome, data=data, priority=priority, voice=voice)
