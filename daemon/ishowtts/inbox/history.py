"""The past, for readers beside the daemon."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ishowtts.errors import InboxError
from ishowtts.inbox.rows import row_history
from ishowtts.inbox.values import HistoryEntry

NEWEST_FIRST = "SELECT * FROM lines ORDER BY seq DESC LIMIT ?"


def read_history(path: Path, limit: int) -> list[HistoryEntry]:
    """The latest lines, the newest first, read without touching a file that a daemon may be writing.

    Raises:
        InboxError: there is no such file, or this user may not read it.
    """
    if not path.exists():
        raise InboxError(f"there is no history at {path}: the daemon has not run with this state_dir")
    # A reader needs the files beside a WAL database; after an orderly end there are none, and nobody writes.
    at_rest = not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [row_history(row) for row in connection.execute(NEWEST_FIRST, (limit,))]
    except sqlite3.Error as error:
        raise InboxError(f"{path} cannot be read ({error}): run this as root or as the daemon's user") from error
