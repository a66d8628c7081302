"""Decides what happens to an arrival: queued, merged, known as a duplicate, or rejected; always with an event."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ishowtts.inbox.columns import WAITING, arrival_words, cut, line_columns, row_outcome, storable
from ishowtts.inbox.queue_types import InboxLimits
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority, Reason, Rejection

log = logging.getLogger(__name__)

_SESSION = ".session"  # the setting that names the session with the broker
_MOST_OF_ONE_ID = 1000  # lines that a new one is compared with, if a publisher uses one id for all of its lines
_MOST_COMPARED = 1000  # waiting lines that a new one is compared with, if the template names authors
_IN_FLIGHT = 10_000  # no broker has so many messages under way; packet ids are used again after 65,535


def accept_all(transaction: Transaction, group: Sequence[Arrival], limits: InboxLimits, *, durable: bool) -> None:
    """Accept a group of arrivals, in order. A message that the broker delivers again is skipped.

    Args:
        durable: Whether accepted lines will be on disk. If not, their events say so.
    """
    transaction.expire()
    depth = transaction.depth()
    for arrival in group:
        if arrival.delivery is not None and _is_redelivery(transaction, arrival.delivery):
            log.info("the broker delivered message %d again", arrival.delivery.packet_id)
            continue
        depth = accept(transaction, arrival.what, limits, depth, durable=durable)
        if arrival.delivery is not None:
            _note_delivery(transaction, arrival.delivery)


def accept(transaction: Transaction, what: Line | Rejection, limits: InboxLimits, depth: int, *, durable: bool) -> int:
    """Accept one arrival.

    Args:
        depth: Number of waiting lines.

    Returns:
        Number of waiting lines now.
    """
    line = what.line if isinstance(what, Rejection) else what
    # First, so that an accepted line is never reported as rejected because it was sent again.
    if line is not None and (original := _original_of(transaction, line, limits.dedup_s)) is not None:
        outcome = row_outcome(original)
        _extend_life(transaction, original, line, limits)
        # While the original is open, its final event is the answer.
        reply_to = what.reply_to if outcome else None
        data: dict[str, Any] = {"of": original["id"], "outcome": outcome.value if outcome else None}
        transaction.outbox.add(what.id, "duplicate", data, reply_to, arrival_words(what))
    elif isinstance(what, Rejection):
        reject(transaction, what, what.reason.value, what.detail)
    elif limits.merge_s > 0 and (waiting := _same_waiting(transaction, what, limits.merge_s)) is not None:
        _merge(transaction, what, waiting)
    elif depth >= limits.max_lines and not _evict(transaction, what.priority):
        detail = f"{depth} lines wait already (queue.max_lines): send it later, or send less"
        reject(transaction, what, Reason.QUEUE_FULL.value, detail)
    else:
        depth += depth < limits.max_lines
        transaction.insert(what, WAITING, limits.life_s(what.priority, what.ttl_s))
        data = {"queue_depth": depth, "priority": what.priority.name.lower()}
        if what.voice is not None:
            data["voice"] = what.voice
        if what.done:
            data["done"] = list(what.done)
        if not durable:
            data["durable"] = False
        transaction.outbox.add(what.id, "accepted", data, words=arrival_words(what))
    return depth


def reject(transaction: Transaction, arrival: Line | Rejection, reason: str, detail: str) -> None:
    """Store a rejected arrival for the history, with the head of its text, and its final event.

    If an open line has its id, it gets another id. Otherwise a reader of that line's events would take the rejection
    for its end.
    """
    if isinstance(arrival, Line):
        line, text = arrival, cut(arrival.text)
    elif arrival.line is not None:
        line, text = arrival.line, cut(arrival.line.text)
    else:
        text = arrival.sent or ""  # it is cut already, and says how long it was
        line = Line(arrival.id, text, author=arrival.author, reply_to=arrival.reply_to)
    open_line = "SELECT 1 FROM lines INDEXED BY lines_open WHERE id = ? AND state IN ('waiting', 'speaking') LIMIT 1"
    if transaction.rows(open_line, storable(line.id)):
        detail = f"{detail} (it was sent with the id {line.id}, which a line has that is not finished)"
        line = replace(line, id=uuid4().hex)
    stored = replace(line, text=text, bare_text=None, reply_to=None)
    seq = transaction.insert(stored, Outcome.REJECTED.value, 0.0)
    data = {"reason": reason, "detail": detail}
    transaction.end_line(seq, line.id, line.reply_to, Outcome.REJECTED, data, words=arrival_words(arrival))


def begin_session(transaction: Transaction, session: str, resumed: bool) -> None:
    """Forget all deliveries if this is another session with the broker: its packet ids mean other messages."""
    if not resumed or transaction.recall(_SESSION) != session:
        transaction.execute("DELETE FROM deliveries")
        transaction.remember(_SESSION, session)


def forget_deliveries(transaction: Transaction, deliveries: Sequence[Delivery]) -> None:
    """Forget deliveries that the broker will not repeat. A packet id that now means another message stays."""
    for delivery in deliveries:
        transaction.execute(
            "DELETE FROM deliveries WHERE packet_id = ? AND digest = ?", delivery.packet_id, delivery.digest
        )


def _is_redelivery(transaction: Transaction, delivery: Delivery) -> bool:
    """Whether this message was stored before, and the broker only missed the acknowledgement."""
    if not delivery.again:
        return False
    known = "SELECT 1 FROM deliveries WHERE packet_id = ? AND digest = ? AND seq > ?"
    since = _newest_seq(transaction) - _IN_FLIGHT
    return bool(transaction.rows(known, delivery.packet_id, delivery.digest, since))


def _note_delivery(transaction: Transaction, delivery: Delivery) -> None:
    transaction.execute(
        "INSERT OR REPLACE INTO deliveries (packet_id, digest, seq) VALUES (?, ?, ?)",
        *(delivery.packet_id, delivery.digest, _newest_seq(transaction)),
    )


def _newest_seq(transaction: Transaction) -> int:
    """Number of the newest line that there ever was."""
    rows = transaction.rows("SELECT seq FROM sqlite_sequence WHERE name = 'lines'")
    return int(rows[0]["seq"]) if rows else 0


def _original_of(transaction: Transaction, line: Line, dedup_s: float) -> sqlite3.Row | None:
    """The recent line with the same id and content, if any. A line that was rejected or has expired may come again.

    The life of a line is not part of its content: a broker shortens it while it keeps the message.
    """
    columns = line_columns(line)
    known = "lines INDEXED BY lines_known WHERE id = ? AND state NOT IN ('rejected', 'expired')"
    since = f"SELECT born_s FROM {known} ORDER BY born_s DESC LIMIT 1 OFFSET ?"  # noqa: S608  ours
    rows = transaction.rows(
        f"SELECT * FROM {known} AND born_s >= max(?, coalesce(({since}), -1e300))"  # noqa: S608  ours
        " AND text = ? AND priority = ? AND voice IS ?"
        " AND CASE WHEN json_valid(details) THEN json_remove(details, '$.ttl_s') END = json_remove(?, '$.ttl_s')"
        " ORDER BY seq LIMIT 1",
        *(columns["id"], math.nextafter(transaction.now_s - dedup_s, math.inf)),
        *(columns["id"], _MOST_OF_ONE_ID),
        *(columns[name] for name in ("text", "priority", "voice", "details")),
    )
    return rows[0] if rows else None


def _extend_life(transaction: Transaction, original: sqlite3.Row, line: Line, limits: InboxLimits) -> None:
    """Let a waiting line live as long as its duplicate: a short life must not silence the duplicate."""
    transaction.execute(
        "UPDATE lines SET deadline_s = max(CAST(deadline_s AS REAL), ?) WHERE seq = ? AND state = 'waiting'",
        *(transaction.now_s + limits.life_s(line.priority, line.ttl_s), original["seq"]),
    )


def _same_waiting(transaction: Transaction, line: Line, merge_s: float) -> sqlite3.Row | None:
    """The waiting line that this one repeats, if any, whoever sent it. Nothing of it was heard yet."""
    columns = line_columns(line)
    same = (
        "NOT started AND voice IS ? AND born_s > ? AND CASE WHEN json_valid(details)"
        " THEN json_remove(details, '$.author') END = json_remove(?, '$.author') ORDER BY seq LIMIT 1"
    )
    values = (columns["voice"], transaction.now_s - merge_s, columns["details"])
    if line.bare_text is None:
        waiting = "lines INDEXED BY lines_same WHERE state = 'waiting' AND text = ? AND priority = ?"
        sql, which = f"SELECT * FROM {waiting} AND {same}", (columns["text"], columns["priority"])  # noqa: S608  ours
    else:
        # The texts name their authors. The bare text is among the details.
        waiting = "lines INDEXED BY lines_waiting WHERE state = 'waiting' AND priority = ? ORDER BY seq DESC LIMIT ?"
        sql = f"SELECT * FROM (SELECT * FROM {waiting}) WHERE {same}"  # noqa: S608  ours
        which = (columns["priority"], _MOST_COMPARED)
    rows = transaction.rows(sql, *which, *values)
    return rows[0] if rows else None


def _merge(transaction: Transaction, line: Line, into: sqlite3.Row) -> None:
    """Store a line that is not spoken itself, and count it in the waiting one."""
    transaction.update(into["seq"], times=into["times"] + 1)
    seq = transaction.insert(line, Outcome.MERGED.value, 0.0)
    transaction.end_line(seq, line.id, line.reply_to, Outcome.MERGED, {"into": into["id"]}, words=arrival_words(line))


def _evict(transaction: Transaction, arriving: Priority) -> bool:
    """End a waiting line of which nothing was heard, so that a full queue has room for another one.

    Of the lines with a lower priority than the arriving one, the newest of the lowest priority ends. A low line
    replaces the oldest low line instead.

    Returns:
        False if there is no such line.
    """
    unheard = "SELECT * FROM lines WHERE state = 'waiting' AND NOT started"
    if arriving is Priority.LOW:
        rows = transaction.rows(f"{unheard} AND priority = ? ORDER BY seq LIMIT 1", int(Priority.LOW))
    else:
        rows = transaction.rows(f"{unheard} AND priority < ? ORDER BY priority, seq DESC LIMIT 1", int(arriving))
    for row in rows:
        transaction.end(row, Outcome.EVICTED)
    return bool(rows)
