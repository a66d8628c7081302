"""What becomes of the current line when its engine or the device fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from ishowtts.engines import VoiceInfo
from ishowtts.errors import EngineUnavailable, SynthesisError, WorkerDied
from ishowtts.inbox import read_history, wait_for
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from support.speech_harness import Harness, ToneEngine
from support.waiting import eventually

MakeHarness = Callable[..., Harness]


class BrokenFallback(ToneEngine):
    """A fallback engine that does not work."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        raise EngineUnavailable("espeak-ng does not work")


def test_without_a_fallback_a_line_waits_for_its_engine(harness: Harness) -> None:
    harness.primary.errors = [EngineUnavailable("it is loading")]
    harness.say(Line("a", "one"))
    assert harness.await_outcome("a") == "finished"


def test_a_line_that_the_primary_cannot_speak_fails_alone_if_the_fallback_is_broken(make_harness: MakeHarness) -> None:
    harness = make_harness(fallback=BrokenFallback("espeak"))
    harness.primary.errors = [SynthesisError("this text cannot be spoken") for _ in range(2)]
    harness.say(Line("a", "one"), Line("b", "two"))
    assert harness.await_outcome("a") == "failed"
    assert harness.await_outcome("b") == "finished"
    errors = [entry.data.get("error") for entry in read_history(harness.path, 50) if entry.id == "a"]
    assert errors == ["this text cannot be spoken; espeak-ng does not work"]


def test_a_line_at_which_the_primary_failed_once_is_spoken_at_the_second_try(make_harness: MakeHarness) -> None:
    harness = make_harness(fallback=BrokenFallback("espeak"))
    harness.primary.errors = [SynthesisError("raised in the middle")]
    harness.say(Line("a", "one"))
    assert harness.await_outcome("a") == "finished"


def test_a_line_fails_alone_if_the_voice_that_it_names_cannot_be_used(harness: Harness) -> None:
    harness.primary.unusable_voices = {"nobody"}
    harness.say(Line("a", "one", voice="nobody"))
    assert harness.await_outcome("a") == "failed"


@pytest.mark.parametrize(("deaths", "outcome"), [(1, "finished"), (2, "failed")])
def test_a_line_that_kills_two_workers_gets_no_third(harness: Harness, deaths: int, outcome: str) -> None:
    harness.primary.errors = [WorkerDied("the worker died") for _ in range(deaths)]
    harness.say(Line("a", "one"), Line("b", "two"))
    assert harness.await_outcome("a") == outcome
    assert harness.await_outcome("b") == "finished"


def test_after_a_lost_device_the_line_goes_on_from_its_segment(harness: Harness) -> None:
    sentences = [f"This is sentence number {n}, which is a segment of its own." for n in range(4)]
    first, second = harness.frames_of(sentences[:2])
    harness.say(Line("a", "one"))
    assert harness.await_outcome("a") == "finished"
    harness.speaker.blocks_left = (first + second // 2) // 240
    harness.say(Line("b", " ".join(sentences)))
    eventually(lambda: harness.player.status().lost, "the loss")
    eventually(lambda: ("b", "interrupted") in harness.events(), "the interruption")
    assert harness.outcome("b") is None
    harness.speaker.plug_in()
    assert harness.await_outcome("b") == "finished"
    assert harness.primary.spoken.count(sentences[0]) == 1, "what was heard is not said again"
    assert set(sentences) <= set(harness.primary.spoken)


@pytest.mark.parametrize("error", [EngineUnavailable("it is loading"), WorkerDied("the worker died")])
def test_segments_made_before_an_engine_failed_are_heard_to_their_end_and_once(
    paced: Harness, tmp_path: Path, error: Exception
) -> None:
    paced.primary.voice = VoiceInfo("any", 20)
    parts = ["Here it begins.", "There it ends."]
    paced.primary.errors_at = {parts[1]: error}
    paced.say(Line("a", " ".join(parts)))
    assert paced.await_outcome("a") == "finished"
    assert paced.primary.spoken == parts
    heard = soundfile.info(tmp_path / "sound.wav").frames
    assert heard == pytest.approx(sum(paced.frames_of(parts)), abs=480)


def test_the_started_event_names_the_volume_that_a_policy_set(harness: Harness) -> None:
    harness.policy.quiet_volume = 30
    harness.say(Line("a", "one", volume=80))
    assert harness.await_outcome("a") == "finished"
    [started] = [event for _, event in wait_for(harness.inbox.unsent()) if event.event == "started"]
    assert started.data["volume"] == 30
