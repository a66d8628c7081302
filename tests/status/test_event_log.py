"""The log has one line for each event, and one for the rest of a flood of rejections."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.board.detect import detect_board
from ishowtts.model import Event, Outcome
from ishowtts.status.event_log import EventLog
from ishowtts.status.telemetry import Telemetry
from ishowtts.util import logs
from support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(detect_board("none", Path("/")))


@pytest.fixture
def event_log(telemetry: Telemetry, clock: Clock) -> EventLog:
    return EventLog(telemetry, clock)


def reject(event_log: EventLog, reason: str, count: int) -> None:
    for number in range(count):
        event_log.record(Event("now", str(number), "rejected", {"reason": reason, "detail": "no"}))


def test_of_a_flood_five_rejections_are_logged_and_the_rest_is_summed_up(
    event_log: EventLog, clock: Clock, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    reject(event_log, "bad_json", 505)
    reject(event_log, "empty", 492)
    event_log.sum_up()
    assert len(caplog.records) == 5, "its ten seconds are not over"
    clock.now_s += 10
    event_log.sum_up()
    assert [record.getMessage() for record in caplog.records[5:]] == [
        "992 more lines were rejected (bad_json 500, empty 492)"
    ]
    speech = telemetry.snapshot(engine={}, audio={}, mqtt={}, queue_depth=0, worker_pid=None)["speech"]
    assert speech["lines_rejected"] == 997, "each is counted"


def test_an_event_for_many_lines_counts_as_many_and_is_logged(
    event_log: EventLog, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    reject(event_log, "empty", 5)
    event_log.record(Event("now", "x", "rejected", {"reason": "empty", "detail": "more", "count": 4200}))
    assert "count=4200" in caplog.records[-1].getMessage()
    speech = telemetry.snapshot(engine={}, audio={}, mqtt={}, queue_depth=0, worker_pid=None)["speech"]
    assert speech["lines_rejected"] == 4205


def test_the_next_flood_starts_a_new_count_and_sums_up_the_last_one(
    event_log: EventLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    reject(event_log, "empty", 7)
    clock.now_s += 10
    reject(event_log, "empty", 2)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 5 + 1 + 2
    assert messages[5] == "2 more lines were rejected (empty 2)"


def test_at_the_end_the_rest_is_summed_up_once(event_log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    reject(event_log, "empty", 6)
    event_log.sum_up(last=True)
    event_log.sum_up(last=True)
    assert [record.getMessage() for record in caplog.records[5:]] == ["1 more line was rejected (empty 1)"]


def test_other_events_are_logged_during_a_flood(event_log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    reject(event_log, "empty", 50)
    event_log.record(Event("now", "a", Outcome.FAILED.value, {"error": "no sound"}))
    assert "failed" in caplog.records[-1].getMessage()


def test_a_private_log_shows_nothing_that_a_publisher_wrote(
    event_log: EventLog, caplog: pytest.LogCaptureFixture
) -> None:
    private = logs.LogFormatter("%(message)s", private=True)
    event_log.record(Event("now", "secret-id", "rejected", {"reason": "bad_json", "detail": "secret text"}))
    event_log.record(Event("now", "secret-id", "failed", {"engine": "f5", "error": "secret text"}))
    assert len(caplog.records) == 2
    shown = [private.format(record) for record in caplog.records]
    assert "secret" not in " ".join(shown)
    assert "bad_json" in shown[0], "words of the appliance are shown"
