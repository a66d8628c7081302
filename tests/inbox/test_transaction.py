"""The cost of a line does not grow with the history: no statement reads the whole table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ishowtts.inbox import wait_for
from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority

Queue = Any  # of conftest.py


def live_through_all(queue: Queue) -> None:
    """Let a line use every statement that it may need."""
    queue.inbox.begin_session("s", False)
    queue.inbox.accept([Arrival(Line("a", "hello"), Delivery(1, b"x", again=True))])
    queue.inbox.accept([Line("b", "hello"), Line("a", "hello")])
    queue.inbox.accept([Line("c", "c says: hello", author="c", bare_text="hello")])
    queue.inbox.accept([Line(str(n), f"line {n}", priority=Priority.LOW, ttl_s=5) for n in range(5)])
    queue.inbox.peek_for_prefetch()
    first = queue.inbox.take(Priority.HIGH) or queue.inbox.take(held=["anna", None]) or queue.inbox.take()
    queue.inbox.started(first.seq, muted=False)
    queue.inbox.interrupt(first.seq, 1)
    queue.inbox.accept([Line("u", "hello", priority=Priority.URGENT)])
    for _ in range(2):
        queue.inbox.finish(queue.inbox.take(Priority.HIGH).seq, Outcome.FINISHED, {})
    queue.inbox.sent(queue.inbox.unsent())
    queue.inbox.replay("again")
    queue.clock.pass_s(6)
    queue.inbox.expire()
    queue.inbox.cancel_waiting("test")
    queue.inbox.remember("volume", "3")


def test_no_statement_for_a_line_reads_every_line(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(max_lines=3, merge_s=10)
    connection = queue.inbox.plain._storage.connection
    statements: set[str] = set()
    connection.set_trace_callback(statements.add)
    live_through_all(queue)
    wait_for(queue.inbox.plain._writer.submit(lambda _: connection.set_trace_callback(None)))

    asked = {one for one in statements if one.split()[0] in ("SELECT", "UPDATE", "DELETE")}
    assert len(asked) > 20
    plans = {one: [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")] for one in asked}
    everything = {"SCAN lines", "SCAN TABLE lines", "SCAN deliveries", "SCAN TABLE deliveries"}
    assert {one: plan for one, plan in plans.items() if everything & set(plan)} == {}
