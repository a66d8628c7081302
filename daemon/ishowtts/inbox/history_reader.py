"""Reads history and settings from the queue's file, also while the daemon runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
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
_BEYOND_SEQ = (1 << 63) - 1  # the largest number that SQLite has; no line reaches it
_MOST_SPELLINGS = 500  # of one name: SQLite takes about 1000 values in a statement
_MOST_SPOKEN = 5000  # names whose spoken form is made, the latest of them: 30 µs each


def read_history(path: Path, limit: int, wanted: HistoryFilter | None = None) -> list[HistoryEntry]:
    """The latest lines, newest first. Changes nothing in a file that a daemon may be writing.

    Raises:
        InboxError: There is no such file, this user may not read it, or another program has made it.
    """
    return list(iterate_history(path, limit, wanted or HistoryFilter()))


def iterate_history(path: Path, limit: int, wanted: HistoryFilter) -> Generator[HistoryEntry, None, None]:
    """The same one by one, for a caller that stops early and closes the generator. Raises as `read_history`."""
    with _open(path) as connection:
        where, values = _conditions(connection, wanted)
        order = "seq" if wanted.ended_after_n is None else "ended_n"
        sql = f"SELECT * FROM lines {where} ORDER BY {order} DESC LIMIT ?"  # noqa: S608  ours
        for row in connection.execute(sql, (*values, limit)):
            yield _entry(row)


def latest_entries(
    rows: Callable[..., list[sqlite3.Row]], limit: int, before_seq: int | None = None
) -> list[HistoryEntry]:
    """The latest lines of a database that is open, newest first.

    Args:
        rows: Runs one query with its values.
        before_seq: As in `HistoryFilter`.
    """
    latest = "SELECT * FROM lines WHERE seq < ? ORDER BY seq DESC LIMIT ?"
    return [_entry(row) for row in rows(latest, _BEYOND_SEQ if before_seq is None else before_seq, limit)]


def count_history(path: Path, wanted: HistoryFilter) -> int:
    """Number of lines that the history has of the wanted ones. Raises as `read_history`."""
    with _open(path) as connection:
        where, values = _conditions(connection, wanted)
        [(count,)] = connection.execute(f"SELECT count(*) FROM lines {where}", values).fetchall()  # noqa: S608  ours
        return int(count)


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


def _spellings(connection: sqlite3.Connection, author: str, wanted: HistoryFilter) -> list[str]:
    """The names in the history that are this author's: of the same key, or spoken alike."""
    key_of, spoken_name = wanted.author_key, wanted.spoken_name
    distinct = f"SELECT {_AUTHOR} AS author FROM lines GROUP BY author ORDER BY max(seq) DESC"  # noqa: S608
    stored = [name for (name,) in connection.execute(distinct) if isinstance(name, str)]
    key = key_of(author)
    found = [name for name in stored if key_of(name) == key]
    if spoken_name is not None and (spoken := spoken_name(author)) is not None:
        spoken_key = key_of(spoken)
        others = [name for name in stored[:_MOST_SPOKEN] if key_of(name) != key]
        found += [name for name in others if key_of(spoken_name(name) or "") == spoken_key]
    return found[:_MOST_SPELLINGS]


def _conditions(connection: sqlite3.Connection, wanted: HistoryFilter) -> tuple[str, list[str | int]]:
    """The part of a statement that selects the wanted lines, and its values."""
    conditions: list[str] = []
    values: list[str | int] = []
    if wanted.states is not None:
        conditions.append(f"state IN ({', '.join('?' * len(wanted.states))})")
        values += sorted(wanted.states)
    if wanted.since_ts is not None:
        conditions.append("ts >= ?")
        values.append(wanted.since_ts)
    if wanted.author is not None:
        authors = _spellings(connection, wanted.author, wanted)
        conditions.append(f"{_AUTHOR} IN ({', '.join('?' * len(authors))})")
        values += authors
    if wanted.heard:
        conditions.append("started")
    if wanted.before_seq is not None:
        conditions.append("seq < ?")
        values.append(wanted.before_seq)
    if wanted.ended_after_n is not None:
        conditions.append("ended_n > ?")
        values.append(wanted.ended_after_n)
    return f"WHERE {' AND '.join(conditions)}" if conditions else "", values


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
        seq=row["seq"],
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
