"""The figures of one line, and what each engine had of it."""

from __future__ import annotations

import numpy as np

from ishowtts.inbox import DequeuedLine
from ishowtts.model import EngineShare, Line, Report, Utterance
from ishowtts.playback.playback_buffer import Playing
from ishowtts.speech.line_stats import LineStats

RATE_HZ = 1000
LINE = DequeuedLine(1, Line("a", "Hello."), 0.5, 0, None, 1, times=1)


def utterance(engine: str, audio_s: float, synth_s: float, cached: bool = False) -> Utterance:
    return Utterance(np.zeros(round(audio_s * RATE_HZ), np.int16), RATE_HZ, synth_s, engine, "", cached=cached)


def heard(*utterances: Utterance, overlap_s: float = 0.0) -> Report:
    """The report of a line that began at 100 s and was heard from 100.25 s on."""
    stats = LineStats(began_s=100.0)
    for number, each in enumerate(utterances):
        playing = Playing()
        playing.started_at, playing.overlap_s = 100.25 + number, overlap_s if number else 0.0
        stats.segment_queued(each)
        stats.segment_started(playing)
        stats.segment_heard(each, playing)
    return stats.report(LINE, "f5")


def test_each_engine_has_the_work_and_the_sound_of_its_segments() -> None:
    hibari, espeak = utterance("hibari", 2.0, 1.0), utterance("espeak", 1.0, 0.125)
    report = heard(hibari, espeak, hibari, overlap_s=0.5)
    assert (report.engine, report.audio_s, report.synth_s, report.ttfa_s) == ("hibari", 4.0, 2.125, 0.25)
    assert report.shares == (EngineShare("hibari", 2.0, 3.5, ttfa_s=0.25), EngineShare("espeak", 0.125, 0.5))


def test_sound_from_the_cache_is_the_work_of_no_engine() -> None:
    cached, made = utterance("f5", 3.0, 0.0, cached=True), utterance("f5", 2.0, 0.5)
    assert heard(cached, cached).shares == ()
    assert heard(cached, made).shares == (EngineShare("f5", 0.5, 2.0),), "its first sound came from the cache"
    assert heard(made, cached).shares == (EngineShare("f5", 0.5, 2.0, ttfa_s=0.25),)


def test_the_time_to_the_first_sound_is_never_negative() -> None:
    stats, playing = LineStats(began_s=100.0), Playing()
    playing.started_at = 99.95
    stats.segment_started(playing)
    assert stats.report(LINE, "f5").ttfa_s == 0.0


def test_a_line_without_sound_has_no_shares() -> None:
    report = heard()
    assert (report.engine, report.ttfa_s, report.shares) == ("f5", None, ())
