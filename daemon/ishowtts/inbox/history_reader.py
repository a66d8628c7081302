"""Reads history and settings from the queue's file, also while the daemon runs."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ishowtts.errors import InboxError
from ishowtts.inbox.columns import SPEAKING, UNREADABLE, UnreadableRow, json_object, row_outcome
from ishowtts.inbox.database import has_ordinary_table, open_to_read, refuse_newer
from ishowtts.inbox.database_file import SqliteError
from ishowtts.inbox.queue_types import HistoryEntry, HistoryFilter
from ishowtts.model import Outcome, Priority

_AUTHOR = "CASE WHEN json_valid(details) THEN json_extract(details, '$.author') END"
_MOST_SPELLINGS = 500  # of one name: SQLite takes about 1000 values in a statement


def read_history(path: Path, limit: int, wanted: HistoryFilter | None = None) -> list[HistoryEntry]:
    """The latest lines, newest first. Changes nothing in a file that a daemon may be writing.

    Raises:
        InboxError: There is no such file, this user may not read it, or another program has made it.
    """
    wanted = wanted or HistoryFilter()
    with _open(path) as connection:
        authors = None if wanted.author is None else _spellings(connection, wanted.author)
        sql, values = _query(wanted, authors)
        return [_entry(row) for row in connection.execute(f"{sql} LIMIT ?", (*values, limit))]


def last_ended_n(path: Path) -> int:
    """Number of the line that ended last; 0 if none has. Raises as `read_history`."""
    with _open(path) as connection:
        [(last,)] = connection.execute("SELECT coalesce(max(ended_n), 0) FROM lines").fetchall()
        return last if type(last) is int else 0


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise InboxError(f"there is no history at {path}: the daemon has not run with this state_dir")
    try:
        with closing(open_to_read(path)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # raises if nothing can be read
            if not has_ordinary_table(connection, "lines"):
                refuse_newer(connection, path)
                raise InboxError(f"{path} has other tables than this version of ishowtts: move it away")
            yield connection
    except SqliteError as error:
        raise InboxError(f"{path} cannot be read ({error}): run this as root or as the daemon's user") from error


def _spellings(connection: sqlite3.Connection, author: str) -> list[str]:
    """The names in the history that are this author's: in any case, also in full-width letters."""
    stored = connection.execute(f"SELECT DISTINCT {_AUTHOR} FROM lines").fetchall()  # noqa: S608  ours
    key = _name_key(author)
    return [name for (name,) in stored if isinstance(name, str) and _name_key(name) == key][:_MOST_SPELLINGS]


def _query(wanted: HistoryFilter, authors: Sequence[str] | None) -> tuple[str, list[str | int]]:
    """The statement that finds the wanted lines, the newest first, and its values."""
    conditions: list[str] = []
    values: list[str | int] = []
    if wanted.states is not None:
        conditions.append(f"state IN ({', '.join('?' * len(wanted.states))})")
        values += sorted(wanted.states)
    if wanted.since_ts is not None:
        conditions.append("ts >= ?")
        values.append(wanted.since_ts)
    if authors is not None:
        conditions.append(f"{_AUTHOR} IN ({', '.join('?' * len(authors))})")
        values += authors
    if wanted.heard:
        conditions.append("started")
    order = "seq"
    if wanted.ended_after_n is not None:
        conditions.append("ended_n > ?")
        values.append(wanted.ended_after_n)
        order = "ended_n"
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT * FROM lines {where} ORDER BY {order} DESC", values  # noqa: S608  names of ours


def _name_key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _author(row: sqlite3.Row) -> str | None:
    try:
        author = json_object(row["details"]).get("author")
    except UnreadableRow:
        return None
    return author if isinstance(author, str) else None


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
    # A file of an older version lacks the newest columns.
    newer = {name: row[name] if name in row.keys() else None for name in ("sent_text", "heard_at")}  # noqa: SIM118
    return HistoryEntry(
        **texts,
        outcome=outcome,
        data=data,
        priority=priority,
        voice=voice,
        author=_author(row),
        sent_text=_text(newer["sent_text"]),
        read_text=_text(row["spoken"]),
        heard_at=_text(newer["heard_at"]),
        ended_wall_s=row["ended_wall_s"] if type(row["ended_wall_s"]) in (int, float) else None,
        ended_n=row["ended_n"] if type(row["ended_n"]) is int else None,
        speaking=row["state"] == SPEAKING,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
