"""Whose turn it is: what one transaction does to the line that goes next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ishowtts.inbox.columns import SPEAKING, UNREADABLE, UnreadableRow, row_line
from ishowtts.inbox.queue_types import DequeuedLine
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Outcome, Priority


def take(ledger: Transaction, minimum: Priority, held: Collection[str | None]) -> DequeuedLine | None:
    """Have the next line spoken; `None`: there is none."""
    taken = _first(ledger, minimum, held)
    if taken is None:
        return None
    ledger.update(taken.seq, state=SPEAKING, attempts=taken.attempts + 1)
    return replace(taken, attempts=taken.attempts + 1)


def rehearse(ledger: Transaction, minimum: Priority, held: Collection[str | None], run: str) -> DequeuedLine | None:
    """Look at the next line, and note that this run of the daemon did; `None`: there is none, or it would be risky."""
    if ledger.rehearsal_ended_badly():
        return None
    taken = _first(ledger, minimum, held)
    if taken is not None:
        ledger.rehearses(taken.seq, run)
    return taken


def _first(ledger: Transaction, minimum: Priority, held: Collection[str | None]) -> DequeuedLine | None:
    """The line whose turn it is, as it waits; `None`: there is none."""
    ledger.expire()
    while (row := ledger.first(minimum, held)) is not None:
        try:
            line = row_line(row)
        except UnreadableRow as error:
            # Written by another version, or hurt where SQLite cannot see it: it must not stop the others.
            ledger.end(row, Outcome.FAILED, {"error": f"{UNREADABLE} ({error})"})
            continue
        queue_s = max(0.0, ledger.now_s - row["born_s"])
        return DequeuedLine(row["seq"], line, queue_s, row["position"], row["spoken"], row["attempts"], row["times"])
    return None
