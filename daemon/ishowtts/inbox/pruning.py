"""Removes old rows, so that neither the history nor the outbox grows without end."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ishowtts.inbox.queue_types import InboxLimits
from ishowtts.model import Outcome

MOST_EVENTS = 20_000
"""Bound of the outbox. A row has at most 10 kB: 4 kB of text, 4 kB of Correlation Data, topic, id, author, a reason."""

_MINOR_EVENTS = 10_000  # from so many events on, none is stored that does not belong to an accepted line
_REJECTIONS = 5_000  # from so many events on, none of a line that is not accepted: answers to commands need room
_AT_ONCE = 100  # events removed together, so that a full outbox is not searched for each new one
_NEVER_ACCEPTED = {"command", "duplicate", Outcome.REJECTED.value}
_FINAL = {outcome.value for outcome in Outcome} - _NEVER_ACCEPTED
_PAGES = ("page_count", "freelist_count", "page_size")
_FREE_PAGES = 1024  # given back to a short disk in one transaction: 4 MB


def _listed(names: set[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


# Each of these statements reads the oldest rows only, however many there are. Every name in them is ours.
# ruff: noqa: S608
_TOO_MANY = "ended_n <= (SELECT max(ended_n) FROM lines) - :keep"
_YOUNG = "(state != 'rejected' AND born_s >= :young_s)"  # an id that must still be known
_COLUMNS = "seq, state, born_s, ended_n, ended_wall_s"
_OLDEST = f"SELECT {_COLUMNS} FROM lines INDEXED BY lines_ended WHERE ended_n > 0 ORDER BY ended_n LIMIT :most"
_BEYOND = f"SELECT seq FROM ({_OLDEST}) WHERE NOT {_YOUNG} AND ({_TOO_MANY} OR ended_wall_s < :old_s)"
_REJECTED = (
    "SELECT seq FROM lines INDEXED BY lines_rejected WHERE state = 'rejected' AND ended_n > 0"
    " ORDER BY ended_n LIMIT :most"
)
_NOT_YOUNG = f"SELECT seq FROM ({_OLDEST}) WHERE NOT {_YOUNG}"
_ANY = f"SELECT seq FROM ({_OLDEST})"
_MINOR = f"SELECT number FROM outbox WHERE event IN ({_listed(_NEVER_ACCEPTED)}) ORDER BY number LIMIT :most"


@dataclass(frozen=True)
class PruneResult:
    """Number of ended lines, and of unsent events, that were removed."""

    lines: int
    events: int


@dataclass(frozen=True)
class Now:
    """The time on both clocks: seconds since the boot, and since 1970."""

    since_boot_s: float
    wall_s: float


def prune(db: sqlite3.Connection, limits: InboxLimits, now: Now, most: int, *, short: bool = False) -> PruneResult:
    """Remove up to `most` ended lines, the oldest first. The caller commits.

    First go lines older than `history_days` or beyond `history_lines`. A line whose id must still be known for
    `dedup_s` stays. If the file is then larger than `history_mb`, the oldest rejected lines go, with the events of such
    lines in the outbox. If there are none, the oldest lines of all go. This bound holds even if a flood is younger
    than `dedup_s`.

    Args:
        short: The disk is short of room. Treat the file as too large, but keep what `dedup_s` needs, and give free
            pages back to the disk.

    Returns:
        How many lines and events were removed; none: there is nothing to remove now.
    """
    values = {
        "most": most,
        "keep": limits.history_lines,
        "old_s": now.wall_s - limits.history_days * 86_400,
        "young_s": now.since_boot_s - limits.dedup_s,
    }
    lines, events = _remove(db, "lines", _BEYOND, values), 0
    large = used_bytes(db) > limits.history_mb * 1_000_000
    if not lines and (large or short):
        lines = _remove(db, "lines", _REJECTED, values)
        events = _remove(db, "outbox", _MINOR, values) if large else 0
        if not lines and not events:
            lines = _remove(db, "lines", _ANY if large else _NOT_YOUNG, values)
    if short:
        db.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES})").fetchall()
    return PruneResult(lines, events)


def used_bytes(db: sqlite3.Connection) -> int:
    """Size of the file's tables and indexes, without its free pages."""
    count, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES)
    return int((count - free) * size)


def make_room(db: sqlite3.Connection, event: str, count: int) -> int | None:
    """Make room in the outbox for one more event: a broker may take none for days. The caller commits.

    From a quarter full on, events of lines that are not accepted (`rejected`, `duplicate`) are not stored. From half
    full on, `command` events are not stored: no publisher was promised them. If it is full, the oldest events that are
    not final go, then the oldest final ones.

    Args:
        event: Its name.
        count: Number of events in the outbox.

    Returns:
        How many events were removed, or `None` if this event must not be stored.
    """
    if event in _NEVER_ACCEPTED and count >= (_MINOR_EVENTS if event == "command" else _REJECTIONS):
        return None
    if count < MOST_EVENTS:
        return 0
    for which in (f"WHERE event NOT IN ({_listed(_FINAL)})", ""):
        oldest = f"SELECT number FROM outbox {which} ORDER BY number LIMIT {_AT_ONCE}"
        removed = db.execute(f"DELETE FROM outbox WHERE number IN ({oldest})").rowcount
        if removed:
            return removed
    return 0


def _remove(db: sqlite3.Connection, table: str, which: str, values: dict[str, float]) -> int:
    key = "seq" if table == "lines" else "number"
    return db.execute(f"DELETE FROM {table} WHERE {key} IN ({which})", values).rowcount
