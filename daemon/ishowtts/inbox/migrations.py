"""Tables of the queue's file, their version (`PRAGMA user_version`), and the upgrade of an older file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache

# Each step leads from the version before to its own. A fresh file runs all of them, so a fresh file and an upgraded one
# are equal. A step that has been released is never edited: a change of the tables is a new step.
STEPS: Mapping[int, str] = {
    # Version 1 was never released. Its positions count something else, so it has no step.
    2: """
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    id TEXT NOT NULL, text TEXT NOT NULL, voice TEXT, priority INTEGER NOT NULL, details TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB,
    ts TEXT NOT NULL,                       -- wall time of arrival, to print
    born_s REAL NOT NULL,                   -- since boot; the boot is in `settings`
    deadline_s REAL NOT NULL,
    state TEXT NOT NULL,                    -- waiting, speaking, or the final outcome
    position INTEGER NOT NULL DEFAULT 0,    -- in `spoken`
    spoken TEXT,                            -- as it is read aloud, once a part of it was heard
    attempts INTEGER NOT NULL DEFAULT 0,
    times INTEGER NOT NULL DEFAULT 1,       -- 1, and the repeats that were merged into it
    started INTEGER NOT NULL DEFAULT 0,
    ended_n INTEGER,                        -- order of the final events
    ended_wall_s REAL,
    data TEXT NOT NULL DEFAULT '{}'         -- of the final event
);
CREATE INDEX lines_open ON lines (state, priority DESC, seq) WHERE state IN ('waiting', 'speaking');
CREATE INDEX lines_expiry ON lines (deadline_s) WHERE state = 'waiting' AND NOT started;
CREATE INDEX lines_id ON lines (id);
CREATE INDEX lines_ended ON lines (ended_n);
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    ts TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL,
    reply_topic TEXT, reply_correlation BLOB
);
-- The last message of each packet id in this session with the broker; `seq` is the newest line of then.
CREATE TABLE deliveries (packet_id INTEGER PRIMARY KEY, digest BLOB NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    # SQLite uses a partial index only if a query repeats its condition word for word.
    3: """
DROP INDEX lines_open;
DROP INDEX lines_id;
CREATE INDEX lines_waiting ON lines (priority DESC, seq) WHERE state = 'waiting';
CREATE INDEX lines_speaking ON lines (seq) WHERE state = 'speaking';
CREATE INDEX lines_begun ON lines (seq) WHERE state = 'waiting' AND started;
CREATE INDEX lines_same ON lines (text) WHERE state = 'waiting' AND NOT started;
CREATE INDEX lines_id ON lines (id, born_s);
""",
    # Some files of version 3 have the first two already. The others keep the cost of one line small if a publisher uses
    # the same id again and again.
    4: """
CREATE INDEX IF NOT EXISTS lines_rejected ON lines (ended_n) WHERE state = 'rejected';
CREATE INDEX IF NOT EXISTS lines_sounded ON lines (ended_n) WHERE started AND ended_n > 0;
CREATE INDEX lines_open ON lines (id) WHERE state IN ('waiting', 'speaking');
CREATE INDEX lines_known ON lines (id, born_s) WHERE state NOT IN ('rejected', 'expired');
UPDATE OR REPLACE settings SET key = '.rejected_counts' WHERE key = '.untold';
UPDATE OR REPLACE settings SET key = '.prefetched' WHERE key = '.rehearsed';
""",
    # Only the history reads these two. Both are NULL in lines of older versions.
    5: """
ALTER TABLE lines ADD COLUMN sent_text TEXT;  -- as it was sent, if the policies changed it
ALTER TABLE lines ADD COLUMN heard_at TEXT;   -- wall time of its first sound
""",
    # The tables stay. Programs of version 5 would take a line with a language for damaged, so they must not open it.
    6: """
-- Since this version, `details` may hold the language of a line.
""",
}
VERSION = max(STEPS)
OLDEST = min(STEPS)
"""The first version. Later ones have its tables and columns too."""
_MOST_VERSION = 999  # a higher number is damage, not a later version

Schema = frozenset[tuple[str, ...]]


def version_of(connection: sqlite3.Connection) -> int:
    """Version of a file's tables; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def columns_of(table: str, version: int = VERSION) -> frozenset[str]:
    """Names of the columns that a table has in a version."""
    return frozenset(column for name, column in _columns_of(version) if name == table)


def is_newer(version: int) -> bool:
    """Whether a later version of this program wrote a file with this version."""
    return VERSION < version <= _MOST_VERSION


def is_known(connection: sqlite3.Connection) -> bool:
    """Whether a file's tables are exactly those of its version, so that `upgrade` may run.

    Indexes of the newest version may be there already.
    """
    version, found = version_of(connection), _schema(connection)
    if version not in (0, *STEPS):
        return False
    expected = _schema_of(version)
    return expected <= found <= (expected | _schema_of(VERSION) if version else expected)


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a file to the newest version, in one transaction: after a fault or a kill it is as it was before.

    Raises:
        sqlite3.Error: The upgrade failed and was rolled back.
    """
    found = version_of(connection)
    steps = "".join(step for version, step in STEPS.items() if version > found)
    if not steps:
        return
    try:
        # The script brings its own BEGIN: Python would commit one that is open before it runs a script.
        connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _schema(connection: sqlite3.Connection) -> Schema:
    return frozenset(
        tuple(row) for row in connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    )


@cache
def _schema_of(version: int) -> Schema:
    with closing(_empty(version)) as connection:
        return _schema(connection)


@cache
def _columns_of(version: int) -> frozenset[tuple[str, str]]:
    with closing(_empty(version)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return frozenset(
            (table, row[0])
            for table in tables
            for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        )


def _empty(version: int) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for step, sql in STEPS.items():
        if step <= version:
            connection.executescript(sql)
    return connection
