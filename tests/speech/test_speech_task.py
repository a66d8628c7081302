"""A line of several segments: cross-fades, chime, runs of several segments, and where it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyloudnorm import Meter

from ishowtts.engines import VoiceInfo
from ishowtts.errors import EngineUnavailable, SynthesisError, WorkerDied
from ishowtts.model import Line, Priority
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.speech import segment_planner
from ishowtts.speech.engine_seam import SENTENCE_PAUSE_S
from support.speech_harness import Harness, ToneEngine
from support.waiting import eventually

MakeHarness = Callable[..., Harness]
LONG = "one two three four five six seven eight nine ten"
SENTENCES = [f"This is sentence number {n}, a segment of its own." for n in range(4)]
SEAMED = VoiceInfo("any", 60, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)
SEAM = 3600  # samples
CHIME = np.arange(2000, 2480, dtype=np.int16)
NUMBERED = [f"Here you hear number {name}, as it is." for name in ("one", "two", "three", "four", "five")]
BATCHED = VoiceInfo("any", 50, reference_s=1.0, bytes_per_s=15.0, seam_s=0.15, cost=0.001, batch_s=600.0)


@pytest.fixture
def batched(paced: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """An engine that makes several segments in one run as soon as one plays."""
    monkeypatch.setattr(segment_planner, "_SLACK_S", 0.02)  # a segment sounds for about a second here
    paced.primary.voice = BATCHED
    return paced


def frames(folder: Path) -> int:
    return int(soundfile.info(folder / "sound.wav").frames)


def test_segments_are_cross_faded_and_the_report_counts_what_was_heard(paced: Harness, tmp_path: Path) -> None:
    sentences = SENTENCES[:2]
    paced.primary.voice = SEAMED
    paced.say(Line("a", " ".join(sentences)))
    assert paced.await_outcome("a") == "finished"
    assert paced.primary.spoken == sentences
    (report,) = paced.reports
    # The last block is filled up with zeros.
    heard_s = frames(tmp_path) / 24_000
    assert heard_s - 0.01 <= report.audio_s <= heard_s + 1e-6
    assert sum(paced.frames_of(sentences)) / 24_000 - report.audio_s == pytest.approx(0.15, abs=0.001)


def test_two_engines_are_a_pause_apart_and_the_seam_has_no_click(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(paced=True, fallback=ToneEngine("espeak"))  # else the first clip may be gone before its fade
    harness.primary.voice = SEAMED
    harness.primary.errors_at = {SENTENCES[1]: SynthesisError("this text cannot be spoken")}
    harness.say(Line("a", " ".join(SENTENCES)))
    assert harness.await_outcome("a") == "finished"
    (report,) = harness.reports
    assert report.engine == "espeak"
    without_pause = sum(harness.frames_of(SENTENCES))
    assert report.audio_s * 24_000 == pytest.approx(without_pause + SENTENCE_PAUSE_S * 24_000, abs=10)
    heard, _ = soundfile.read(tmp_path / "sound.wav", dtype="int16")
    first = harness.frames_of(SENTENCES[:1])[0]
    second = first + round(SENTENCE_PAUSE_S * 24_000)
    assert not heard[first : second - 5].any()
    # A quarter of a period from its edge the tone is at its peak, 8,000, unless it fades there.
    assert np.abs(heard[first - 30]) < 4000 < np.abs(heard[first - 150])
    assert np.abs(heard[second + 30]) < 4000 < np.abs(heard[second + 150])


def test_a_line_begins_with_a_short_segment_once_the_cost_is_known(harness: Harness) -> None:
    harness.primary.voice = replace(SEAMED, max_segment_bytes=400)
    line = "Well, here it begins at last. " + " ".join(SENTENCES)
    harness.say(Line("a", line))
    assert harness.await_outcome("a") == "finished"
    assert harness.primary.spoken == [line], "nothing is known yet"
    harness.primary.voice = replace(harness.primary.voice, cost=0.12)
    harness.primary.spoken.clear()
    harness.say(Line("b", line))
    assert harness.await_outcome("b") == "finished"
    assert len(harness.primary.spoken) == 2


def test_a_line_that_goes_on_keeps_the_words_in_which_it_was_read(paced: Harness) -> None:
    paced.policy.read_aloud = lambda text: text.replace("a segment", "one segment")
    paced.say(Line("a", " ".join(SENTENCES[:3])))
    eventually(lambda: len(paced.primary.spoken) == 3, "the third segment")
    paced.policy.read_aloud = lambda text: text.upper()
    paced.say(Line("u", "four", priority=Priority.URGENT))
    assert paced.await_outcome("a") == "finished"
    assert paced.primary.spoken.count("FOUR") == 1
    assert paced.primary.spoken[-1] == "This is sentence number 2, one segment of its own."


def test_a_chime_is_heard_before_a_line_and_is_not_counted_as_speech(harness: Harness, tmp_path: Path) -> None:
    harness.policy.chime_sound = (CHIME, 24_000)
    harness.say(Line("a", " ".join(SENTENCES[:2])))
    assert harness.await_outcome("a") == "finished"
    heard, _ = soundfile.read(tmp_path / "sound.wav", dtype="int16")
    assert np.array_equal(heard[: len(CHIME)], CHIME)
    assert positions_of_chime(heard) == [0]
    (report,) = harness.reports
    assert report.audio_s * 24_000 == pytest.approx(sum(harness.frames_of(SENTENCES[:2])), abs=10)


def positions_of_chime(heard: np.ndarray) -> list[int]:
    return [at for at in np.flatnonzero(heard == CHIME[0]) if np.array_equal(heard[at : at + 400], CHIME[:400])]


def test_a_line_that_goes_on_after_an_interruption_has_no_second_chime(paced: Harness, tmp_path: Path) -> None:
    paced.policy.chime_sound = (CHIME, 24_000)
    paced.say(Line("a", LONG))
    eventually(lambda: ("a", "started") in paced.events(), "the first sound")
    eventually(lambda: frames(tmp_path) > len(CHIME), "the chime")
    paced.policy.chime_sound = None
    paced.say(Line("u", "four", priority=Priority.URGENT))
    assert paced.await_outcome("u") == "finished"
    paced.policy.chime_sound = (CHIME, 24_000)
    assert paced.await_outcome("a") == "finished"
    heard, _ = soundfile.read(tmp_path / "sound.wav", dtype="int16")
    assert len(positions_of_chime(heard)) == 1


def test_every_line_is_post_processed(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(post_processor=PostProcessor(rate_hz=24_000, loudness_lufs=-30.0, peak_dbtp=-1.0))
    harness.say(Line("a", LONG))
    assert harness.await_outcome("a") == "finished"
    heard, rate_hz = soundfile.read(tmp_path / "sound.wav")
    assert Meter(rate_hz).integrated_loudness(heard) == pytest.approx(-30.0, abs=1.0)


def test_several_segments_of_one_run_are_heard_in_order_with_their_cross_fades(
    batched: Harness, tmp_path: Path
) -> None:
    batched.say(Line("a", " ".join(NUMBERED)))
    assert batched.await_outcome("a") == "finished"
    assert batched.primary.spoken == NUMBERED
    assert batched.primary.runs == [NUMBERED[1:]], "never the first, because the listener waits for it"
    (report,) = batched.reports
    assert frames(tmp_path) / 24_000 == pytest.approx(report.audio_s, abs=0.011)
    unfaded_s = sum(batched.frames_of(NUMBERED)) / 24_000
    assert unfaded_s - report.audio_s == pytest.approx(4 * 0.15, abs=0.002)


def test_a_run_is_not_longer_than_unplayed_sound_covers(batched: Harness) -> None:
    batched.primary.voice = replace(BATCHED, cost=2.2)  # 15 s for two segments; one sounds for about a second
    batched.say(Line("a", " ".join(NUMBERED[:3])))
    assert batched.await_outcome("a") == "finished"
    assert batched.primary.spoken == NUMBERED[:3]
    assert batched.primary.runs == []


def test_of_a_prefetched_line_one_segment_is_made_and_no_run_of_several(batched: Harness) -> None:
    batched.say(Line("a", LONG), Line("b", " ".join(NUMBERED)))
    batched.await_synthesis(NUMBERED[0])
    assert batched.primary.runs == []
    assert batched.await_outcome("b") == "finished"
    assert batched.primary.spoken == [LONG, *NUMBERED]


def test_an_engine_is_late_once_its_line_has_its_turn_and_not_while_another_one_plays(
    make_harness: MakeHarness,
) -> None:
    harness = make_harness(paced=True, fallback=ToneEngine("espeak"), late_s=0.4)
    harness.primary.voice = VoiceInfo("any", 60, reference_s=0.0, bytes_per_s=40.0, cost=0.001)
    harness.primary.endless = {SENTENCES[1]}
    harness.say(Line("a", SENTENCES[0]))
    harness.say(Line("b", SENTENCES[1]))
    assert harness.await_outcome("a") == "finished"
    heard_s = time.monotonic()
    assert harness.await_outcome("b") == "finished"
    assert [report.engine for report in harness.reports] == ["primary", "espeak"]
    assert harness.primary.spoken == SENTENCES[:1]
    (cancelled_at_s,) = harness.primary.cancelled_at_s
    assert cancelled_at_s > heard_s + 0.3, "prefetched for the second that the first line played"


def test_a_line_interrupted_within_a_run_goes_on_from_the_segment_that_was_cut_off(
    batched: Harness, tmp_path: Path
) -> None:
    third_begins = sum(batched.frames_of(NUMBERED[:2]))
    batched.say(Line("a", " ".join(NUMBERED)))
    eventually(lambda: batched.primary.spoken == NUMBERED, "the run")
    batched.primary.spoken.clear()
    eventually(lambda: frames(tmp_path) > third_begins + 4000, "the third segment")
    batched.say(Line("u", "stop", priority=Priority.URGENT))
    assert batched.await_outcome("u") == "finished"
    assert batched.await_outcome("a") == "finished"
    assert [one for one in batched.primary.spoken if one != "stop"] == NUMBERED[2:]


def test_an_urgent_line_cancels_a_run_and_nothing_of_it_is_lost(batched: Harness, tmp_path: Path) -> None:
    batched.primary.batches_blocked = True
    batched.say(Line("a", " ".join(NUMBERED)))
    eventually(lambda: batched.primary.runs, "the run")
    batched.say(Line("u", "stop", priority=Priority.URGENT))
    assert batched.await_outcome("u") == "finished"
    assert batched.outcome("a") is None
    batched.primary.batches_blocked = False
    assert batched.await_outcome("a") == "finished"
    assert batched.primary.spoken[-4:] == NUMBERED[1:]
    assert frames(tmp_path) >= sum(batched.frames_of(NUMBERED)) - 4 * SEAM


@pytest.mark.parametrize("error", [EngineUnavailable("it is loading"), WorkerDied("the worker died")])
def test_a_run_that_ends_with_its_worker_is_made_again_after_what_was_made_is_heard(
    batched: Harness, tmp_path: Path, error: Exception
) -> None:
    batched.primary.batch_errors = [error]
    batched.say(Line("a", " ".join(NUMBERED)))
    assert batched.await_outcome("a") == "finished"
    assert batched.primary.spoken == NUMBERED, "what was heard is not said again, and nothing is left out"
    assert batched.primary.runs[0] == NUMBERED[1:]
    # The second segment is the first of what goes on: no cross-fade before it, and it is made alone.
    assert batched.primary.runs[1:] == [NUMBERED[2:]]
    assert frames(tmp_path) == pytest.approx(sum(batched.frames_of(NUMBERED)) - 3 * SEAM, abs=500)


def test_a_device_that_is_lost_within_a_run_makes_the_line_go_on_from_its_segment(batched: Harness) -> None:
    batched.speaker.blocks_left = sum(batched.frames_of(NUMBERED[:3])) // 240
    batched.say(Line("a", " ".join(NUMBERED)))
    eventually(lambda: batched.primary.spoken == NUMBERED, "the run")
    batched.primary.spoken.clear()
    eventually(lambda: batched.player.status().lost, "the loss")
    eventually(lambda: ("a", "interrupted") in batched.events(), "the interruption")
    batched.speaker.plug_in()
    assert batched.await_outcome("a") == "finished"
    # Three segments less their cross-fades: the device went within the first 0.3 s of the fourth.
    assert batched.primary.spoken == NUMBERED[3:]
