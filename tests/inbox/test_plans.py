"""However long the history, what a line costs does not grow with it: no statement reads the whole table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ishowtts.inbox import settled
from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority

House = Any  # of conftest.py


def live_through_all(house: House) -> None:
    """Have a line's life use every statement that it may need."""
    house.inbox.begin_session("s", False)
    house.inbox.accept([Arrival(Line("a", "hello"), Delivery(1, b"x", again=True))])
    house.inbox.accept([Line("b", "hello"), Line("a", "hello")])
    house.inbox.accept([Line(str(n), f"line {n}", priority=Priority.LOW, ttl_s=5) for n in range(5)])
    house.inbox.prefetch()
    first = house.inbox.take(Priority.HIGH) or house.inbox.take(held=["anna", None]) or house.inbox.take()
    house.inbox.started(first.seq, muted=False)
    house.inbox.interrupt(first.seq, 1)
    house.inbox.accept([Line("u", "hello", priority=Priority.URGENT)])
    for _ in range(2):
        house.inbox.finish(house.inbox.take(Priority.HIGH).seq, Outcome.FINISHED, {})
    house.inbox.sent(house.inbox.unsent())
    house.inbox.replay("again")
    house.clock.pass_s(6)
    house.inbox.expire()
    house.inbox.cancel_waiting("test")
    house.inbox.remember("volume", "3")


def test_no_statement_of_a_lines_life_reads_every_line(make_house: Callable[..., House]) -> None:
    house = make_house(max_lines=3, merge_s=10)
    connection = house.inbox.plain._storage.connection
    statements: set[str] = set()
    connection.set_trace_callback(statements.add)
    live_through_all(house)
    settled(house.inbox.plain._writer.submit(lambda _: connection.set_trace_callback(None)))

    asked = {one for one in statements if one.split()[0] in ("SELECT", "UPDATE", "DELETE")}
    assert len(asked) > 20
    plans = {one: [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")] for one in asked}
    everything = {"SCAN lines", "SCAN TABLE lines", "SCAN deliveries", "SCAN TABLE deliveries"}
    assert {one: plan for one, plan in plans.items() if everything & set(plan)} == {}
