"""Opens the SQLite database of the queue: to use it, in memory, to read it beside a daemon, or to salvage it."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from ishowtts.inbox import migrations
from ishowtts.inbox.database_file import FileDamaged, FileTooNew, SqliteError, make_private, refuse_special, translated

log = logging.getLogger(__name__)

_MOST_WAL_BYTES = 4 << 20  # what stays of the log after one large transaction
_BUSY_S = 5.0  # how long a statement waits for another program's lock
_READ_S = 10.0
_SALVAGE_S = 30.0  # after that, the rest is read in small pieces
_STEPS = 10_000  # of SQLite's virtual machine, between two checks of the deadline


def open_file(path: Path) -> sqlite3.Connection:
    """Open or create a file for use, and upgrade an older one. Only its owner and group can read it.

    Raises:
        FileTooNew: A later version of this program wrote it.
        FileDamaged: A fresh file would do.
        InboxError: It cannot be used for another reason; the sentence names the fix.
    """
    with translated(path):
        make_private(path)
        connection = connect(str(path))
        try:
            refuse_newer(connection, path)
            if path.stat().st_size == 0:  # later it cannot be changed
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {_MOST_WAL_BYTES}")
            # First, because SQLite may run forever on a file with other tables.
            if not migrations.is_known(connection):
                raise FileDamaged(f"{path} has other tables than this version of ishowtts: move it away")
            if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise FileDamaged(f"{path} is damaged ({found}): move it away")
            _upgrade(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_memory() -> sqlite3.Connection:
    """Create the same tables in memory."""
    connection = connect(":memory:")
    migrations.upgrade(connection)
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file without changing it, also while a daemon writes it. Raises InboxError, sqlite3.Error."""
    refuse_special(path)
    # A reader needs the files beside a WAL database. After an orderly end there are none, and nobody writes.
    at_rest = not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}"
    return _with_deadline(connect(uri, uri=True), _READ_S)


def open_to_salvage(path: Path) -> sqlite3.Connection:
    """Open a file that may be damaged, unchecked and writable. Its statements fail after `_SALVAGE_S` seconds.

    Raises:
        InboxError, sqlite3.Error
    """
    refuse_special(path)
    # Not read-only: the rows in its log are wanted too.
    return _with_deadline(connect(str(path)), _SALVAGE_S)


def connect(database: str, *, uri: bool = False) -> sqlite3.Connection:
    """Open a connection with the settings of this package. Raises sqlite3.Error."""
    # One thread uses it at a time: the one that opens the inbox, then the writer.
    connection = sqlite3.connect(database, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, uri=uri)
    connection.row_factory = sqlite3.Row
    # A text that is not UTF-8 is damage to one value; Python would raise for the whole query.
    connection.text_factory = _text
    # The functions that a file's own views and columns call are not trusted.
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def has_ordinary_table(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a file has a table of this name with at least the columns of the oldest version, each of them stored.

    A view, a virtual table or a computed column runs what somebody has written into the file, perhaps without end.
    """
    try:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE lower(name) = ?", (table,)).fetchall()
        if len(found) != 1 or not str(found[0]["sql"]).startswith("CREATE TABLE "):
            return False
        columns = {row["name"]: row["hidden"] for row in connection.execute(f"PRAGMA table_xinfo({table})")}
    except SqliteError:
        return False
    oldest = migrations.columns_of(table, migrations.OLDEST)
    return bool(columns) and columns.keys() >= oldest and not any(columns.values())


def refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Raise FileTooNew if a later version of this program wrote the file."""
    version = migrations.version_of(connection)
    if migrations.is_newer(version):
        raise FileTooNew(
            f"{path} has version {version} of the queue's file, and this ishowtts reads versions up to"
            f" {migrations.VERSION}: go back to the newer ishowtts (sudo /opt/ishowtts/install.sh --rollback, or"
            " install it again), or move the file away and begin with an empty queue"
        )


def remember(db: sqlite3.Connection, key: str, value: str) -> None:
    """Store one setting; the same value again changes nothing. The caller commits."""
    db.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value",
        (key, value),
    )


def recall(db: sqlite3.Connection, key: str) -> str | None:
    """A stored setting, or `None`."""
    row = db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    return row["value"] if row is not None and isinstance(row["value"], str) else None


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    version = migrations.version_of(connection)
    migrations.upgrade(connection)
    if 0 < version < migrations.VERSION:
        log.info("%s was upgraded from version %d to version %d", path, version, migrations.VERSION)


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def _with_deadline(connection: sqlite3.Connection, most_s: float) -> sqlite3.Connection:
    """Limit the use of a connection to `most_s` seconds. The clock starts now, once for the connection.

    At the deadline SQLite interrupts the running statement. That one and all later ones raise sqlite3.OperationalError.
    """
    until_s = time.monotonic() + most_s
    connection.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS)
    return connection
