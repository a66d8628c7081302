"""Copies the live rows of the queue from one database to another, also from a damaged one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from ishowtts.inbox.columns import SPEAKING, WAITING
from ishowtts.inbox.database import has_ordinary_table
from ishowtts.inbox.database_file import SqliteError

_MOST_LINES = 1 << 40
_LAST_NUMBER = 1 << 62  # no row has a higher number
_KEPT_ENDED = 5000  # ended lines that are copied too: for duplicates, and for `replay`

_UNSENT = "SELECT * FROM outbox ORDER BY number"
_SMALL = {
    "deliveries": "SELECT * FROM deliveries",
    "settings": "SELECT * FROM settings",
}
_ENDED = "SELECT * FROM lines WHERE ended_n > 0 ORDER BY ended_n DESC LIMIT ?"
_COUNTERS = "SELECT name, seq FROM sqlite_sequence"


def copy_live(source: sqlite3.Connection, target: sqlite3.Connection) -> bool:
    """Copy open lines, unsent events, settings and the latest ended lines into an empty database.

    Rows that cannot be read are left out. Numbers stay the same. The caller commits.

    Returns:
        Whether all rows could be read.
    """
    rows, complete = _all_readable(source, "lines", "seq", lambda row: row["state"] in (WAITING, SPEAKING))
    _copy("lines", rows, target)
    rows, readable = _all_readable(source, "outbox", "number")
    complete = complete and readable
    _copy("outbox", rows, target)
    for table, query in _SMALL.items():
        rows, readable = _readable(source, table, query)
        complete = complete and readable
        _copy(table, rows, target)
    _copy("lines", _readable(source, "lines", _ENDED, _KEPT_ENDED)[0], target)
    rows, readable = _readable(source, "sqlite_sequence", _COUNTERS)
    for row in rows:
        target.execute("DELETE FROM sqlite_sequence WHERE name = ?", (row["name"],))
        target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", tuple(row))
    return complete and readable


def begin_apart(target: sqlite3.Connection) -> None:
    """Let an empty database give its lines numbers that no other database uses."""
    target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('lines', ?)", (_MOST_LINES,))


def replace_live(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Bring a copy back to the database that it was made from, and replace the open lines there. The caller commits."""
    target.execute("DELETE FROM lines WHERE state IN ('waiting', 'speaking')")
    for table in ("outbox", "deliveries"):
        target.execute(f"DELETE FROM {table}")  # noqa: S608  a name of our own
    copy_live(source, target)


def append_live(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Add lines and events to a database, after its own. The caller commits.

    The target may be a copy of the rows that the source began with. Then a line that it already has is replaced at its
    place.
    """
    [(ended,)] = target.execute("SELECT coalesce(max(ended_n), 0) FROM lines").fetchall()
    lines = "SELECT *, ended_n + ? AS ended_n FROM lines ORDER BY seq"  # the latter of two equal names counts
    rows = [(_number_of(row, target), row) for row in source.execute(lines, (ended,)).fetchall()]
    for seq, row in rows:
        if seq is not None:
            target.execute("DELETE FROM lines WHERE seq = ?", (seq,))
            _copy("lines", [row], target, seq=seq)
    _copy("lines", [row for seq, row in rows if seq is None], target, without="seq")
    unsent = {_event_of(row) for row in target.execute(_UNSENT)}
    events = [row for row in source.execute(_UNSENT) if _event_of(row) not in unsent]
    _copy("outbox", events, target, without="number")
    if source.execute("SELECT 1 FROM settings WHERE key = '.session'").fetchall():
        # The broker has delivered again what it had to: the packet ids in the file mean nothing any more.
        target.execute("DELETE FROM deliveries")
        newest = "SELECT *, ? AS seq FROM deliveries"
        [(seq,)] = target.execute("SELECT coalesce(max(seq), 0) FROM lines").fetchall()
        _copy("deliveries", source.execute(newest, (seq,)).fetchall(), target)
    _copy("settings", source.execute(_SMALL["settings"]).fetchall(), target)


def _number_of(row: sqlite3.Row, target: sqlite3.Connection) -> int | None:
    """The number of the same line in another database, if it is there."""
    same = "SELECT seq FROM lines INDEXED BY lines_id WHERE id = ? AND born_s = ? AND text = ? ORDER BY seq LIMIT 1"
    found: sqlite3.Row | None = target.execute(same, (row["id"], row["born_s"], row["text"])).fetchone()
    return None if found is None else int(found["seq"])


def _event_of(row: sqlite3.Row) -> tuple[str, ...]:
    return row["ts"], row["id"], row["event"], row["data"]


def _copy(
    table: str, rows: Sequence[sqlite3.Row], target: sqlite3.Connection, without: str = "", **instead: int
) -> None:
    columns = target.execute(f"PRAGMA table_info({table})").fetchall()
    needed = {column["name"] for column in columns if column["notnull"]}
    known = {column["name"] for column in columns}
    for row in rows:
        values = {name: value for name, value in zip(row.keys(), row, strict=True) if name in known}
        values.pop(without, None)
        values.update(instead)
        # Damage can leave a row without a value that each row must have. The check of rows finds it by this mark.
        values = {name: b"" if value is None and name in needed else value for name, value in values.items()}
        marks = ", ".join("?" * len(values))
        target.execute(
            f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({marks})",  # noqa: S608  checked above
            list(values.values()),
        )


def _all_readable(
    source: sqlite3.Connection, table: str, key: str, wanted: Callable[[sqlite3.Row], bool] = lambda _: True
) -> tuple[list[sqlite3.Row], bool]:
    """All rows that can be read, before and after damaged pages, and whether these are all rows.

    Args:
        key: The column with the row's number.
        wanted: Selects the rows. Python and not SQLite selects them, so that each row counts as read.
    """
    if not has_ordinary_table(source, table):
        return [], False
    rows: dict[int, sqlite3.Row] = {}  # by number, since a damaged tree can lead to a row twice
    # `>=` and not `>`: SQLite looks for a row above the last one of a page in that page.
    query = f"SELECT * FROM {table} WHERE {key} >= ? ORDER BY {key}"  # noqa: S608  names of ours
    start, complete = 1, True

    def add(row: sqlite3.Row) -> int:
        if wanted(row):
            rows.setdefault(row[key], row)
        return max(start, int(row[key]) + 1)

    while True:
        try:
            for row in source.execute(query, (start,)):
                start = add(row)
            return list(rows.values()), complete
        except SqliteError:
            complete = False
        # Python reads one row ahead. The last row before the damage can be read alone.
        alone = _first_readable(source, f"{query} LIMIT 1", key, start)
        if alone is not None:
            start = add(alone)
            continue
        beyond = _after_the_damage(source, table, key, start)
        if beyond is None:
            return list(rows.values()), complete
        start = beyond


def _first_readable(source: sqlite3.Connection, query: str, key: str, start: int) -> sqlite3.Row | None:
    try:
        row: sqlite3.Row | None = source.execute(query, (start,)).fetchone()
    except SqliteError:
        return None
    return row if row is not None and row[key] >= start else None


def _after_the_damage(source: sqlite3.Connection, table: str, key: str, start: int) -> int | None:
    """Number of the first row above `start` that can be found, by bisection; `None`: there is none."""
    query = f"SELECT {key} FROM {table} WHERE {key} >= ? ORDER BY {key} LIMIT 1"  # noqa: S608  names of ours
    unread, step = start, 1
    while (found := _first_readable(source, query, key, start + step)) is None:
        unread = start + step
        step *= 2
        if step > _LAST_NUMBER:
            return None
    read = start + step
    while read - unread > 1:
        middle = (read + unread) // 2
        nearer = _first_readable(source, query, key, middle)
        if nearer is None:
            unread = middle
        else:
            read, found = middle, nearer
    return int(found[key])


def _readable(source: sqlite3.Connection, table: str, query: str, *parameters: int) -> tuple[list[sqlite3.Row], bool]:
    """The rows before the first that cannot be read, and whether these are all rows."""
    rows: list[sqlite3.Row] = []
    if not has_ordinary_table(source, table):
        return rows, False
    try:
        for row in source.execute(query, parameters):
            rows.append(row)
    except SqliteError:
        return rows, False
    return rows, True
