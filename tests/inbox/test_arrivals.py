"""What arrives twice, what repeats, and what a standing order takes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from ishowtts.inbox import settled
from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority, Reason, Rejection, ReplyTo

House = Any  # of conftest.py


def plain(line_id: str, packet_id: int, text: str = "hello", *, again: bool = False) -> Arrival:
    """A line that came without an id of its publisher's: ours is another one each time it is parsed."""
    return Arrival(Line(line_id, text), Delivery(packet_id, text.encode(), again))


def test_a_redelivered_line_is_not_queued_again(house: House) -> None:
    house.inbox.begin_session("s", False)
    house.inbox.accept([plain("a", 1), plain("b", 2)])
    house.inbox.accept([plain("c", 1, again=True), plain("d", 2, again=True)])
    assert house.events() == [("a", "accepted"), ("b", "accepted")]
    assert house.inbox.depth() == 2


def test_a_redelivered_line_is_known_over_a_crash_and_when_it_has_ended(house: House) -> None:
    house.inbox.begin_session("s", False)
    house.inbox.accept([plain("a", 1)])
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    house.crash()
    house.inbox.begin_session("s", True)
    house.inbox.accept([plain("b", 1, again=True)])
    assert house.inbox.depth() == 0


def test_a_redelivered_rejection_has_no_second_event(house: House) -> None:
    delivery = Delivery(1, b"x", again=False)
    house.inbox.accept([Arrival(Rejection("a", Reason.EMPTY, "it is empty"), delivery)])
    house.inbox.accept([Arrival(Rejection("b", Reason.EMPTY, "it is empty"), Delivery(1, b"x", again=True))])
    assert house.events() == [("a", "rejected")]


@pytest.mark.parametrize(
    ("again", "packet_id", "text"),
    [(False, 1, "hello"), (True, 2, "hello"), (True, 1, "another")],
    ids=["not marked as sent before", "another number", "another text"],
)
def test_a_repetition_is_a_line_of_its_own(house: House, again: bool, packet_id: int, text: str) -> None:
    house.inbox.accept([plain("a", 1)])
    house.inbox.accept([plain("b", packet_id, text, again=again)])
    assert house.inbox.depth() == 2


def test_in_a_new_session_the_numbers_mean_other_messages(house: House) -> None:
    house.inbox.begin_session("s", False)
    house.inbox.accept([plain("a", 1)])
    house.inbox.begin_session("s", False)
    house.inbox.accept([plain("b", 1, again=True)])
    house.inbox.begin_session("another broker", True)
    house.inbox.accept([plain("c", 1, again=True)])
    assert house.inbox.depth() == 3


def test_a_number_that_came_round_means_another_message(make_house: Callable[..., House]) -> None:
    """65,535 messages later a line may have the number and the words of an old one, and be sent twice itself."""
    house = make_house(max_lines=20_000)
    house.inbox.accept([plain("a", 1)])
    house.inbox.accept([Arrival(Line(str(n), "filler")) for n in range(9_999)])
    house.inbox.accept([plain("b", 1, again=True)])
    assert house.inbox.depth() == 10_000
    house.inbox.accept([Arrival(Line("one more", "filler"))])
    house.inbox.accept([plain("c", 1, again=True)])
    assert house.inbox.depth() == 10_002


def test_repeats_of_a_waiting_line_are_merged_into_it(make_house: Callable[..., House]) -> None:
    house = make_house(merge_s=10)
    house.inbox.accept([Line("a", "hello"), Line("b", "hello", reply_to=ReplyTo("r")), Line("c", "hello")])
    (_, merged) = [event for _, event in house.inbox.unsent()][:2]
    assert (merged.event, merged.data, merged.reply_to) == ("merged", {"into": "a"}, ReplyTo("r"))
    assert house.events() == [("a", "accepted"), ("b", "merged"), ("c", "merged")]
    taken = house.inbox.take()
    assert (taken.line.id, taken.times) == ("a", 3)
    assert [entry.outcome for entry in house.history(9)] == [Outcome.MERGED, Outcome.MERGED, None]


@pytest.mark.parametrize(
    "other",
    [
        Line("b", "hullo"),
        Line("b", "hello", voice="anna"),
        Line("b", "hello", priority=Priority.HIGH),
        Line("b", "hello", author="me"),
    ],
    ids=lambda line: f"{line.text}-{line.voice}-{line.priority.name}-{line.author}",
)
def test_only_the_same_line_is_merged(make_house: Callable[..., House], other: Line) -> None:
    house = make_house(merge_s=10)
    house.inbox.accept([Line("a", "hello"), other])
    assert house.inbox.depth() == 2


def test_neither_after_the_window_nor_once_begun_is_a_line_merged(make_house: Callable[..., House]) -> None:
    house = make_house(merge_s=10)
    house.inbox.accept([Line("a", "hello")])
    house.clock.pass_s(10)
    house.inbox.accept([Line("b", "hello")])
    seq = house.inbox.take().seq
    house.inbox.started(seq, muted=False)
    house.inbox.interrupt(seq, 1)
    house.inbox.take()
    house.inbox.accept([Line("c", "hello"), Line("d", "hello")])
    assert [event for event in house.events() if event[1] in ("accepted", "merged")] == [
        ("a", "accepted"),
        ("b", "accepted"),
        ("c", "merged"),
        ("d", "merged"),
    ]


def test_an_order_is_filled_with_the_arrival_that_it_waits_for(house: House) -> None:
    order = house.inbox.plain.take()
    assert not order.future.done()
    house.inbox.accept([Line("a", "hello")])
    assert settled(order.future).line.id == "a"
    assert house.inbox.depth() == 0
    house.crash()
    assert house.inbox.take().attempts == 2, "the attempt was on disk with the arrival"


def test_a_withdrawn_order_takes_nothing(house: House) -> None:
    order = house.inbox.plain.take()
    order.withdraw()
    assert settled(order.future) is None
    house.inbox.accept([Line("a", "hello")])
    assert house.inbox.take().line.id == "a"


def test_an_order_for_high_lines_leaves_the_others_waiting_but_ends_what_was_begun(house: House) -> None:
    house.inbox.accept([Line("a", "hello"), Line("b", "hello", priority=Priority.LOW)])
    seq = house.inbox.take().seq
    house.inbox.started(seq, muted=False)
    house.inbox.interrupt(seq, 1)
    assert house.inbox.take(Priority.HIGH).line.id == "a"
    assert house.inbox.take(Priority.HIGH) is None
    assert house.inbox.take().line.id == "b"


def test_an_order_overtakes_nothing_that_was_asked_for_before_it(house: House) -> None:
    house.inbox.accept([Line("a", "hello")])
    inbox = house.inbox.plain
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer waits, and more is asked for than one transaction holds
        for number in range(500):
            inbox.remember(f"volume{number}", "3")
        cancelled = inbox.cancel_waiting("stop")
        order = inbox.take()
        other.execute("ROLLBACK")
    assert settled(cancelled) == 1
    order.withdraw()
    assert settled(order.future) is None, "what was to be cancelled is not spoken"


def test_orders_are_withdrawn_while_lines_come_and_none_is_lost(make_house: Callable[..., House]) -> None:
    house = make_house(max_lines=1000)
    taken: list[str] = []

    def arrive() -> None:
        for n in range(200):
            house.inbox.plain.accept([Arrival(Line(str(n), f"line {n}"))])

    other = threading.Thread(target=arrive)
    other.start()
    while len(taken) < 200:
        order = house.inbox.plain.take()
        if len(taken) % 2:
            order.withdraw()
        if (line := settled(order.future)) is not None:
            taken.append(line.line.id)
            house.inbox.finish(line.seq, Outcome.FINISHED, {})
    other.join(30)
    assert taken == [str(n) for n in range(200)]


@pytest.mark.parametrize(
    ("after_crash", "position", "outcome"), [("resume", 2, None), ("repeat", 0, None), ("skip", None, Outcome.FAILED)]
)
def test_what_becomes_of_a_line_that_a_crash_cut_off(
    make_house: Callable[..., House], after_crash: str, position: int | None, outcome: Outcome | None
) -> None:
    house = make_house(after_crash=after_crash)
    house.inbox.accept([Line("a", "hello")])
    house.inbox.reached(house.inbox.take().seq, 2)
    house.crash()
    taken = house.inbox.take()
    assert (taken.position if taken else None) == position
    assert house.history(1)[0].outcome is outcome
    if after_crash == "resume":
        assert taken.spoken == "as it is read", "it goes on in the text that was read, whatever changed since"
