"""Arrivals are acknowledged in order, once they are on disk."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits, read_history, wait_for, writer_thread
from ishowtts.model import Arrival, Delivery, Line, Priority, Reason, Rejection, ReplyTo
from ishowtts.speech import Intake
from ishowtts.speech import intake as intake_module
from support.waiting import eventually


def unchanged(line: Line) -> Line:
    return line


def line(line_id: str, delivery: Delivery | None = None) -> Arrival:
    return Arrival(Line(line_id, "hello"), delivery)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    yield made
    made.close()


def test_arrivals_are_stored_before_they_are_acknowledged_in_order(inbox: Inbox) -> None:
    intake, acknowledged = Intake(inbox, unchanged), []

    def ack(number: int) -> None:
        acknowledged.append((number, inbox.depth() > number))

    for number in range(250):
        intake.offer(line(str(number)), lambda number=number: ack(number))
    intake.start()
    intake.close(20)
    assert acknowledged == [(number, True) for number in range(250)]


def test_the_history_has_a_text_as_it_was_sent_before_the_policies_changed_it(inbox: Inbox, tmp_path: Path) -> None:
    def admit(line: Line) -> Line | Rejection:
        changed = replace(line, text=line.text.upper())
        return Rejection(line.id, Reason.RATE_LIMITED, "too many", line=changed) if line.id == "b" else changed

    intake = Intake(inbox, admit)
    for name, text in (("a", "hello"), ("b", "hello"), ("c", "HELLO")):
        intake.offer(Arrival(Line(name, text)), lambda: None)
    intake.start()
    intake.close(20)
    entries = read_history(tmp_path / "inbox.sqlite", 9)
    assert [(entry.id, entry.sent_text, entry.text) for entry in entries] == [
        ("c", None, "HELLO"),
        ("b", "hello", "HELLO"),
        ("a", "hello", "HELLO"),
    ]


def test_a_line_that_cannot_be_stored_is_retried_and_acknowledged_only_then(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, refused = inbox.accept, []

    def refuse_once(arrivals: list[Arrival]) -> Future[None]:
        if not refused:
            refused.append(len(arrivals))
            raise InboxError("the disk is full")
        return accept(arrivals)

    monkeypatch.setattr(inbox, "accept", refuse_once)
    intake, acknowledged = Intake(inbox, unchanged), []
    intake.start()
    intake.offer(line("a"), lambda: acknowledged.append("a"))
    eventually(lambda: acknowledged == ["a"], "the second try")
    intake.close(20)
    assert refused == [1]
    assert inbox.depth() == 1


def test_a_line_that_a_slow_disk_stores_late_is_stored_once(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(writer_thread, "_WAIT_S", 0.2)
    intake, acknowledged = Intake(inbox, unchanged), []
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        intake.start()
        intake.offer(line("a"), lambda: acknowledged.append("a"))
        time.sleep(2.0)  # it has tried twice by then
        intake.offer(line("b"), lambda: acknowledged.append("b"))
        assert acknowledged == []
        other.execute("ROLLBACK")
    eventually(lambda: acknowledged == ["a", "b"], "the acknowledgements")
    intake.close(20)
    assert [(event.id, event.event) for _, event in wait_for(inbox.unsent())] == [("a", "accepted"), ("b", "accepted")]


def test_beyond_the_limit_a_line_is_rejected_until_there_is_room_again(inbox: Inbox, tmp_path: Path) -> None:
    intake = Intake(inbox, unchanged)
    for number in range(34):
        intake.offer(Arrival(Line(str(number), "x" * 1_000_000)), lambda: None)
    intake.start()
    eventually(lambda: inbox.depth() == 33, "the lines that were taken")
    intake.offer(line("later"), lambda: None)
    eventually(lambda: inbox.depth() == 34, "room again")
    intake.close(60)
    [rejected] = [entry for entry in read_history(tmp_path / "inbox.sqlite", 50) if entry.outcome == "rejected"]
    assert rejected.id == "33"
    assert rejected.data == {"reason": Reason.QUEUE_FULL.value, "detail": rejected.data["detail"]}


def test_a_flood_of_other_lines_does_not_lock_out_an_urgent_one(inbox: Inbox, tmp_path: Path) -> None:
    intake = Intake(inbox, unchanged)
    for number in range(60):  # 48 MiB of lines, taken or refused
        intake.offer(Arrival(Line(str(number), "x" * 1_000_000)), lambda: None)
    intake.offer(Arrival(Line("fire", "fire", priority=Priority.URGENT)), lambda: None)
    intake.start()
    eventually(lambda: inbox.depth() == 34, "33 of the flood, and the urgent one")
    intake.close(60)
    [fire] = [entry for entry in read_history(tmp_path / "inbox.sqlite", 100) if entry.id == "fire"]
    assert fire.outcome is None


def test_policies_are_asked_once_a_line_even_if_the_disk_refuses_at_first(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accept, asked, refusals = inbox.accept, [], [InboxError("the disk is full")]

    def refuse_once(arrivals: list[Arrival]) -> Future[None]:
        if refusals:
            raise refusals.pop()
        return accept(arrivals)

    def admit(line: Line) -> Line | Rejection:
        asked.append(line.id)
        return Rejection(line.id, Reason.FILTERED, "a word of it is blocked") if line.id == "b" else line

    monkeypatch.setattr(inbox, "accept", refuse_once)
    intake = Intake(inbox, admit)
    for line_id in "abc":
        intake.offer(line(line_id), lambda: None)
    intake.start()
    eventually(lambda: inbox.depth() == 2, "the lines")
    intake.close(20)
    assert asked == ["a", "b", "c"]
    assert [entry.outcome for entry in read_history(tmp_path / "inbox.sqlite", 9)] == [None, "rejected", None]


def test_a_session_begins_between_the_arrivals_before_and_after_it(inbox: Inbox) -> None:
    """A message of a new session may have the number and the words of one of the session before."""
    intake, done = Intake(inbox, unchanged), []
    first, again = Delivery(1, b"words", again=False), Delivery(1, b"words", again=True)
    intake.begin_session("s", False, lambda: done.append("open"))
    intake.offer(line("a", first), lambda: done.append("a"))
    intake.offer(line("b", again), lambda: done.append("b"))
    intake.begin_session("s", True, lambda: done.append("resumed"))
    intake.offer(line("c", again), lambda: done.append("c"))
    intake.begin_session("s", False, lambda: done.append("new"))
    intake.offer(line("d", again), lambda: done.append("d"))
    intake.start()
    intake.close(20)
    assert done == ["open", "a", "b", "resumed", "c", "new", "d"]
    assert inbox.depth() == 2


def test_an_arrival_at_which_the_inbox_fails_is_rejected_alone(inbox: Inbox, tmp_path: Path) -> None:
    intake, acknowledged = Intake(inbox, unchanged), []
    broken = Arrival(Line("broken", "hello", seed=object()))  # type: ignore[arg-type]
    for arrival in (line("a"), broken, line("b")):
        intake.offer(arrival, lambda name=arrival.what.id: acknowledged.append(name))
    intake.start()
    eventually(lambda: len(acknowledged) == 3, "the acknowledgements")
    intake.offer(line("c"), lambda: acknowledged.append("c"))
    intake.close(20)
    assert acknowledged == ["a", "broken", "b", "c"]
    outcomes = {entry.id: entry.outcome for entry in read_history(tmp_path / "inbox.sqlite", 9)}
    assert outcomes == {"a": None, "broken": "rejected", "b": None, "c": None}


def test_all_that_waits_is_bounded_and_rejections_beyond_all_limits_are_summed_up(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "_MAX_BYTES", 100_000)
    monkeypatch.setattr(intake_module, "_MAX_BYTES_WITH_REJECTED", 200_000)
    intake, acknowledged = Intake(inbox, unchanged), []
    reply_to = ReplyTo("ishowtts/reply/somebody", b"x" * 4000)
    for number in range(1000):
        arrival = Arrival(Line(str(number), "hello", author="a" * 100, reply_to=reply_to))
        intake.offer(arrival, lambda: acknowledged.append(1))
    for number in range(1000):
        refused = Arrival(Rejection(f"r{number}", Reason.EMPTY, "empty", reply_to))
        intake.offer(refused, lambda: acknowledged.append(1))
    assert intake._waiting_bytes < 200_000
    intake.start()
    eventually(lambda: len(acknowledged) == 2000, "the acknowledgements")
    intake.offer(line("later"), lambda: acknowledged.append(1))
    intake.close(20)
    events = [event for _, event in wait_for(inbox.unsent(500))]
    accepted = [event.id for event in events if event.event == "accepted"]
    assert accepted == [*(str(n) for n in range(len(accepted) - 1)), "later"]
    assert 10 < len(accepted) < 25
    [summed] = [event for event in events if "more lines" in event.data.get("detail", "")]
    assert summed.data["count"] + len(events) - 2 == 2000


def test_dropped_lines_are_counted_apart_from_a_flood_of_rejected_ones(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "_MAX_BYTES_WITH_REJECTED", 10_000)
    refused = Arrival(Rejection("r", Reason.EMPTY, "empty"))
    wait_for(inbox.accept([refused] * 150))
    intake = Intake(inbox, unchanged)
    for _ in range(50):
        intake.offer(refused, lambda: None)
    intake.start()
    intake.close(20)
    inbox.sum_up()
    counts = {
        event.data["reason"]: event.data["count"] for _, event in wait_for(inbox.unsent(500)) if "count" in event.data
    }
    assert counts.keys() == {"empty", "queue_full"}
    assert sum(counts.values()) == 150 + 50 - 100


def test_a_line_at_which_the_policies_fail_is_rejected_and_the_next_is_accepted(inbox: Inbox, tmp_path: Path) -> None:
    def admit(line: Line) -> Line | Rejection:
        if line.id == "bad":
            raise RuntimeError("a defect of a policy")
        return line

    intake, acknowledged = Intake(inbox, admit), []
    for line_id in ("a", "bad", "b"):
        intake.offer(line(line_id), lambda line_id=line_id: acknowledged.append(line_id))
    intake.start()
    eventually(lambda: acknowledged == ["a", "bad", "b"], "the acknowledgements")
    assert intake.alive()
    intake.close(20)
    entries = {entry.id: entry for entry in read_history(tmp_path / "inbox.sqlite", 9)}
    assert {line_id: entry.outcome for line_id, entry in entries.items()} == {"a": None, "bad": "rejected", "b": None}
    assert entries["bad"].data["reason"] == Reason.FILTERED.value


def test_the_limit_holds_what_waits_and_not_what_was_ever_offered(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    three_lines = 3 * intake_module._size(line("at-once-0"))
    monkeypatch.setattr(intake_module, "_MAX_BYTES", three_lines)
    intake = Intake(inbox, unchanged)
    intake.start()
    for number in range(10):
        intake.offer(line(str(number)), lambda: None)
        eventually(lambda number=number: inbox.depth() == number + 1, "the line to be stored")
    intake.close(20)
    intake = Intake(inbox, unchanged)
    for number in range(4):
        intake.offer(line(f"at-once-{number}"), lambda: None)
    intake.start()
    intake.close(20)
    rejected = [entry.id for entry in read_history(tmp_path / "inbox.sqlite", 50) if entry.outcome == "rejected"]
    assert rejected == ["at-once-3"]
