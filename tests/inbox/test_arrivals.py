"""Redelivered messages, repeated lines, and takes that are pending."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from ishowtts.inbox import arrivals, wait_for
from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority, Reason, Rejection, ReplyTo

Queue = Any  # of conftest.py


def plain(line_id: str, packet_id: int, text: str = "hello", *, again: bool = False) -> Arrival:
    """A line without an id of its publisher: each time it is parsed, it gets another id."""
    return Arrival(Line(line_id, text), Delivery(packet_id, text.encode(), again))


def test_a_redelivered_line_is_not_queued_again(queue: Queue) -> None:
    queue.inbox.begin_session("s", False)
    queue.inbox.accept([plain("a", 1), plain("b", 2)])
    queue.inbox.accept([plain("c", 1, again=True), plain("d", 2, again=True)])
    assert queue.events() == [("a", "accepted"), ("b", "accepted")]
    assert queue.inbox.depth() == 2


def test_a_redelivered_line_is_known_after_a_crash_and_after_its_end(queue: Queue) -> None:
    queue.inbox.begin_session("s", False)
    queue.inbox.accept([plain("a", 1)])
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    queue.crash()
    queue.inbox.begin_session("s", True)
    queue.inbox.accept([plain("b", 1, again=True)])
    assert queue.inbox.depth() == 0


def test_a_redelivered_rejection_has_no_second_event(queue: Queue) -> None:
    delivery = Delivery(1, b"x", again=False)
    queue.inbox.accept([Arrival(Rejection("a", Reason.EMPTY, "it is empty"), delivery)])
    queue.inbox.accept([Arrival(Rejection("b", Reason.EMPTY, "it is empty"), Delivery(1, b"x", again=True))])
    assert queue.events() == [("a", "rejected")]


@pytest.mark.parametrize(
    ("again", "packet_id", "text"),
    [(False, 1, "hello"), (True, 2, "hello"), (True, 1, "another")],
    ids=["not marked as sent before", "another number", "another text"],
)
def test_a_repeated_message_is_a_separate_line(queue: Queue, again: bool, packet_id: int, text: str) -> None:
    queue.inbox.accept([plain("a", 1)])
    queue.inbox.accept([plain("b", packet_id, text, again=again)])
    assert queue.inbox.depth() == 2


def test_in_a_new_session_packet_ids_mean_other_messages(queue: Queue) -> None:
    queue.inbox.begin_session("s", False)
    queue.inbox.accept([plain("a", 1)])
    queue.inbox.begin_session("s", False)
    queue.inbox.accept([plain("b", 1, again=True)])
    queue.inbox.begin_session("another broker", True)
    queue.inbox.accept([plain("c", 1, again=True)])
    assert queue.inbox.depth() == 3


def test_a_reused_packet_id_means_another_message(make_queue: Callable[..., Queue]) -> None:
    """After 65,535 messages a line may have the packet id and the text of an old one, and be sent twice itself."""
    queue = make_queue(max_lines=20_000)
    queue.inbox.accept([plain("a", 1)])
    queue.inbox.accept([Arrival(Line(str(n), "filler")) for n in range(9_999)])
    queue.inbox.accept([plain("b", 1, again=True)])
    assert queue.inbox.depth() == 10_000
    queue.inbox.accept([Arrival(Line("one more", "filler"))])
    queue.inbox.accept([plain("c", 1, again=True)])
    assert queue.inbox.depth() == 10_002


def test_repeats_of_a_waiting_line_are_merged_into_it(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(merge_s=10)
    queue.inbox.accept([Line("a", "hello"), Line("b", "hello", reply_to=ReplyTo("r")), Line("c", "hello")])
    (_, merged) = [event for _, event in queue.inbox.unsent()][:2]
    assert (merged.event, merged.data, merged.reply_to) == ("merged", {"into": "a", "text": "hello"}, ReplyTo("r"))
    assert queue.events() == [("a", "accepted"), ("b", "merged"), ("c", "merged")]
    taken = queue.inbox.take()
    assert (taken.line.id, taken.times) == ("a", 3)
    assert [entry.outcome for entry in queue.history(9)] == [Outcome.MERGED, Outcome.MERGED, None]


@pytest.mark.parametrize(
    "other",
    [
        Line("b", "hullo"),
        Line("b", "hello", voice="anna"),
        Line("b", "hello", priority=Priority.HIGH),
        Line("b", "hello", speed=1.5),
        Line("b", "hello", language="de"),
        Line("b", "me says: hello", author="me", bare_text="hello"),
    ],
    ids=lambda line: f"{line.text}-{line.voice}-{line.priority.name}-{line.speed}-{line.language}-{line.author}",
)
def test_only_the_same_line_is_merged(make_queue: Callable[..., Queue], other: Line) -> None:
    queue = make_queue(merge_s=10)
    queue.inbox.accept([Line("a", "hello"), other])
    assert queue.inbox.depth() == 2


def test_the_same_text_of_several_authors_is_merged(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(merge_s=10, max_lines=10)
    queue.inbox.accept([Line("a", "GG", author="anna"), Line("b", "GG", author="bob"), Line("c", "GG")])
    assert queue.events() == [("a", "accepted"), ("b", "merged"), ("c", "merged")]


def test_with_a_template_the_texts_without_it_are_compared(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(merge_s=10, max_lines=10)

    def said(line_id: str, author: str, text: str, **fields: Any) -> Line:
        return Line(line_id, f"{author} says: {text}", author=author, bare_text=text, **fields)

    queue.inbox.accept([said("a", "anna", "Zürich 'GG'"), said("b", "bob", "other")])
    queue.inbox.accept([said("c", "carl", "Zürich 'GG'"), said("d", "anna", "Zürich 'GG'")])
    queue.inbox.accept([said("e", "eve", "Zürich 'GG'", speed=1.5), said("f", "eve", "Zürich 'GG'", voice="x")])
    assert [event for event in queue.events() if event[1] == "merged"] == [("c", "merged"), ("d", "merged")]
    taken = queue.inbox.take()
    assert (taken.line.text, taken.line.bare_text, taken.times) == ("anna says: Zürich 'GG'", "Zürich 'GG'", 3)
    queue.clock.pass_s(10)
    queue.inbox.accept([said("g", "carl", "other")])
    assert [event for event in queue.events() if event[0] == "g"] == [("g", "accepted")]


def test_a_rejected_line_keeps_no_second_copy_of_its_text(queue: Queue) -> None:
    queue.inbox.accept([Rejection("a", Reason.RATE_LIMITED, "wait", line=Line("a", "x" * 5000, bare_text="x" * 5000))])
    (row,) = queue.inbox.plain._storage.connection.execute("SELECT * FROM lines").fetchall()
    assert len(row["details"]) < 100


def test_a_line_is_not_merged_after_the_window_or_after_its_start(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(merge_s=10)
    queue.inbox.accept([Line("a", "hello")])
    queue.clock.pass_s(10)
    queue.inbox.accept([Line("b", "hello")])
    seq = queue.inbox.take().seq
    queue.inbox.started(seq, muted=False)
    queue.inbox.interrupt(seq, 1)
    queue.inbox.take()
    queue.inbox.accept([Line("c", "hello"), Line("d", "hello")])
    assert [event for event in queue.events() if event[1] in ("accepted", "merged")] == [
        ("a", "accepted"),
        ("b", "accepted"),
        ("c", "merged"),
        ("d", "merged"),
    ]


def test_a_pending_take_gives_the_line_that_arrives(queue: Queue) -> None:
    pending = queue.inbox.plain.take()
    assert not pending.future.done()
    queue.inbox.accept([Line("a", "hello")])
    assert wait_for(pending.future).line.id == "a"
    assert queue.inbox.depth() == 0
    queue.crash()
    assert queue.inbox.take().attempts == 2, "the attempt was on disk with the arrival"


def test_a_withdrawn_take_gives_nothing(queue: Queue) -> None:
    pending = queue.inbox.plain.take()
    pending.withdraw()
    assert wait_for(pending.future) is None
    queue.inbox.accept([Line("a", "hello")])
    assert queue.inbox.take().line.id == "a"


def test_a_take_of_high_lines_lets_others_wait_but_continues_a_started_line(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "hello"), Line("b", "hello", priority=Priority.LOW)])
    seq = queue.inbox.take().seq
    queue.inbox.started(seq, muted=False)
    queue.inbox.interrupt(seq, 1)
    assert queue.inbox.take(Priority.HIGH).line.id == "a"
    assert queue.inbox.take(Priority.HIGH) is None
    assert queue.inbox.take().line.id == "b"


def test_a_take_runs_after_all_changes_that_were_requested_before_it(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "hello")])
    inbox = queue.inbox.plain
    with closing(sqlite3.connect(queue.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer waits, and more changes come than fit into one transaction
        for number in range(500):
            inbox.remember(f"volume{number}", "3")
        cancelled = inbox.cancel_waiting("stop")
        pending = inbox.take()
        other.execute("ROLLBACK")
    assert wait_for(cancelled) == 1
    pending.withdraw()
    assert wait_for(pending.future) is None, "a cancelled line is not spoken"


def test_takes_are_withdrawn_while_lines_arrive_and_no_line_is_lost(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(max_lines=1000)
    taken: list[str] = []

    def arrive() -> None:
        for n in range(200):
            queue.inbox.plain.accept([Arrival(Line(str(n), f"line {n}"))])

    other = threading.Thread(target=arrive)
    other.start()
    while len(taken) < 200:
        pending = queue.inbox.plain.take()
        if len(taken) % 2:
            pending.withdraw()
        if (line := wait_for(pending.future)) is not None:
            taken.append(line.line.id)
            queue.inbox.finish(line.seq, Outcome.FINISHED, {})
    other.join(30)
    assert taken == [str(n) for n in range(200)]


@pytest.mark.parametrize(
    ("after_crash", "position", "outcome"), [("resume", 2, None), ("repeat", 0, None), ("skip", None, Outcome.FAILED)]
)
def test_a_line_that_a_crash_interrupted_continues_repeats_or_fails(
    make_queue: Callable[..., Queue], after_crash: str, position: int | None, outcome: Outcome | None
) -> None:
    queue = make_queue(after_crash=after_crash)
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.reached(queue.inbox.take().seq, 2)
    queue.crash()
    taken = queue.inbox.take()
    assert (taken.position if taken else None) == position
    assert queue.history(1)[0].outcome is outcome
    if after_crash == "resume":
        assert taken.spoken == "as it is read", "it goes on in the text that was read, even if the reading has changed"


@pytest.mark.parametrize("rejected", [False, True], ids=["accepted", "rejected"])
def test_the_cost_of_an_arrival_does_not_grow_with_the_lines_of_its_id(
    make_queue: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch, rejected: bool
) -> None:
    """Some publishers use the same id for each of their lines."""
    monkeypatch.setattr(arrivals, "_MOST_OF_ONE_ID", 100)
    queue = make_queue(max_lines=10_000)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    def arrive(arriving: int) -> None:
        nonlocal number
        numbers, number = range(number, number + arriving), number + arriving
        if rejected:
            queue.inbox.accept([Rejection("same", Reason.EMPTY, "it is empty") for _ in numbers])
        else:
            queue.inbox.accept([Line("same", f"text {n}") for n in numbers])

    number = 0
    costs = []
    for _ in range(4):
        arrive(300)
        queue.clock.pass_s(1)
        queue.inbox.cancel_waiting("test")  # a transaction counts the waiting lines
        steps = 0
        queue.inbox.plain._storage.connection.set_progress_handler(count, 100)  # called every 100 steps of SQLite
        arrive(10)
        queue.inbox.plain._storage.connection.set_progress_handler(None, 0)
        costs.append(steps)
    assert costs[-1] < 1.5 * costs[0] + 5


def test_the_event_of_an_accepted_line_has_its_priority_and_the_voice_that_it_names(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "one"), Line("b", "two", voice="anna", priority=Priority.URGENT)])
    told = [event.data for _, event in queue.inbox.unsent(9)]
    assert [(data["priority"], data.get("voice")) for data in told] == [("normal", None), ("urgent", "anna")]
    assert "voice" not in told[0]
