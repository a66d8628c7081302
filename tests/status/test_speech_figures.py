"""Rates, percentiles and counts of the lines that were spoken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ishowtts.model import EngineShare, Outcome, Report
from ishowtts.status.speech_figures import RecentRtf, SpeechFigures, percentile
from support.clock import Clock

EMPTY = dict.fromkeys(("rtf_p50", "rtf_p95", "ttfa_s_p50", "ttfa_s_p95"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def figures(clock: Clock) -> SpeechFigures:
    return SpeechFigures(clock)


def report(rtf: float, audio_s: float = 2.0, ttfa_s: float | None = 0.5, **fields: Any) -> Report:
    return Report(0.0, rtf * audio_s, audio_s, ttfa_s, "f5", "default", **fields)


def of_engines(*shares: EngineShare) -> Report:
    return report(0.5, shares=shares)


def test_what_nobody_knows_is_null_before_the_first_line(figures: SpeechFigures) -> None:
    speech = json.loads(json.dumps(figures.speech(), allow_nan=False))
    unknown = {name for name, value in speech.items() if value is None}
    assert unknown == {"rtf", "rtf_p50", "rtf_p95", "ttfa_s_p50", "ttfa_s_p95", "error_rate", "cache_hit_rate"}
    assert {value for value in speech.values() if value is not None} == {0}
    assert figures.engine("f5") == EMPTY
    assert figures.recent_rtf("f5", 60) is None


def test_percentiles_are_of_the_last_hundred_lines_and_were_measured(figures: SpeechFigures) -> None:
    for _ in range(50):
        figures.record(report(rtf=9.0, ttfa_s=9.0))
    for number in range(100, 0, -1):
        figures.record(report(rtf=number / 100, ttfa_s=number / 10))
    speech = figures.speech()
    assert (speech["rtf"], speech["rtf_p50"], speech["rtf_p95"]) == (0.01, 0.5, 0.95)
    assert (speech["ttfa_s_p50"], speech["ttfa_s_p95"]) == (5.0, 9.5)
    assert speech["audio_s_total"] == 300.0


def test_a_cached_or_silent_line_has_no_part_in_the_speed_of_synthesis(figures: SpeechFigures) -> None:
    figures.record(report(rtf=0.25))
    figures.record(report(rtf=0.0, cached=True))
    figures.record(report(rtf=0.0, audio_s=0.0, ttfa_s=None))
    speech = figures.speech()
    assert (speech["rtf"], speech["rtf_p50"], speech["cache_hits"], speech["audio_s_total"]) == (0.25, 0.25, 1, 4.0)


def test_every_outcome_counts_as_a_line(figures: SpeechFigures) -> None:
    for outcome in [*Outcome, Outcome.FAILED, Outcome.REJECTED, Outcome.REJECTED]:
        figures.count(outcome)
    speech = figures.speech()
    counted = (speech["lines_total"], speech["lines_failed"], speech["lines_rejected"])
    assert counted == (len(Outcome) + 3, 2, 3)


def test_the_error_rate_is_of_lines_that_were_tried(figures: SpeechFigures) -> None:
    figures.count(Outcome.REJECTED, 4200)
    figures.count(Outcome.EXPIRED)
    assert figures.speech()["error_rate"] is None
    figures.count(Outcome.FAILED)
    figures.count(Outcome.FINISHED, 2)
    assert figures.speech()["error_rate"] == 0.3333
    figures.count(Outcome.FINISHED, 97)
    assert figures.speech()["error_rate"] == 0.01
    figures.count(Outcome.FINISHED)
    assert figures.speech()["error_rate"] == 0.0, "the failure is older than the last hundred lines"


def test_the_share_of_cached_lines_is_of_the_last_hundred(figures: SpeechFigures) -> None:
    for _ in range(100):
        figures.record(report(rtf=0.1))
    for _ in range(25):
        figures.record(report(rtf=0.0, cached=True))
    speech = figures.speech()
    assert (speech["cache_hit_rate"], speech["cache_hits"]) == (0.25, 25)


def test_lines_a_minute_are_those_of_the_last_sixty_seconds(figures: SpeechFigures, clock: Clock) -> None:
    seen = []
    for _ in range(3):
        for _ in range(4):
            figures.record(report(rtf=0.1))
        clock.now_s += 25
        seen.append(figures.speech()["lines_per_min"])
    clock.now_s += 50
    assert [*seen, figures.speech()["lines_per_min"]] == [4, 8, 8, 0]


def test_a_line_of_two_engines_counts_for_both(figures: SpeechFigures, clock: Clock) -> None:
    figures.record(of_engines(EngineShare("hibari", 0.5, 2.0, ttfa_s=0.7), EngineShare("espeak", 0.1, 10.0)))
    figures.record(of_engines(EngineShare("hibari", 1.5, 2.0, ttfa_s=0.9)))
    hibari = {"rtf_p50": 0.25, "rtf_p95": 0.75, "ttfa_s_p50": 0.7, "ttfa_s_p95": 0.9}
    assert figures.engine("hibari") == hibari
    assert figures.engine("espeak") == {**EMPTY, "rtf_p50": 0.01, "rtf_p95": 0.01}
    assert figures.engine("f5") == EMPTY
    clock.now_s += 30
    figures.record(of_engines(EngineShare("espeak", 0.3, 10.0)))
    clock.now_s += 5
    assert figures.recent_rtf("hibari", 60) == RecentRtf(0.25, 2)
    assert figures.recent_rtf("hibari", 34) is None
    assert (figures.recent_rtf("espeak", 60), figures.recent_rtf("espeak", 34)) == (
        RecentRtf(0.01, 2),
        RecentRtf(0.03, 1),
    )


def test_the_recent_speed_is_of_twenty_lines(figures: SpeechFigures) -> None:
    for rtf in [0.1] * 90 + [2.0] * 11:
        figures.record(of_engines(EngineShare("f5", rtf, 1.0)))
    assert (figures.engine("f5")["rtf_p50"], figures.recent_rtf("f5", 60)) == (0.1, RecentRtf(2.0, 20))


def test_sound_that_nobody_heard_has_no_speed(figures: SpeechFigures) -> None:
    figures.record(of_engines(EngineShare("f5", 0.5, 0.0)))
    assert figures.recent_rtf("f5", 60) is None


@pytest.mark.parametrize(("percent", "value"), [(0, 1.0), (50, 2.0), (75, 3.0), (95, 4.0), (100, 4.0)])
def test_a_percentile_is_by_nearest_rank(percent: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value
