"""Reads a file of the inbox that another program may have changed: only ordinary tables, and with a deadline."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import cache
from pathlib import Path

from ishowtts.inbox.database import SqliteError, connect, open_memory, refuse_special

_READ_S = 10.0
_RESCUE_S = 30.0  # later than that, what is left is read in small pieces
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also beside a daemon that writes. Raises InboxError, sqlite3.Error."""
    refuse_special(path)
    # A reader needs the files beside a WAL database; after an orderly end there are none, and nobody writes.
    at_rest = not path.with_name(f"{path.name}-wal").exists()
    return _bounded(connect(f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}", uri=True), _READ_S)


def open_to_rescue(path: Path) -> sqlite3.Connection:
    """A connection to a file that may be damaged. Raises InboxError, sqlite3.Error."""
    refuse_special(path)
    # Not read-only: what lies in its WAL is wanted too.
    return _bounded(connect(str(path)), _RESCUE_S)


def has_ordinary_table(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a file has a table of this name with at least our columns, each of them stored.

    A view, a virtual table or a computed column runs what somebody has written into the file, perhaps without end.
    """
    try:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE lower(name) = ?", (table,)).fetchall()
        if len(found) != 1 or not str(found[0]["sql"]).startswith("CREATE TABLE "):
            return False
        columns = {row["name"]: row["hidden"] for row in connection.execute(f"PRAGMA table_xinfo({table})")}
    except SqliteError:
        return False
    return columns.keys() >= _columns(table) and not any(columns.values())


@cache
def _columns(table: str) -> frozenset[str]:
    with closing(open_memory()) as connection:
        return frozenset(row["name"] for row in connection.execute(f"PRAGMA table_info({table})"))


def _bounded(connection: sqlite3.Connection, most_s: float) -> sqlite3.Connection:
    """Have every statement raise sqlite3.OperationalError from then on."""
    until_s = time.monotonic() + most_s
    connection.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS)
    return connection
