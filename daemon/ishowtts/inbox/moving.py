"""What lives in an inbox, carried from one database to another."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

_MOST_LINES = 1 << 40
_KEPT_ENDED = 5000  # ended lines that go along: for duplicates, and for `replay`

# Without an index (that is what the + says), so that each row is had as soon as its page is read.
_OPEN = "SELECT * FROM lines WHERE seq > ? AND +state IN ('waiting', 'speaking') ORDER BY seq"
_LIVE = {
    "outbox": "SELECT * FROM outbox ORDER BY number",
    "deliveries": "SELECT * FROM deliveries",
    "settings": "SELECT * FROM settings",
}
_ENDED = "SELECT * FROM lines WHERE ended_n > 0 ORDER BY ended_n DESC LIMIT ?"
_COUNTERS = "SELECT name, seq FROM sqlite_sequence"


def copy_live(source: sqlite3.Connection, target: sqlite3.Connection) -> bool:
    """Copy what is open, unsent or remembered into an empty database, as far as the source can be read.

    Numbers stay as they are. The caller commits.

    Returns:
        Whether all of it could be read.
    """
    rows, whole = _readable_lines(source)
    _copy("lines", rows, target)
    for table, query in _LIVE.items():
        rows, readable = _readable(source, query)
        whole = whole and readable
        _copy(table, rows, target)
    _copy("lines", _readable(source, _ENDED, _KEPT_ENDED)[0], target)
    rows, readable = _readable(source, _COUNTERS)
    for row in rows:
        target.execute("DELETE FROM sqlite_sequence WHERE name = ?", (row["name"],))
        target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", tuple(row))
    return whole and readable


def begin_apart(target: sqlite3.Connection) -> None:
    """Have an empty database number its lines where no other does."""
    target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('lines', ?)", (_MOST_LINES,))


def replace_live(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Bring a copy back to where it was made: what was open there is as it is here. The caller commits."""
    target.execute("DELETE FROM lines WHERE state IN ('waiting', 'speaking')")
    for table in ("outbox", "deliveries"):
        target.execute(f"DELETE FROM {table}")  # noqa: S608  a name of our own
    copy_live(source, target)


def append_live(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Add lines and events to a database that knows nothing of them, behind its own. The caller commits."""
    [(ended,)] = target.execute("SELECT coalesce(max(ended_n), 0) FROM lines").fetchall()
    lines = "SELECT *, ended_n + ? AS ended_n FROM lines ORDER BY seq"  # the latter of two columns of a name counts
    _copy("lines", source.execute(lines, (ended,)).fetchall(), target, without="seq")
    _copy("outbox", source.execute(_LIVE["outbox"]).fetchall(), target, without="number")
    if source.execute("SELECT 1 FROM settings WHERE key = '.session'").fetchall():
        # What the broker delivered again has come by now: of the file's packet ids none means anything any more.
        target.execute("DELETE FROM deliveries")
        newest = "SELECT *, ? AS seq FROM deliveries"
        [(seq,)] = target.execute("SELECT coalesce(max(seq), 0) FROM lines").fetchall()
        _copy("deliveries", source.execute(newest, (seq,)).fetchall(), target)
    _copy("settings", source.execute(_LIVE["settings"]).fetchall(), target)


def _copy(table: str, rows: Sequence[sqlite3.Row], target: sqlite3.Connection, without: str = "") -> None:
    known = {column[1] for column in target.execute(f"PRAGMA table_info({table})")}
    for row in rows:
        values = {name: value for name, value in zip(row.keys(), row, strict=True) if name in known}
        values.pop(without, None)
        marks = ", ".join("?" * len(values))
        with suppress(sqlite3.IntegrityError):  # damage can leave a row without what each must have: only that one goes
            target.execute(
                f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({marks})",  # noqa: S608  checked above
                list(values.values()),
            )


def _readable_lines(source: sqlite3.Connection) -> tuple[list[sqlite3.Row], bool]:
    """The open lines before, between and behind what cannot be read, and whether there is nothing of that."""
    rows: list[sqlite3.Row] = []
    after, step, whole = 0, 1, True
    while step < _MOST_LINES:
        try:
            for row in source.execute(_OPEN, (after,)):
                rows.append(row)
                after, step = row["seq"], 1
        except sqlite3.Error:
            after, step, whole = after + step, step * 2, False
        else:
            break
    return rows, whole


def _readable(source: sqlite3.Connection, query: str, *parameters: int) -> tuple[list[sqlite3.Row], bool]:
    """The rows up to the first that cannot be read, and whether these are all."""
    rows: list[sqlite3.Row] = []
    try:
        for row in source.execute(query, parameters):
            rows.append(row)
    except sqlite3.Error:
        return rows, False
    return rows, True
