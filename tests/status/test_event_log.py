"""A flood of rejections is summed up in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.board.detect import detect_board
from ishowtts.model import Event, Outcome
from ishowtts.status.event_log import EventLog
from ishowtts.status.telemetry import Telemetry
from support.clock import Clock


@pytest.fixture
def watch() -> Clock:
    return Clock()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(detect_board("none", Path("/")))


@pytest.fixture
def journal(telemetry: Telemetry, watch: Clock) -> EventLog:
    return EventLog(telemetry, watch)


def reject(journal: EventLog, reason: str, count: int) -> None:
    for number in range(count):
        journal.tell(Event("now", str(number), "rejected", {"reason": reason, "detail": "no"}))


def test_of_a_flood_five_are_told_and_the_rest_is_summed_up(
    journal: EventLog, watch: Clock, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    reject(journal, "bad_json", 505)
    reject(journal, "empty", 492)
    journal.sum_up()
    assert len(caplog.records) == 5, "its ten seconds are not over"
    watch.now_s += 10
    journal.sum_up()
    assert [record.getMessage() for record in caplog.records[5:]] == [
        "992 more lines were rejected (bad_json 500, empty 492)"
    ]
    speech = telemetry.snapshot(engine={}, audio={}, mqtt={}, queue_depth=0, worker_pid=None)["speech"]
    assert speech["lines_rejected"] == 997, "each is counted"


def test_an_event_that_tells_of_many_lines_counts_as_many_and_is_logged(
    journal: EventLog, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    reject(journal, "empty", 5)
    journal.tell(Event("now", "x", "rejected", {"reason": "empty", "detail": "more", "count": 4200}))
    assert "count=4200" in caplog.records[-1].getMessage()
    speech = telemetry.snapshot(engine={}, audio={}, mqtt={}, queue_depth=0, worker_pid=None)["speech"]
    assert speech["lines_rejected"] == 4205


def test_the_next_flood_begins_anew_and_sums_up_the_one_before(
    journal: EventLog, watch: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    reject(journal, "empty", 7)
    watch.now_s += 10
    reject(journal, "empty", 2)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 5 + 1 + 2
    assert told[5] == "2 more lines were rejected (empty 2)"


def test_what_is_untold_at_the_end_is_told_then(journal: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    reject(journal, "empty", 6)
    journal.sum_up(last=True)
    journal.sum_up(last=True)
    assert [record.getMessage() for record in caplog.records[5:]] == ["1 more line was rejected (empty 1)"]


def test_other_events_are_told_in_a_flood(journal: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    reject(journal, "empty", 50)
    journal.tell(Event("now", "a", Outcome.FAILED.value, {"error": "no sound"}))
    assert "failed" in caplog.records[-1].getMessage()
