"""What is removed so that neither the history nor the outbox grows without end."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ishowtts.inbox.queue_types import InboxLimits
from ishowtts.model import Outcome

MOST_EVENTS = 20_000
"""Rows of the outbox. At most 6 kB each: half a kilobyte of topic, 4 kB of Correlation Data, an id, a reason."""

_MINOR_EVENTS = 10_000  # from so many on, no event is taken that tells of no accepted line
_REFUSALS = 5_000  # from so many on, no event of a line that is not accepted, so that answers to commands have room
_AT_ONCE = 100  # events removed together, so that a full outbox is not searched for each new one
_NEVER_ACCEPTED = {"command", "duplicate", Outcome.REJECTED.value}
_FINAL = {outcome.value for outcome in Outcome} - _NEVER_ACCEPTED
_PAGES = ("page_count", "freelist_count", "page_size")
_FREE_PAGES = 1024  # given back to a short disk in one transaction: 4 MB


def _listed(names: set[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


# All of them look at the oldest rows alone, however many there are. Every name in them is ours.
# ruff: noqa: S608
_TOO_MANY = "ended_n <= (SELECT max(ended_n) FROM lines) - :keep"
_YOUNG = "(state != 'rejected' AND born_s >= :young_s)"  # an id that must still be known
_COLUMNS = "seq, state, born_s, ended_n, ended_wall_s"
_OLDEST = f"SELECT {_COLUMNS} FROM lines INDEXED BY lines_ended WHERE ended_n > 0 ORDER BY ended_n LIMIT :most"
_BEYOND = f"SELECT seq FROM ({_OLDEST}) WHERE NOT {_YOUNG} AND ({_TOO_MANY} OR ended_wall_s < :old_s)"
_REFUSED = (
    "SELECT seq FROM lines INDEXED BY lines_rejected WHERE state = 'rejected' AND ended_n > 0"
    " ORDER BY ended_n LIMIT :most"
)
_NOT_YOUNG = f"SELECT seq FROM ({_OLDEST}) WHERE NOT {_YOUNG}"
_ANY = f"SELECT seq FROM ({_OLDEST})"
_MINOR = f"SELECT number FROM outbox WHERE event IN ({_listed(_NEVER_ACCEPTED)}) ORDER BY number LIMIT :most"


@dataclass(frozen=True)
class PruneResult:
    """How many ended lines, and how many unsent events, were removed."""

    lines: int
    events: int


@dataclass(frozen=True)
class Now:
    """The two times: seconds since the boot, and since 1970."""

    since_boot_s: float
    wall_s: float


def prune(db: sqlite3.Connection, limits: InboxLimits, now: Now, most: int, *, short: bool = False) -> PruneResult:
    """Remove up to `most` ended lines, the oldest first. The caller commits.

    First those older than `history_days` or beyond `history_lines`; one whose id must still be known for
    `dedup_s` stays. If the file is then larger than `history_mb`: the oldest refused lines and the events of such lines
    that wait in the outbox; without any, the oldest lines of all. This bound holds also if a flood is younger than
    `dedup_s`.

    Args:
        short: the disk is short of room: treat the file as too large, but keep what `dedup_s` needs, and give free
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
        lines = _remove(db, "lines", _REFUSED, values)
        events = _remove(db, "outbox", _MINOR, values) if large else 0
        if not lines and not events:
            lines = _remove(db, "lines", _ANY if large else _NOT_YOUNG, values)
    if short:
        db.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES})").fetchall()
    return PruneResult(lines, events)


def used_bytes(db: sqlite3.Connection) -> int:
    """What the file's tables and indexes take; its free pages do not count."""
    count, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES)
    return int((count - free) * size)


def make_room(db: sqlite3.Connection, event: str, count: int) -> int | None:
    """See that the outbox has room for one more event, since a broker may take none for days. The caller commits.

    When it is a quarter full, events of lines that are not accepted (`rejected`, `duplicate`) are not taken any more,
    and when it is half full, no `command`: their publisher has lost nothing that it was promised. When it is full, the
    oldest events that are not final are removed, then the oldest final ones.

    Args:
        event: its name.
        count: how many events the outbox holds.

    Returns:
        How many events were removed, or `None`: this event has no place.
    """
    if event in _NEVER_ACCEPTED and count >= (_MINOR_EVENTS if event == "command" else _REFUSALS):
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
