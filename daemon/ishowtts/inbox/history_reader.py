"""The past, for readers beside the daemon."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ishowtts.errors import InboxError
from ishowtts.inbox.columns import row_history
from ishowtts.inbox.database import SqliteError, refuse_newer
from ishowtts.inbox.queue_types import HistoryEntry
from ishowtts.inbox.safe_open import has_ordinary_table, open_to_read

NEWEST_FIRST = "SELECT * FROM lines ORDER BY seq DESC LIMIT ?"


def read_history(path: Path, limit: int) -> list[HistoryEntry]:
    """The latest lines, the newest first, read without touching a file that a daemon may be writing.

    Raises:
        InboxError: there is no such file, this user may not read it, or another program has made it.
    """
    if not path.exists():
        raise InboxError(f"there is no history at {path}: the daemon has not run with this state_dir")
    try:
        with closing(open_to_read(path)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # raises if nothing can be read
            if not has_ordinary_table(connection, "lines"):
                refuse_newer(connection, path)
                raise InboxError(f"{path} has other tables than this version of ishowtts: move it away")
            return [row_history(row) for row in connection.execute(NEWEST_FIRST, (limit,))]
    except SqliteError as error:
        raise InboxError(f"{path} cannot be read ({error}): run this as root or as the daemon's user") from error
