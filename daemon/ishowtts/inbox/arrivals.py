"""What becomes of an arrival: queued, merged, known already, or refused; always with an event."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ishowtts.inbox.columns import row_outcome
from ishowtts.inbox.queue_types import InboxLimits
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Arrival, Line, Reason, Rejection

log = logging.getLogger(__name__)


def admit_all(ledger: Transaction, arrivals: Sequence[Arrival], limits: InboxLimits, *, durable: bool) -> None:
    """Take a group in, in order. What the broker only delivers once more is passed over.

    Args:
        durable: whether what is accepted will be on disk; where not, the events say so.
    """
    ledger.expire()
    depth = ledger.depth()
    for arrival in arrivals:
        if arrival.delivery is not None and ledger.redelivered(arrival.delivery):
            log.info("the broker delivered message %d once more", arrival.delivery.packet_id)
            continue
        depth = admit(ledger, arrival.what, limits, depth, durable=durable)
        if arrival.delivery is not None:
            ledger.delivered(arrival.delivery)


def admit(ledger: Transaction, what: Line | Rejection, limits: InboxLimits, depth: int, *, durable: bool) -> int:
    """Take one arrival in.

    Args:
        depth: how many lines wait.

    Returns:
        How many wait now.
    """
    line = what.line if isinstance(what, Rejection) else what
    # First, so that a line that was accepted is never told to be rejected because it was sent again.
    if line is not None and (twin := ledger.twin(line, limits.dedup_s)) is not None:
        outcome = row_outcome(twin)
        ledger.live_on(twin, line, limits.max_age_s)
        # While the first one is open, its own final event is the answer.
        reply_to = what.reply_to if outcome else None
        told: dict[str, Any] = {"of": twin["id"], "outcome": outcome.value if outcome else None}
        ledger.event(what.id, "duplicate", told, reply_to)
    elif isinstance(what, Rejection):
        ledger.reject(what, what.reason.value, what.detail)
    elif limits.merge_s > 0 and (same := ledger.same(what, limits.merge_s)) is not None:
        ledger.merge(what, same)
    elif depth >= limits.max_lines and not ledger.evict(what.priority):
        detail = f"{depth} lines wait already (queue.max_lines): send it later, or send less"
        ledger.reject(what, Reason.QUEUE_FULL.value, detail)
    else:
        depth += depth < limits.max_lines
        ledger.add(what, limits.max_age_s)
        told = {"queue_depth": depth}
        if what.done:
            told["done"] = list(what.done)
        if not durable:
            told["durable"] = False
        ledger.event(what.id, "accepted", told)
    return depth
