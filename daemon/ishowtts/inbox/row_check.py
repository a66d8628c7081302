"""Removes stored rows that this program cannot have written, so that a damaged row costs only itself.

SQLite's own check looks at pages, not at values. A changed bit, or another program, can leave a text where a number
must be.
"""

from __future__ import annotations

import logging
import sqlite3

from ishowtts.inbox.boot_clock import BootClock
from ishowtts.inbox.columns import SPEAKING, UNREADABLE, WAITING, row_reply
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Outcome, Priority

log = logging.getLogger(__name__)

_MOST_NUMBER = 1 << 50  # far below SQLite's largest rowid
_MOST_S = 1e12
_ENDED = ", ".join(f"'{outcome.value}'" for outcome in Outcome)
_GOOD_LINE = f"""
    seq BETWEEN 1 AND {_MOST_NUMBER}
    AND typeof(id) = 'text' AND typeof(text) = 'text' AND typeof(voice) IN ('text', 'null')
    AND typeof(priority) = 'integer' AND priority BETWEEN {int(min(Priority))} AND {int(max(Priority))}
    AND typeof(details) = 'text' AND typeof(ts) = 'text' AND typeof(data) = 'text'
    AND typeof(reply_topic) IN ('text', 'null') AND typeof(reply_correlation) IN ('blob', 'null')
    AND typeof(born_s) = 'real' AND abs(born_s) < {_MOST_S} AND typeof(deadline_s) = 'real'
    AND typeof(spoken) IN ('text', 'null') AND typeof(position) = 'integer'
    AND position BETWEEN 0 AND coalesce(length(CAST(spoken AS BLOB)), 0)
    AND typeof(attempts) = 'integer' AND attempts BETWEEN 0 AND {_MOST_NUMBER}
    AND typeof(times) = 'integer' AND times BETWEEN 1 AND {_MOST_NUMBER}
    AND typeof(started) = 'integer' AND started IN (0, 1)
    AND (
        (state IN ('{WAITING}', '{SPEAKING}') AND ended_n IS NULL)
        OR (state IN ({_ENDED}) AND typeof(ended_n) = 'integer' AND ended_n BETWEEN 1 AND {_MOST_NUMBER}
            AND typeof(ended_wall_s) = 'real')
    )"""
# Every name in these statements is ours.
# ruff: noqa: S608
_BAD_LINES = f"SELECT * FROM lines WHERE ({_GOOD_LINE}) IS NOT 1"
_BAD_EVENTS = f"""DELETE FROM outbox WHERE (number BETWEEN 1 AND {_MOST_NUMBER} AND typeof(ts) = 'text'
    AND typeof(id) = 'text' AND typeof(event) = 'text' AND typeof(data) = 'text') IS NOT 1"""
_BAD_DELIVERIES = "DELETE FROM deliveries WHERE (typeof(digest) = 'blob' AND typeof(seq) = 'integer') IS NOT 1"
_BAD_SETTINGS = "DELETE FROM settings WHERE (typeof(key) = 'text' AND typeof(value) = 'text') IS NOT 1"


def remove_unreadable(db: sqlite3.Connection, clock: BootClock) -> None:
    """Remove each row that later statements could not use. Runs once, when a file is opened. The caller commits.

    A line that was open gets its final event, `failed`, if its id can be read. JSON is not checked here: its readers
    check it.
    """
    others = sum(db.execute(sql).rowcount for sql in (_BAD_EVENTS, _BAD_DELIVERIES, _BAD_SETTINGS))
    lines = db.execute(_BAD_LINES).fetchall()
    db.executemany("DELETE FROM lines WHERE seq = ?", [(row["seq"],) for row in lines])
    _fix_counter(db, "lines", "seq")
    _fix_counter(db, "outbox", "number")
    outbox = Transaction(db, clock).outbox
    for row in lines:
        if row["ended_n"] is None and isinstance(row["id"], str):
            outbox.add(row["id"], Outcome.FAILED.value, {"error": UNREADABLE}, row_reply(row))
    if lines or others:
        log.error(
            "%d lines and %d other rows of the inbox could not be read and were removed: check the health of the disk",
            len(lines),
            others,
        )


def _fix_counter(db: sqlite3.Connection, table: str, key: str) -> None:
    """Make sure that SQLite has a number for the next row. Without one it says forever that the disk is full."""
    [(top,)] = db.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchall()
    counters = [row["seq"] for row in db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))]
    good = [counter for counter in counters if isinstance(counter, int) and top <= counter <= _MOST_NUMBER]
    if len(good) == len(counters) == 1 or not (counters or top):
        return
    db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, max([top, *good])))
