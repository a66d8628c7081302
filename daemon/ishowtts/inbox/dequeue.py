"""Chooses the line that goes next, for speaking or prefetching, and decides what happens to lines after a crash."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import replace

from ishowtts.inbox.columns import SPEAKING, UNREADABLE, WAITING, UnreadableRow, row_line
from ishowtts.inbox.queue_types import DequeuedLine, HeldKey, InboxLimits
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Outcome, Priority

_PREFETCHED = ".prefetched"  # the setting that names the line that an engine was shown, and the run of the daemon
_SUSPECT = ".suspect"  # the setting that names the line whose prefetch a crash may have come from


def take(transaction: Transaction, minimum: Priority, held: Collection[HeldKey]) -> DequeuedLine | None:
    """Mark the next line as being spoken. `None`: there is none."""
    line = _next_line(transaction, minimum, held)
    if line is None:
        return None
    transaction.update(line.seq, state=SPEAKING, attempts=line.attempts + 1)
    return replace(line, attempts=line.attempts + 1)


def peek_for_prefetch(
    transaction: Transaction, minimum: Priority, held: Collection[HeldKey], run: str
) -> DequeuedLine | None:
    """Show the next line, and note that this run of the daemon hands it to an engine.

    Args:
        run: Names this run of the daemon.

    Returns:
        `None` if there is none, or if the last prefetch may have crashed the daemon.
    """
    if _has_open_suspect(transaction):
        return None
    line = _next_line(transaction, minimum, held)
    if line is not None:
        transaction.remember(_PREFETCHED, f"{run} {line.seq}")
    return line


def end_in_order(transaction: Transaction) -> None:
    """Note an orderly end: no later crash comes from a prefetch of this run."""
    transaction.mark_alive()
    transaction.remember(_PREFETCHED, "")


def recover(transaction: Transaction, limits: InboxLimits, run: str) -> None:
    """After a crash, let the lines that were being spoken wait again, unless that has happened too often.

    Args:
        run: Names this run of the daemon. Its own prefetch has not crashed.
    """
    prefetched_by, _, seq = (transaction.recall(_PREFETCHED) or "").partition(" ")
    if seq and prefetched_by != run:
        transaction.remember(_SUSPECT, seq)
        transaction.remember(_PREFETCHED, "")
    for row in transaction.rows("SELECT * FROM lines WHERE state = 'speaking' ORDER BY seq"):
        if row["attempts"] >= limits.max_attempts:
            error = f"the daemon ended {row['attempts']} times while speaking it"
            transaction.end(row, Outcome.FAILED, {"error": error})
        elif limits.after_crash == "skip":
            error = "the daemon ended while speaking it, and does not speak such lines again (queue.after_crash)"
            transaction.end(row, Outcome.FAILED, {"error": error})
        elif limits.after_crash == "repeat":
            transaction.update(row["seq"], state=WAITING, position=0, spoken=None)
        else:
            transaction.update(row["seq"], state=WAITING)


def _has_open_suspect(transaction: Transaction) -> bool:
    """Whether a line is still open that was prefetched when the daemon crashed."""
    suspect = transaction.recall(_SUSPECT)
    open_line = "SELECT 1 FROM lines WHERE seq = ? AND state IN ('waiting', 'speaking')"
    return bool(suspect) and bool(transaction.rows(open_line, suspect))


def _next_line(transaction: Transaction, minimum: Priority, held: Collection[HeldKey]) -> DequeuedLine | None:
    """The line that goes next. It stays in the queue. `None`: there is none."""
    transaction.expire()
    while (row := _next_row(transaction, minimum, held)) is not None:
        try:
            line = row_line(row)
        except UnreadableRow as error:
            # The row is damaged where SQLite cannot see it. It must not stop the others.
            transaction.end(row, Outcome.FAILED, {"error": f"{UNREADABLE} ({error})"})
            continue
        queue_s = max(0.0, transaction.now_s - row["born_s"])
        return DequeuedLine(
            row["seq"],
            line,
            queue_s,
            row["position"],
            row["spoken"],
            row["attempts"],
            row["times"],
            was_started=bool(row["started"]),
        )
    return None


def _next_row(transaction: Transaction, minimum: Priority, held: Collection[HeldKey]) -> sqlite3.Row | None:
    """The next line of at least this priority. A line that was started goes on whatever its priority is.

    Args:
        held: The lines that are skipped.
    """
    numbers = [key for key in held if isinstance(key, int)]
    names = [key or "" for key in held if not isinstance(key, int)]
    others = f"coalesce(voice, '') NOT IN ({', '.join('?' * len(names))})"
    if numbers:
        others += f" AND seq NOT IN ({', '.join('?' * len(numbers))})"
    skipped = (*names, *numbers)
    normal = f"SELECT * FROM lines WHERE state = 'waiting' AND priority >= ? AND {others}"  # noqa: S608  marks
    rows = transaction.rows(f"{normal} ORDER BY priority DESC, seq LIMIT 1", int(minimum), *skipped)
    if not rows:
        started = f"SELECT * FROM lines INDEXED BY lines_begun WHERE state = 'waiting' AND started AND {others}"  # noqa: S608  marks
        rows = transaction.rows(f"{started} ORDER BY priority DESC, seq LIMIT 1", *skipped)
    return rows[0] if rows else None
