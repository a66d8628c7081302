"""Changes the state of a line after its arrival: started, interrupted, ended, cancelled, replayed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ishowtts.errors import CommandError
from ishowtts.inbox.arrivals import accept
from ishowtts.inbox.columns import SPEAKING, WAITING, cut, row_author, row_final_data, row_line, storable
from ishowtts.inbox.queue_types import InboxLimits
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Line, Outcome

_MOST_REPEATS = 2000  # merged lines that are looked through, the latest ones: 0.1 s


def start(transaction: Transaction, seq: int, data: dict[str, Any]) -> None:
    """Note that a line is heard. Its event comes once, even if the line is interrupted and goes on."""
    row = transaction.row(seq, SPEAKING)
    if not row["started"]:
        transaction.update(seq, started=1, heard_at=transaction.ts)
        queue_s = round(max(0.0, transaction.now_s - row["born_s"]), 3)
        transaction.outbox.add(row["id"], "started", {"queue_s": queue_s, **data})


def resume(transaction: Transaction, seq: int, data: dict[str, Any]) -> None:
    """Note that a line that was heard before goes on, with an event."""
    transaction.outbox.add(transaction.row(seq, SPEAKING)["id"], "resumed", data)


def reach(transaction: Transaction, seq: int, spoken: str, position: int) -> None:
    """Note where a line goes on if it is interrupted now."""
    transaction.row(seq, SPEAKING)
    transaction.update(seq, spoken=spoken, position=position)


def interrupt(transaction: Transaction, seq: int) -> None:
    """Put a line back, with an event."""
    row = transaction.row(seq, SPEAKING)
    transaction.put_back(row)
    transaction.outbox.add(row["id"], "interrupted", {})


def postpone(transaction: Transaction, seq: int) -> None:
    """Put a line back without an event."""
    transaction.put_back(transaction.row(seq, SPEAKING))


def finish(
    transaction: Transaction, seq: int, outcome: Outcome, data: dict[str, Any], spoken: str | None = None
) -> None:
    """End a line that is being spoken or waits.

    Args:
        spoken: The text as it was read aloud, for the history; `None`: nothing was prepared.
    """
    row = transaction.row(seq, SPEAKING, WAITING)
    transaction.end(row, outcome, data)
    if spoken is not None or row["spoken"] is not None:
        # The line does not go on, so that no position in the text is needed any more.
        read = row["spoken"] if spoken is None else spoken
        transaction.update(seq, position=0, spoken=None if read == row["text"] else storable(cut(read)))


def cancel_waiting(transaction: Transaction, by: str, line_id: str | None) -> int:
    """Cancel all waiting lines, or those with one id. Returns how many there were."""
    rows = transaction.waiting(line_id)
    for row in rows:
        transaction.end(row, Outcome.CANCELLED, {"by": by})
    return len(rows)


def cancel_author(
    transaction: Transaction, by: str, is_author: Callable[[str | None], bool], line_id: str | None
) -> tuple[int, int]:
    """Cancel the waiting lines of an author, or those of them with one id.

    A line into which lines of this author were merged is said for its own author: it stays, without the repeats.

    Returns:
        How many lines there were, and how many repeats.
    """
    others: list[sqlite3.Row] = []
    cancelled = 0
    for row in transaction.waiting(line_id):
        if is_author(row_author(row)):
            transaction.end(row, Outcome.CANCELLED, {"by": by})
            cancelled += 1
        elif row["times"] > 1:
            others.append(row)
    return cancelled, _cancel_repeats(transaction, by, is_author, others) if line_id is None else 0


def _cancel_repeats(
    transaction: Transaction, by: str, is_author: Callable[[str | None], bool], waiting: Sequence[sqlite3.Row]
) -> int:
    """Take the lines of an author that were merged into waiting ones out of their counts. Returns how many.

    Such a line has had its final event. The history notes the command, so that it is taken out only once.
    """
    if not waiting:
        return 0
    times = {row["id"]: row["times"] for row in waiting}
    merged = "SELECT seq, data, details FROM lines WHERE seq > ? AND state = 'merged' ORDER BY seq DESC LIMIT ?"
    repeats = 0
    for row in transaction.rows(merged, min(row["seq"] for row in waiting), _MOST_REPEATS):
        data = row_final_data(row)
        if times.get(data.get("into"), 1) > 1 and "by" not in data and is_author(row_author(row)):
            times[data["into"]] -= 1
            repeats += 1
            transaction.update(row["seq"], data=json.dumps({**data, "by": by}))
    for row in waiting:
        if times[row["id"]] != row["times"]:
            transaction.update(row["seq"], times=times[row["id"]])
    return repeats


def replay(transaction: Transaction, new_id: str, limits: InboxLimits, *, durable: bool) -> Line | None:
    """Queue the last line that was heard and has ended again, with a new id.

    Returns:
        The old line, or `None` if there is none.

    Raises:
        CommandError: The queue is full.
    """
    heard = "lines INDEXED BY lines_sounded WHERE started AND ended_n > 0"
    for row in transaction.rows(f"SELECT * FROM {heard} ORDER BY ended_n DESC LIMIT 1"):  # noqa: S608  ours
        depth = transaction.depth()
        if depth >= limits.max_lines:
            raise CommandError("the queue is full (queue.max_lines); ask again when it is shorter")
        line = row_line(row)
        accept(transaction, replace(line, id=new_id, reply_to=None, ttl_s=None), limits, depth, durable=durable)
        return line
    return None
