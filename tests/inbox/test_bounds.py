"""What a publisher can make the state folder hold is bounded, in bytes too, and final events are the last to go."""

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

House = Any  # of conftest.py


def size_mb(house: House) -> float:
    return sum(path.stat().st_size for path in house.path.parent.iterdir()) / 1e6


def refused(number: int, correlation_bytes: int) -> Rejection:
    reply_to = ReplyTo("ishowtts/reply/somebody", os.urandom(correlation_bytes))
    return Rejection(f"refused-{number}", Reason.EMPTY, "the text is empty", reply_to)


def flood(house: House, count: int, correlation_bytes: int, *, sent: bool) -> None:
    for start in range(0, count, 100):
        house.inbox.accept([refused(number, correlation_bytes) for number in range(start, start + 100)])
        house.clock.pass_s(1)  # more in 10 s would not have an event each
        if sent:
            house.events()


def test_refused_lines_with_large_correlation_data_leave_a_small_state_folder(house: House) -> None:
    flood(house, 2000, 16_000, sent=True)
    assert size_mb(house) < 10


def test_while_the_broker_takes_no_event_the_file_is_bounded_all_the_same(make_house: Callable[..., House]) -> None:
    house = make_house(history_mb=4)
    house.inbox.accept([Line("a", "hello")])
    flood(house, 2000, 16_000, sent=False)
    assert size_mb(house) < 20
    assert house.inbox.events_dropped > 1000
    assert house.inbox.unsent()[0][1].event == "accepted"


def test_a_line_that_ended_keeps_no_correlation_data_and_its_publisher_is_answered(house: House) -> None:
    reply_to = ReplyTo("ishowtts/reply/somebody", b"x" * 4000)
    house.inbox.accept([Line("a", "hello", reply_to=reply_to)])
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    assert house.inbox.unsent()[-1][1].reply_to == reply_to
    with closing(sqlite3.connect(house.path)) as other:
        assert other.execute("SELECT reply_topic, reply_correlation FROM lines").fetchall() == [(None, None)]


def test_of_a_refused_text_the_history_keeps_the_head_and_says_so(house: House) -> None:
    line = Line("a", "word " * 20_000)
    house.inbox.accept([Rejection("a", Reason.FILTERED, "a word is blocked", line=line)])
    [entry] = house.history(9)
    assert entry.text.startswith("word word")
    assert entry.text.endswith("… (cut; it has 100000 characters)")
    assert len(entry.text) < 250


def test_above_its_size_the_history_loses_refused_lines_first_and_then_the_oldest(
    make_house: Callable[..., House],
) -> None:
    house = make_house(history_mb=1, max_lines=1000)
    house.inbox.accept([Line(f"spoken-{n}", "x" * 900) for n in range(100)])
    house.inbox.cancel_waiting("test")
    for _ in range(40):
        house.inbox.accept([Rejection(f"r{n}", Reason.FILTERED, "no", line=Line("r", "y" * 190)) for n in range(100)])
        house.events()
    kept = house.history(10_000)
    assert len([entry for entry in kept if entry.id.startswith("spoken")]) == 100
    assert 100 < len(kept) < 3000
    for start in range(0, 2000, 100):
        house.inbox.accept([Line(f"late-{n}", "x" * 900) for n in range(start, start + 100)])
        house.inbox.cancel_waiting("test")
        house.events()
    kept = house.history(10_000)
    assert kept[0].id == "late-1999"
    assert not [entry for entry in kept if entry.id.startswith(("spoken", "r"))]
    assert size_mb(house) < 8


def test_an_hour_of_refused_lines_is_pruned_a_few_at_a_time(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "_PRUNE_FOR_S", 0.0)
    house = make_house(history_lines=10)
    house.inbox.close()
    with closing(sqlite3.connect(house.path)) as other, other:
        other.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1700)"
            " INSERT INTO lines (id, text, priority, details, ts, born_s, deadline_s, state, ended_n, ended_wall_s)"
            " SELECT i, '', 1, '{}', '', 50.0, 50.0, 'rejected', i, 1.8e9 FROM n"
        )
    house.open()
    rounds = 1
    while house.inbox.prune():
        assert house.inbox.depth() == 0
        rounds += 1
    assert rounds == 5
    assert len(house.history(9999)) == 10


def test_refused_lines_beyond_the_history_go_with_those_that_come(make_house: Callable[..., House]) -> None:
    house = make_house(history_lines=100)
    for start in range(0, 1000, 50):
        house.inbox.accept([Rejection(f"r{n}", Reason.EMPTY, "empty") for n in range(start, start + 50)])
    assert len(house.history(9999)) <= 150


def test_a_short_disk_is_given_room_but_ids_stay_known(house: House) -> None:
    house.inbox.accept([Line("old", "x" * 900), Line("old-2", "x" * 900)])
    house.inbox.cancel_waiting("test")
    house.clock.pass_s(700)
    flood(house, 3000, 100, sent=True)
    house.inbox.accept([Line("young", "hello")])
    house.inbox.cancel_waiting("test")
    house.events()
    before = size_mb(house)
    while house.inbox.prune(short=True):
        pass
    house.restart()
    house.inbox.close()
    assert [entry.id for entry in house.history(9)] == ["young"]
    assert size_mb(house) < before / 2
    house.open()
    house.inbox.accept([Line("young", "hello")])
    assert house.events() == [("young", "duplicate")]


def test_a_full_outbox_keeps_the_final_events_of_accepted_lines(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "MOST_EVENTS", 40)
    monkeypatch.setattr(pruning, "_MINOR_EVENTS", 20)
    monkeypatch.setattr(pruning, "_REJECTIONS", 10)
    monkeypatch.setattr(pruning, "_AT_ONCE", 4)
    house = make_house(max_lines=100)
    house.inbox.accept([Rejection("r", Reason.EMPTY, "empty")] * 30)
    for _ in range(15):
        house.inbox.record(Event("2026-11-20T10:15:00.000Z", "", "command", {"command": "skip", "ok": True}))
    assert [event.event for _, event in house.inbox.unsent()] == ["rejected"] * 10 + ["command"] * 10
    assert house.inbox.events_dropped == 20 + 5
    house.inbox.accept([Line(f"{n}", "hello", priority=Priority.LOW) for n in range(30)])
    house.inbox.cancel_waiting("test")
    kept = house.events()
    assert len(kept) <= 40
    assert [event for event in kept if event[1] == "cancelled"] == [(f"{n}", "cancelled") for n in range(30)]
