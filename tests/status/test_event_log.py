"""The log has one line for each event, and one for the rest of a flood of rejections."""

from __future__ import annotations

import logging
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
    speech = telemetry.snapshot(renders={}, engine={}, engines=[], audio={}, mqtt={}, queue_depth=0, worker_pids=[])[
        "speech"
    ]
    assert speech["lines_rejected"] == 997, "each is counted"


def test_an_event_for_many_lines_counts_as_many_and_is_logged(
    event_log: EventLog, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    reject(event_log, "empty", 5)
    event_log.record(Event("now", "x", "rejected", {"reason": "empty", "detail": "more", "count": 4200}))
    assert "count=4200" in caplog.records[-1].getMessage()
    speech = telemetry.snapshot(renders={}, engine={}, engines=[], audio={}, mqtt={}, queue_depth=0, worker_pids=[])[
        "speech"
    ]
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


def test_a_line_has_two_log_lines_with_its_text_and_its_end(
    event_log: EventLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    words = {"text": "The tea is ready.", "author": "Bob"}
    event_log.record(Event("now", "tea-2", "accepted", {"queue_depth": 1, **words}))
    event_log.record(Event("now", "tea-2", "started", {"queue_s": 0.01, "muted": False}))
    figures = {"queue_s": 0.01, "synth_s": 0.1, "audio_s": 1.16, "rtf": 0.014, "ttfa_s": 0.3, "nfe_step": 7}
    spoken = {**figures, "engine": "f5", "voice": "anna", "cached": False, "audible": True, "note": None}
    event_log.record(Event("now", "tea-2", "finished", {**spoken, **words}))
    event_log.record(Event("now", "tea-3", "finished", {**spoken, "cached": True, "note": "muted"}))
    event_log.record(Event("now", "tea-4", "finished", {**spoken, "engines": ["hibari", "f5"]}))
    assert [record.getMessage() for record in caplog.records] == [
        "accepted 'The tea is ready.' (from 'Bob', id 'tea-2')",
        "finished (id 'tea-2'): 1.16 s of speech, by f5, RTF 0.014, waited 0.01 s, heard after 0.3 s",
        "finished (id 'tea-3'): 1.16 s of speech, by f5, RTF 0.014, waited 0.01 s, heard after 0.3 s, "
        "from the cache, muted",
        "finished (id 'tea-4'): 1.16 s of speech, by hibari, f5, RTF 0.014, waited 0.01 s, heard after 0.3 s",
    ]


def test_the_text_is_cut_and_cannot_forge_a_log_line(event_log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    words = {"text": "one\ntwo %s \u202e" + "x" * 900, "author": "b\x07"}
    event_log.record(Event("now", "a\x1b", "accepted", {"queue_depth": 3, "done": ["link"], "durable": False, **words}))
    message = caplog.records[0].getMessage()
    assert message.startswith(r"accepted 'one\ntwo %s \u202exxx")
    assert message.endswith(r"xx…' (from 'b\x07', id 'a\x1b'): 3 lines waiting, done=['link'], durable=False")
    assert len(message) < 350


def test_the_first_event_of_a_line_has_its_text(event_log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for outcome, data, told in (
        ("rejected", {"reason": "filtered", "detail": "100 % not allowed"}, ": filtered, 100 % not allowed"),
        ("merged", {"into": "b"}, ": into=b"),
        ("duplicate", {"of": "a", "outcome": None}, ": of=a"),
        ("expired", {}, ""),
        ("cancelled", {"by": "skip"}, ": by skip"),
        ("failed", {"error": "no sound"}, ": no sound"),
    ):
        event_log.record(Event("now", "a", outcome, {**data, "text": "Hi", "author": "Bob"}))
        words = " 'Hi' (from 'Bob', id 'a')" if outcome in ("rejected", "merged", "duplicate") else " (id 'a')"
        assert caplog.records[-1].getMessage() == f"{outcome}{words}{told}"


def test_a_private_log_shows_nothing_that_a_publisher_wrote(
    event_log: EventLog, caplog: pytest.LogCaptureFixture
) -> None:
    private = logs.LogFormatter("%(message)s", private=True)
    caplog.set_level("INFO")
    event_log.record(Event("now", "secret-id", "rejected", {"reason": "bad_json", "detail": "secret text"}))
    event_log.record(Event("now", "secret-id", "failed", {"engine": "f5", "error": "secret text"}))
    event_log.record(Event("now", "secret-id", "merged", {"text": "secret text", "author": "secret author"}))
    assert len(caplog.records) == 3
    shown = [private.format(record) for record in caplog.records]
    assert "secret" not in " ".join(shown)
    assert "bad_json" in shown[0], "words of the appliance are shown"


def fields(record: logging.LogRecord) -> dict[str, str | tuple[str, ...]]:
    """The fields of a record in the journal that are set."""
    found = vars(record)["journal_fields"].items()
    return {
        name.removeprefix("ISHOWTTS_"): value if isinstance(value, tuple) else str(value)
        for name, value in found
        if value is not None
    }


def test_the_journal_finds_each_event_by_its_fields(event_log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    words = {"text": "secret", "author": "secret"}
    event_log.record(Event("now", "tea-2", "accepted", {"queue_depth": 1, **words}))
    event_log.record(Event("now", "tea-2", "started", {"queue_s": 0.01}))
    event_log.record(Event("now", "tea-2", "finished", {"engine": "f5", "voice": "anna", **words}))
    event_log.record(Event("now", "tea-3", "finished", {"engine": "f5", "engines": ["hibari", "f5"]}))
    event_log.record(Event("now", "tea-4", "rejected", {"reason": "too_long", "detail": "secret", "count": 9}))
    event_log.record(Event("now", "tea-5", "cancelled", {"by": "skip"}))
    event_log.record(Event("now", "tea-5", "duplicate", {"of": "secret", **words}))
    assert [fields(record) for record in caplog.records] == [
        {"EVENT": "accepted", "LINE_ID": "tea-2"},
        {"EVENT": "started", "LINE_ID": "tea-2"},
        {"EVENT": "finished", "OUTCOME": "finished", "LINE_ID": "tea-2", "ENGINE": "f5", "VOICE": "anna"},
        {"EVENT": "finished", "OUTCOME": "finished", "LINE_ID": "tea-3", "ENGINE": ("hibari", "f5")},
        {"EVENT": "rejected", "OUTCOME": "rejected", "LINE_ID": "tea-4", "REASON": "too_long", "COUNT": "9"},
        {"EVENT": "cancelled", "OUTCOME": "cancelled", "LINE_ID": "tea-5", "REASON": "skip"},
        {"EVENT": "duplicate", "LINE_ID": "tea-5"},
    ]


def test_the_summary_of_a_flood_says_how_many_lines_it_is_about(
    event_log: EventLog, caplog: pytest.LogCaptureFixture
) -> None:
    reject(event_log, "empty", 12)
    event_log.sum_up(last=True)
    assert fields(caplog.records[-1]) == {"EVENT": "rejected", "OUTCOME": "rejected", "COUNT": "7"}
