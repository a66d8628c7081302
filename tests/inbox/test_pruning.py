"""The state folder is bounded in rows and bytes, whatever publishers send, and final events are removed last."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from ishowtts.inbox import inbox as inbox_module
from ishowtts.inbox import pruning
from ishowtts.model import Event, Line, Outcome, Priority, Reason, Rejection, ReplyTo

Queue = Any  # of conftest.py


def size_mb(queue: Queue) -> float:
    return sum(path.stat().st_size for path in queue.path.parent.iterdir()) / 1e6


def rejected(number: int, correlation_bytes: int) -> Rejection:
    reply_to = ReplyTo("ishowtts/reply/somebody", os.urandom(correlation_bytes))
    return Rejection(f"rejected-{number}", Reason.EMPTY, "the text is empty", reply_to)


def flood(queue: Queue, count: int, correlation_bytes: int, *, sent: bool) -> None:
    for start in range(0, count, 100):
        queue.inbox.accept([rejected(number, correlation_bytes) for number in range(start, start + 100)])
        queue.clock.pass_s(1)  # if more came within 10 s, not all would have an event
        if sent:
            queue.events()


def test_rejected_lines_with_large_correlation_data_leave_a_small_state_folder(queue: Queue) -> None:
    flood(queue, 2000, 16_000, sent=True)
    assert size_mb(queue) < 10


def test_the_file_is_bounded_while_the_broker_takes_no_event(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(history_mb=4)
    queue.inbox.accept([Line("a", "hello")])
    flood(queue, 2000, 16_000, sent=False)
    assert size_mb(queue) < 20
    assert queue.inbox.events_dropped > 1000
    assert queue.inbox.unsent()[0][1].event == "accepted"


def test_an_ended_line_keeps_no_correlation_data_but_its_event_does(queue: Queue) -> None:
    reply_to = ReplyTo("ishowtts/reply/somebody", b"x" * 4000)
    queue.inbox.accept([Line("a", "hello", reply_to=reply_to)])
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    assert queue.inbox.unsent()[-1][1].reply_to == reply_to
    with closing(sqlite3.connect(queue.path)) as other:
        assert other.execute("SELECT reply_topic, reply_correlation FROM lines").fetchall() == [(None, None)]


def test_the_history_keeps_the_head_of_a_rejected_text(queue: Queue) -> None:
    line = Line("a", "word " * 20_000)
    queue.inbox.accept([Rejection("a", Reason.FILTERED, "a word is blocked", line=line)])
    [entry] = queue.history(9)
    assert entry.text.startswith("word word")
    assert entry.text.endswith("… (cut; it has 100000 characters)")
    assert len(entry.text) < 1050


def test_a_history_that_is_too_large_loses_rejected_lines_first_and_then_the_oldest(
    make_queue: Callable[..., Queue],
) -> None:
    queue = make_queue(history_mb=1, max_lines=1000)
    queue.inbox.accept([Line(f"spoken-{n}", "x" * 900) for n in range(100)])
    queue.inbox.cancel_waiting("test")
    for _ in range(40):
        queue.inbox.accept([Rejection(f"r{n}", Reason.FILTERED, "no", line=Line("r", "y" * 190)) for n in range(100)])
        queue.events()
    kept = queue.history(10_000)
    assert len([entry for entry in kept if entry.id.startswith("spoken")]) == 100
    assert 100 < len(kept) < 3000
    for start in range(0, 2000, 100):
        queue.inbox.accept([Line(f"late-{n}", "x" * 900) for n in range(start, start + 100)])
        queue.inbox.cancel_waiting("test")
        queue.events()
    kept = queue.history(10_000)
    assert kept[0].id == "late-1999"
    assert not [entry for entry in kept if entry.id.startswith(("spoken", "r"))]
    assert size_mb(queue) < 8


def test_an_hour_of_rejected_lines_is_pruned_a_few_at_a_time(
    make_queue: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "_PRUNE_FOR_S", 0.0)
    queue = make_queue(history_lines=10)
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as other, other:
        other.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1700)"
            " INSERT INTO lines (id, text, priority, details, ts, born_s, deadline_s, state, ended_n, ended_wall_s)"
            " SELECT i, '', 1, '{}', '', 50.0, 50.0, 'rejected', i, 1.8e9 FROM n"
        )
    queue.open()
    rounds = 1
    while queue.inbox.prune():
        assert queue.inbox.depth() == 0
        rounds += 1
    assert rounds == 5
    assert len(queue.history(9999)) == 10


def test_arrivals_remove_rejected_lines_that_the_history_has_no_room_for(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(history_lines=100)
    for start in range(0, 1000, 50):
        queue.inbox.accept([Rejection(f"r{n}", Reason.EMPTY, "empty") for n in range(start, start + 50)])
    assert len(queue.history(9999)) <= 150


def test_a_short_disk_gets_room_but_recent_ids_stay_known(queue: Queue) -> None:
    queue.inbox.accept([Line("old", "x" * 900), Line("old-2", "x" * 900)])
    queue.inbox.cancel_waiting("test")
    queue.clock.pass_s(700)
    flood(queue, 3000, 100, sent=True)
    queue.inbox.accept([Line("young", "hello")])
    queue.inbox.cancel_waiting("test")
    queue.events()
    before = size_mb(queue)
    while queue.inbox.prune(short=True):
        pass
    queue.restart()
    queue.inbox.close()
    assert [entry.id for entry in queue.history(9)] == ["young"]
    assert size_mb(queue) < before / 2
    queue.open()
    queue.inbox.accept([Line("young", "hello")])
    assert queue.events() == [("young", "duplicate")]


def test_a_full_outbox_keeps_the_final_events_of_accepted_lines(
    make_queue: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "MOST_EVENTS", 40)
    monkeypatch.setattr(pruning, "_MINOR_EVENTS", 20)
    monkeypatch.setattr(pruning, "_REJECTIONS", 10)
    monkeypatch.setattr(pruning, "_AT_ONCE", 4)
    queue = make_queue(max_lines=100)
    queue.inbox.accept([Rejection("r", Reason.EMPTY, "empty")] * 30)
    for _ in range(15):
        queue.inbox.record(Event("2026-11-20T10:15:00.000Z", "", "command", {"command": "skip", "ok": True}))
    assert [event.event for _, event in queue.inbox.unsent()] == ["rejected"] * 10 + ["command"] * 10
    assert queue.inbox.events_dropped == 20 + 5
    queue.inbox.accept([Line(f"{n}", "hello", priority=Priority.LOW) for n in range(30)])
    queue.inbox.cancel_waiting("test")
    kept = queue.events()
    assert len(kept) <= 40
    assert [event for event in kept if event[1] == "cancelled"] == [(f"{n}", "cancelled") for n in range(30)]
