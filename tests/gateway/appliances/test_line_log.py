"""The lines of an appliance, from events that come in any order, again, or never."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts_gateway.appliances.line_log import MAX_ENDED, MAX_WAITING, LineLog
from ishowtts_gateway.appliances.line_record import LineRecord


class Clocks:
    """A monotonic clock, and a wall clock that may jump."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.jump_s = 1_800_000_000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_s(self) -> float:
        return self.now_s + self.jump_s


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def log(clocks: Clocks) -> LineLog:
    return LineLog(clocks.monotonic_s, clocks.wall_s)


def ts(second: int) -> str:
    return f"2026-11-20T10:15:{second:02}.000Z"


ACCEPTED = {"id": "a", "event": "accepted", "ts": ts(1), "text": "One two.", "author": "Ann", "priority": "high"}
STARTED = {"id": "a", "event": "started", "ts": ts(2), "queue_s": 0.4}
INTERRUPTED = {"id": "a", "event": "interrupted", "ts": ts(3)}
RESUMED = {"id": "a", "event": "resumed", "ts": ts(4)}
FINISHED = {
    "id": "a",
    "event": "finished",
    "ts": ts(5),
    "text": "One two.",
    "engine": "f5",
    "rtf": 0.2,
    "audible": True,
}


def test_each_event_changes_the_record(log: LineLog) -> None:
    told = [log.apply(event) for event in (ACCEPTED, STARTED, INTERRUPTED, RESUMED, FINISHED)]
    assert [record and record.status for record in told] == [
        "waiting", "speaking", "interrupted", "speaking", "finished",
    ]  # fmt: skip
    assert told[-1] == LineRecord(
        "a", "finished", ts(1), ts(2), ts(5), "One two.", "Ann", "high",
        engine="f5", rtf=0.2, queue_s=0.4, audible=True,
    )  # fmt: skip
    assert (log.waiting(), log.recent(9)) == ([], [told[-1]])


def test_lines_stay_in_the_order_of_their_arrival(log: LineLog) -> None:
    for line_id in ("a", "b", "c"):
        log.apply({**ACCEPTED, "id": line_id})
    for line_id in ("a", "b"):
        log.apply({**STARTED, "id": line_id})
    assert [line.id for line in log.waiting()] == ["a", "b", "c"]
    for line_id in ("b", "a"):
        log.apply({**FINISHED, "id": line_id})
    assert [line.id for line in log.recent(9)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([STARTED, ACCEPTED, FINISHED], id="started-before-accepted"),
        pytest.param([FINISHED, ACCEPTED, STARTED], id="finished-first"),
        pytest.param([ACCEPTED, STARTED, FINISHED, ACCEPTED, STARTED, FINISHED], id="all-again"),
        pytest.param([ACCEPTED, FINISHED, STARTED, RESUMED], id="resumed-after-its-end"),
    ],
)
def test_order_and_repetition_do_not_change_the_outcome(log: LineLog, events: list[dict[str, Any]]) -> None:
    for event in events:
        log.apply(event)
    (line,) = log.recent(9)
    assert (line.status, line.accepted_ts, line.started_ts, line.ended_ts) == ("finished", ts(1), ts(2), ts(5))
    assert log.apply(events[-1]) is None


def test_an_id_may_be_used_again(log: LineLog) -> None:
    for event in (ACCEPTED, STARTED, FINISHED):
        log.apply(event)
    again = log.apply({**ACCEPTED, "ts": ts(9), "text": "Three.", "author": None})
    assert again == LineRecord("a", "waiting", ts(9), text="Three.", priority="high")
    rejected = log.apply({"id": "a", "event": "rejected", "ts": ts(12), "reason": "filtered", "detail": "no"})
    assert rejected is not None
    later = log.apply({"id": "a", "event": "rejected", "ts": ts(13), "reason": "too_long", "detail": "long"})
    assert later == LineRecord("a", "rejected", ended_ts=ts(13), reason="too_long", detail="long")
    assert log.recent(9) == [later]


def test_the_clock_of_the_board_may_jump_back(log: LineLog) -> None:
    log.apply(ACCEPTED)
    log.apply({**FINISHED, "ts": "1970-01-01T00:00:07.000Z"})
    (line,) = log.recent(9)
    assert (line.status, line.ended_ts) == ("finished", "1970-01-01T00:00:07.000Z")
    again = log.apply({**ACCEPTED, "ts": "1970-01-01T00:00:03.000Z"})
    assert again is not None
    assert again.status == "waiting"


def test_a_duplicate_does_not_end_the_line_that_it_repeats(log: LineLog) -> None:
    log.apply(ACCEPTED)
    duplicate = {"id": "a", "event": "duplicate", "ts": ts(2), "of": "a", "outcome": None}
    assert log.apply(duplicate) is None
    assert log.waiting()[0].status == "waiting"
    other = log.apply({**duplicate, "id": "b"})
    assert other is not None
    assert (other.status, other.detail) == ("duplicate", "a")


def test_times_of_ends_do_not_depend_on_clocks(log: LineLog, clocks: Clocks) -> None:
    log.apply({**FINISHED, "ts": "1999-01-01T00:00:00.000Z"})
    clocks.now_s += 100
    log.apply({**FINISHED, "id": "b"})
    now_s = clocks.wall_s()
    assert [(at_s - now_s, line.id) for at_s, line in log.ended_since(now_s - 200)] == [(-100.0, "a"), (0.0, "b")]
    assert [line.id for _, line in log.ended_since(now_s - 50)] == ["b"]
    clocks.jump_s += 86_400
    assert [at_s - clocks.wall_s() for at_s, _ in log.ended_since(0)] == [-100.0, 0.0]


def test_it_is_bounded(log: LineLog) -> None:
    for number in range(MAX_WAITING + 50):
        log.apply({**ACCEPTED, "id": f"w{number}"})
    for number in range(MAX_ENDED + 50):
        log.apply({**FINISHED, "id": f"e{number}"})
    assert len(log) == MAX_WAITING + MAX_ENDED
    assert (log.waiting()[0].id, log.recent(MAX_WAITING + 1)[-1].id) == ("w50", f"e{MAX_ENDED + 49}")
    log.limit(10, 20, 1_000_000)
    assert (len(log), log.waiting()[-1].id) == (30, f"w{MAX_WAITING + 49}")


def test_the_characters_of_all_texts_are_bounded(log: LineLog) -> None:
    for number in range(100):
        log.apply({**FINISHED, "id": f"e{number}", "text": "x" * 5000, "engine": "y" * 5000})
    newest = log.get("e99")
    assert newest is not None
    assert (len(newest.text or ""), len(newest.engine or "")) == (1001, 128)
    log.apply({**ACCEPTED, "id": "w"})
    log.limit(500, 500, 10_000)
    assert [line.id for line in log.recent(99)] == ["w", "e99", "e98", "e97", "e96", "e95", "e94", "e93", "e92"]
    log.limit(500, 500, 0)
    assert (len(log), log._chars) == (0, 0)


@pytest.mark.parametrize(
    "event",
    [
        {}, {"event": "accepted"}, {"id": 7, "event": "accepted"}, {"id": "a", "event": ["accepted"]},
        {"id": "", "event": "finished"}, {"id": "a", "event": "command"}, {"id": "a", "event": "sung"},
        {"id": "a", "event": {"accepted": 1}},
    ],
)  # fmt: skip
def test_events_that_are_of_no_line(log: LineLog, event: dict[str, Any]) -> None:
    assert (log.is_repetition(event), log.apply(event), len(log)) == (False, None, 0)


def test_values_of_wrong_types_are_unknown(log: LineLog) -> None:
    hostile = {
        "id": "a", "event": "finished", "ts": 3, "text": ["x"], "author": {}, "rtf": "fast", "queue_s": True,
        "synth_s": 10**400, "audio_s": -1e300, "audible": 1, "engine": None, "detail": 5, "error": "",
    }  # fmt: skip
    assert log.apply(hostile) == LineRecord("a", "finished")


def test_the_same_event_is_a_repetition(log: LineLog) -> None:
    assert [log.is_repetition(event) for event in (ACCEPTED, STARTED, ACCEPTED, {**ACCEPTED, "ts": ts(7)})] == [
        False, False, True, False,
    ]  # fmt: skip


def of_history(number: int, **values: Any) -> dict[str, Any]:
    told = {"id": f"h{number}", "status": "finished", "accepted_ts": ts(number), "ended_ts": ts(number + 1)}
    return {**told, "text": f"line {number}", **values}


def test_history_completes_the_log(log: LineLog, clocks: Clocks) -> None:
    clocks.jump_s = 1_763_634_000.0 - clocks.now_s  # 2025-11-20T10:20:00Z: everything below is older
    log.apply({**ACCEPTED, "id": "h3", "ts": ts(3)})
    log.apply({**ACCEPTED, "id": "h7", "ts": ts(7)})
    changed = log.merge([of_history(9, status="waiting", ended_ts=None), of_history(3, rtf=0.5), of_history(1)])
    assert [line.id for line in changed] == ["h1", "h3", "h9"]
    assert [line.id for line in log.waiting()] == ["h7", "h9"]
    assert [(line.id, line.status, line.rtf) for line in log.recent(9)[2:]] == [
        ("h3", "finished", 0.5), ("h1", "finished", None),
    ]  # fmt: skip
    assert log.merge([of_history(3, rtf=0.9), of_history(1)]) == []
    stale = of_history(7, id="a", accepted_ts=ts(0))
    log.apply(ACCEPTED)
    assert log.merge([stale]) == []


def test_history_of_full_logs_keeps_the_newest(log: LineLog) -> None:
    log.limit(3, 3, 1000)
    for number in (20, 21, 22):
        log.apply({**FINISHED, "id": f"e{number}"})
    log.merge([of_history(number) for number in (4, 3, 2, 1)])
    assert [line.id for line in log.recent(9)] == ["e22", "e21", "e20"]


@pytest.mark.parametrize("line", [None, 7, [], {"id": "x"}, {"id": 5, "status": "finished"}, {"id": "x", "status": []}])
def test_history_with_hostile_lines(log: LineLog, line: Any) -> None:
    assert log.merge([line]) == []


def test_lines_without_an_end_become_unknown(log: LineLog, clocks: Clocks) -> None:
    log.apply(ACCEPTED)
    log.apply(STARTED)
    clocks.now_s += 30
    log.apply({**ACCEPTED, "id": "new"})
    (lost,) = log.end_missing(lambda line: False, 20.0)
    assert (lost.id, lost.status) == ("a", "unknown")
    assert [line.id for line in log.waiting()] == ["new"]
    finished = log.apply(FINISHED)  # it was late
    assert finished is not None
    assert (finished.status, finished.detail) == ("finished", None)
