"""The counters of an appliance: they only rise, whatever restarts, repeats or is nonsense."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts_gateway.metrics.appliance_counts import ENGINES, OTHER_ENGINE, RESTARTS, ApplianceCounts, Histogram


def telemetry(uptime_s: Any, audio_s: Any = 0.0, throttled: Any = 0, f5_restarts: Any = 0) -> dict[str, Any]:
    return {
        "uptime_s": uptime_s,
        "speech": {"audio_s_total": audio_s},
        "board": {"throttle_events": throttled},
        "engines": [{"name": "f5", "restarts": f5_restarts}, {"name": "espeak", "restarts": 0}],
    }


def finished(line_id: str = "1", **fields: Any) -> dict[str, Any]:
    return {
        "event": "finished", "id": line_id, "ts": "2026-11-20T10:15:00.000Z", "engine": "f5", "cached": False,
        "rtf": 0.25, "ttfa_s": 0.4, "queue_s": 1.5, "audible": True, "substituted_for": None, **fields,
    }  # fmt: skip


@pytest.fixture
def counts() -> ApplianceCounts:
    return ApplianceCounts()


def count(counts: ApplianceCounts, *messages: dict[str, Any]) -> list[float]:
    """Seconds of sound after each message."""
    found = []
    for message in messages:
        counts.count_telemetry(message, retained=False)
        found.append(counts.totals["audio_s"])
    return found


def test_a_counter_begins_at_zero_and_rises_with_the_total(counts: ApplianceCounts) -> None:
    assert count(counts, telemetry(900, 100.0), telemetry(905, 102.5), telemetry(910, 102.5)) == [0, 2.5, 2.5]


def test_a_restart_of_the_daemon_makes_no_counter_fall_or_jump(counts: ApplianceCounts) -> None:
    assert count(counts, telemetry(900, 100.0), telemetry(905, 104.0)) == [0, 4]
    assert count(counts, telemetry(2, 0.0), telemetry(7, 3.0), telemetry(12, 5.0)) == [4, 7, 9]
    assert count(counts, telemetry(1, 6.0)) == [15], "the restarted daemon has spoken 6 s already, more than before"


def test_a_restart_that_we_missed_because_of_the_broker_makes_no_counter_fall(counts: ApplianceCounts) -> None:
    assert count(counts, telemetry(10, 100.0), telemetry(5000, 3.0), telemetry(5005, 4.0)) == [0, 3, 4]


def test_what_the_broker_had_before_we_subscribed_does_not_count(counts: ApplianceCounts) -> None:
    counts.count_telemetry(telemetry(90_000, 5000.0), retained=True)
    assert "audio_s" not in counts.totals, "it is not known"
    assert count(counts, telemetry(900, 100.0), telemetry(905, 101.0)) == [0, 1]
    counts.count_telemetry(telemetry(600, 40.0), retained=True)  # of a broker that lost the newer ones
    assert count(counts, telemetry(910, 102.0)) == [2]


def test_it_knows_how_long_ago_an_appliance_was_heard() -> None:
    now_s = 100.0
    counts = ApplianceCounts(lambda: now_s)
    assert not counts.heard_within(30, retained=True)
    counts.count_telemetry(telemetry(5), retained=True)
    assert (counts.heard_within(30), counts.heard_within(30, retained=True)) == (False, True)
    now_s = 120.0
    counts.count_telemetry(telemetry(25), retained=False)
    now_s = 150.0
    assert (counts.heard_within(30), counts.heard_within(29, retained=True)) == (True, False)


def test_throttle_events_go_on_over_a_restart_of_the_daemon_and_begin_again_with_the_board(
    counts: ApplianceCounts,
) -> None:
    found = []
    for message in (telemetry(900, throttled=7), telemetry(3, throttled=8), telemetry(5, throttled=None),
                    telemetry(2, throttled=1)):  # fmt: skip
        counts.count_telemetry(message, retained=False)
        found.append(counts.totals["throttle_events"])
    assert found == [0, 1, 1, 2]


def test_restarts_are_counted_for_each_engine(counts: ApplianceCounts) -> None:
    counts.count_telemetry(telemetry(5), retained=False)
    counts.count_telemetry(telemetry(10, f5_restarts=2), retained=False)
    assert {key: value for key, value in counts.totals.items() if key.startswith(RESTARTS)} == {
        f"{RESTARTS}f5": 2, f"{RESTARTS}espeak": 0,
    }  # fmt: skip


def test_an_event_that_comes_again_counts_once(counts: ApplianceCounts) -> None:
    for _ in range(3):
        counts.count_event(finished())
    assert (counts.outcomes["finished"], counts.rtf["f5"].sum, counts.queue_s.sum) == (1, 0.25, 1.5)
    counts.count_event(finished(ts="2026-11-20T10:16:00.000Z"))
    assert counts.outcomes["finished"] == 2, "a later line with the same id"


def test_events_are_remembered_in_bounded_number(counts: ApplianceCounts) -> None:
    for number in range(5000):
        counts.count_event(finished(str(number)))
    assert counts.outcomes["finished"] == 5000
    assert len(counts._seen) == 256


def test_an_event_that_reports_many_lines_counts_them_all(counts: ApplianceCounts) -> None:
    for number, lines in enumerate((4200, None, -3, "7", True, 1e300)):
        counts.count_event({"event": "rejected", "id": str(number), "count": lines})
    assert counts.outcomes["rejected"] == 4200 + 5


def test_a_line_from_the_cache_has_a_time_to_first_sound_and_no_rtf(counts: ApplianceCounts) -> None:
    counts.count_event(finished(cached=True, rtf=0.0))
    assert counts.rtf["f5"].buckets()[-1] == ("+Inf", 0)
    assert counts.first_sound_s["f5"].buckets()[-1] == ("+Inf", 1)


def test_lines_that_nobody_heard_and_that_another_engine_spoke_are_counted(counts: ApplianceCounts) -> None:
    counts.count_event(finished("1", audible=False))
    counts.count_event(finished("2", substituted_for="f5", engine="espeak"))
    assert (counts.inaudible, counts.substituted) == (1, 1)


def test_commands_and_accepted_lines_are_counted(counts: ApplianceCounts) -> None:
    counts.count_event({"event": "accepted", "id": "1", "ts": "a"})
    for ok in (True, True, False, None):
        counts.count_event({"event": "command", "id": "", "ts": "a", "ok": ok, "transaction": str(ok)})
    counts.count_event({"event": "command", "id": "", "ts": "b", "ok": True, "transaction": "True"})
    assert (counts.accepted, counts.commands) == (1, {"executed": 2, "refused": 2})


def test_an_engine_of_a_payload_never_becomes_a_label(counts: ApplianceCounts) -> None:
    for number, name in enumerate(("f5", "<script>", None, 5, ["f5"], {"f5": 1}, "hibari")):
        counts.count_event(finished(str(number), engine=name))
    assert set(counts.rtf) == {"f5", "hibari", OTHER_ENGINE}
    counts.count_telemetry(
        {"uptime_s": 1, "engines": [{"name": f"e{i}", "restarts": 1} for i in range(9)]}, retained=False
    )
    assert set(counts.rtf) <= {*ENGINES, OTHER_ENGINE}
    assert set(counts.totals) == {f"{RESTARTS}{OTHER_ENGINE}"}


NONSENSE: list[Any] = [None, True, "9", [], {}, [[]], float("nan"), float("inf"), -1, 10**400, -(10**400), 1e300]


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_nonsense_counts_nothing(counts: ApplianceCounts, value: Any) -> None:
    counts.count_telemetry(telemetry(5, 1.0), retained=False)
    counts.count_telemetry(telemetry(10, value, value, value), retained=False)
    counts.count_telemetry({**telemetry(value, 2.0), "engines": value}, retained=False)
    counts.count_telemetry({"uptime_s": 11, "speech": value, "board": value, "engines": [value]}, retained=False)
    assert set(counts.totals.values()) <= {0.0, 1.0}
    counts.count_event(finished(rtf=value, ttfa_s=value, queue_s=value, count=None))
    counts.count_event({"event": value, "id": value, "ts": value, "count": value})
    assert counts.outcomes["finished"] == 1
    assert counts.rtf["f5"].sum == counts.first_sound_s["f5"].sum == counts.queue_s.sum == 0


def test_a_histogram_counts_values_up_to_and_including_each_bound() -> None:
    histogram = Histogram((0.5, 1.0))
    for value in (0.1, 0.5, 0.7, 1.0, 8.0):
        histogram.observe(value)
    assert histogram.buckets() == [("0.5", 2), ("1.0", 4), ("+Inf", 5)]
    assert histogram.sum == pytest.approx(10.3)
