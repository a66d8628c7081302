"""Renders beside the lines of a real scheduler: their sound, their turns, their limits and their ends."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.engines import VoiceInfo
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, WorkerDied
from ishowtts.model import IsCancelled, Line, Reason, Rejection, Segment, SoundFormat, Utterance
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.speech import synthesis_thread
from ishowtts.speech.renders import open_render, render_task
from ishowtts.speech.renders.render_service import RenderCounts
from ishowtts.util.samples import resample
from support.render_bench import RenderBench, Requester
from support.speech_harness import RATE_HZ, ToneEngine, tone
from support.waiting import eventually

MakeBench = Callable[..., RenderBench]
SENTENCES = [f"This is sentence number {n}, a segment of its own." for n in range(4)]
TEXT = " ".join(SENTENCES)
SEAMED = VoiceInfo("any", 60, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    with ExitStack() as stack:
        yield lambda **options: RenderBench(tmp_path, stack, **options)


@pytest.fixture
def bench(make_bench: MakeBench) -> RenderBench:
    return make_bench()


def test_a_text_becomes_the_sound_of_a_spoken_line(bench: RenderBench) -> None:
    requester = bench.ask(TEXT)
    end = requester.end()
    assert requester.names == ["queued", "head", "end"]
    assert dict(requester.parts[:2]) == {
        "queued": {"waiting": 0},
        "head": {"format": "pcm", "rate_hz": 24_000, "channels": 1, "engine": "primary", "voice": "any"},
    }
    assert bench.engine.spoken == SENTENCES
    expected = np.concatenate([resample(tone(text), RATE_HZ, 24_000) for text in SENTENCES])
    assert np.allclose(requester.samples(), expected, atol=1)
    assert end["audio_s"] == pytest.approx(len(expected) / 24_000, abs=0.001)
    assert (end["engine"], end["engines"], end["cached"]) == ("primary", ["primary"], False)
    assert end["parts"] == len(requester.sound)
    assert bench.harness.events() == [], "no event tells of it"


class Hold:
    """Holds the engine at its next segment until `release`."""

    def __init__(self, engine: ToneEngine) -> None:
        self.begun: list[str] = []
        self._go = threading.Event()
        synthesize = engine.synthesize

        def held(segment: Segment, cancelled: IsCancelled) -> Utterance:
            self.begun.append(segment.text)
            while not self._go.wait(0.01):
                if cancelled():
                    raise Cancelled
            return synthesize(segment, cancelled)

        engine.synthesize = held  # type: ignore[method-assign]

    def await_segment(self, text: str) -> None:
        eventually(lambda: text in self.begun, f"the synthesis of {text!r}")

    def release(self) -> None:
        self._go.set()


def test_a_render_sounds_as_the_same_line_does(make_bench: MakeBench, tmp_path: Path) -> None:
    """With a cross-fade between two segments of an engine, and a pause before the segment of another one."""
    text, third = " ".join(SENTENCES[:3]), SENTENCES[2]
    bench = make_bench(paced=True, fallback=ToneEngine("espeak"))
    bench.engine.voice = SEAMED
    bench.engine.errors_at = {third: SynthesisError("this text cannot be spoken")}
    bench.harness.say(Line("a", text))
    assert bench.harness.await_outcome("a") == "finished"
    bench.engine.errors_at = {third: SynthesisError("this text cannot be spoken")}
    requester = bench.ask(text)
    end = requester.end()
    heard, _ = soundfile.read(tmp_path / "sound.wav", dtype="int16")
    rendered = requester.samples()
    assert 0 <= len(heard) - len(rendered) <= 240, "the last block that is played is filled up"
    assert np.allclose(rendered, heard[: len(rendered)], atol=1)
    assert end["engines"] == ["primary", "espeak"]
    assert end["audio_s"] == pytest.approx(len(rendered) / 24_000, abs=0.001)


@pytest.mark.parametrize("sound_format", [SoundFormat.OPUS, SoundFormat.MP3])
def test_a_render_comes_in_the_format_that_was_asked_for(bench: RenderBench, sound_format: SoundFormat) -> None:
    requester = bench.ask(TEXT, sound_format=sound_format, is_segment=sound_format is SoundFormat.OPUS)
    end = requester.end()
    sound, rate_hz = soundfile.read(io.BytesIO(b"".join(requester.sound)))
    assert (requester.parts[1][1]["format"], rate_hz) == (sound_format.value, 24_000)
    assert len(sound) / rate_hz == pytest.approx(end["audio_s"], abs=0.1)


@pytest.mark.parametrize("chime", [None, True])
def test_a_render_has_a_chime_only_if_it_asks_for_one(bench: RenderBench, chime: bool | None) -> None:
    sound = np.arange(2000, 2480, dtype=np.int16)
    bench.harness.policy.chime_sound = (sound, 24_000)
    requester = bench.ask(SENTENCES[0], chime=chime)
    requester.end()
    assert np.array_equal(requester.samples()[: len(sound)], sound) is bool(chime)


def test_a_segment_is_the_raw_sound_of_the_engine(make_bench: MakeBench) -> None:
    bench = make_bench(post_processor=PostProcessor(rate_hz=24_000, loudness_lufs=-30.0, peak_dbtp=-1.0))
    bench.harness.policy.read_aloud = lambda _text: "This is not what was sent."
    bench.refused[SENTENCES[0]] = Rejection("a", Reason.FILTERED, "it was read before")
    requester = bench.ask(SENTENCES[0], is_segment=True)
    requester.end()
    assert bench.engine.spoken == SENTENCES[:1]
    assert requester.parts[1][1]["rate_hz"] == RATE_HZ
    assert np.array_equal(requester.samples(), tone(SENTENCES[0]))


def test_what_is_no_request_or_breaks_a_policy_is_refused_in_words(bench: RenderBench) -> None:
    rejection = Rejection("a", Reason.RATE_LIMITED, "too many came; send it again in 5 s")
    bench.refused["shout"] = rejection
    requester, bad = bench.ask("shout"), Requester(99)
    bench.service.offer(rejection, bad)
    for one in (requester, bad):
        assert one.last() == ("error", {"reason": "rate_limited", "detail": rejection.detail})
    assert bench.engine.spoken == []
    assert bench.service.counts() == RenderCounts(0, 0, 0, 0, 0)


def test_clients_take_turns_however_many_renders_each_has(bench: RenderBench) -> None:
    hold = Hold(bench.engine)
    first = bench.ask(" ".join(f"{one} of the first client's." for one in SENTENCES), "a")
    hold.await_segment(f"{SENTENCES[0]}")
    others = [bench.ask(TEXT, "a"), bench.ask(TEXT, "a")]
    late = bench.ask(" ".join(f"Words of a late client, number {n}, here." for n in range(3)), "b")
    eventually(lambda: bench.service.counts().waiting == 3, "the renders that wait")
    hold.release()
    late.end()
    spoken = list(bench.engine.spoken)
    last = max(n for n, text in enumerate(spoken) if "late" in text)
    assert [("late" in text) for text in spoken[1 : last + 1]] == [True, False, True, False, True]
    for one in (first, *others):
        one.end()


def test_a_full_appliance_refuses_and_a_client_with_many_gives_way(make_bench: MakeBench) -> None:
    bench = make_bench(limit=3)
    hold = Hold(bench.engine)
    many = [bench.ask(SENTENCES[n], "a") for n in range(3)]
    hold.await_segment(SENTENCES[0])
    assert bench.ask("one more", "a").error() == "busy"
    newcomer = bench.ask("somebody else's", "b")
    assert many[2].error() == "busy", "the newest of the client with three"
    refused = bench.ask("another", "b")
    assert refused.error() == "busy", "both have one or two now"
    assert "limits.renders" in refused.parts[-1][1]["detail"]
    assert newcomer.parts[0] == ("queued", {"waiting": 2})
    assert bench.service.counts() == RenderCounts(1, 2, 0, 1, 0)
    hold.release()
    for one in (many[0], many[1], newcomer):
        one.end()


def test_a_render_is_cancelled_while_it_waits_and_while_it_is_made(bench: RenderBench) -> None:
    hold = Hold(bench.engine)
    running, waiting, kept = bench.ask(TEXT), bench.ask(SENTENCES[1]), bench.ask(SENTENCES[2], "b")
    hold.await_segment(SENTENCES[0])
    for one in (running, waiting):
        bench.service.cancel(one.key)
        assert one.error() == "cancelled"
    bench.service.cancel(running.key)
    hold.await_segment(SENTENCES[2])
    hold.release()
    kept.end()
    assert bench.engine.spoken == [SENTENCES[2]]
    counts = bench.service.counts()
    assert replace(counts, rtf=()) == RenderCounts(0, 0, 1, 0, 2)
    assert len(counts.rtf) == 1, "only of the one that was sent to its end"


def test_a_requester_that_is_gone_costs_no_more_segments(bench: RenderBench) -> None:
    hold = Hold(bench.engine)
    gone = bench.ask(TEXT)
    hold.await_segment(SENTENCES[0])
    gone.leave()
    eventually(lambda: bench.service.counts().cancelled == 1, "the end of the render")
    hold.release()
    bench.ask(SENTENCES[3]).end()
    assert bench.engine.spoken == [SENTENCES[3]]
    assert gone.names == ["queued"]


def test_a_slow_requester_gets_all_of_it_and_keeps_nobody_waiting(bench: RenderBench) -> None:
    slow = bench.ask(" ".join(f"{text} And so on, {n}." for n, text in enumerate(SENTENCES * 3)), room=1)
    eventually(lambda: slow.sound, "its first part")
    for _ in range(8):
        bench.ask("Quick.", "b").end()
    made_s = sum(len(tone(text)) for text in bench.engine.spoken) / RATE_HZ
    assert made_s < 6.0, "no more is made than two seconds, and the segment that goes beyond"
    while not slow.ended():
        slow.confirm()
    assert len(slow.samples()) == pytest.approx(slow.end()["audio_s"] * 24_000, abs=30)


def test_a_requester_that_takes_nothing_is_given_up(bench: RenderBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_render, "_STALLED_S", 0.2)
    assert bench.ask(TEXT, room=1).error() == "cancelled"


def test_a_line_waits_for_the_running_segment_of_a_render_only(
    bench: RenderBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis_thread, "_LINE_WAITS_S", 60.0)
    hold = Hold(bench.engine)
    renders = [bench.ask(TEXT, client) for client in ("a", "b", "c")]
    hold.await_segment(SENTENCES[0])
    bench.harness.say(Line("line", "The first of the line is this. And this is its end, which comes at once."))
    eventually(lambda: bench.harness.scheduler.current_line is not None, "the line")
    hold.release()
    assert bench.harness.await_outcome("line") == "finished"
    assert bench.engine.spoken[1:3] == ["The first of the line is this.", "And this is its end, which comes at once."]
    for one in renders:
        one.end()


def test_a_render_that_hangs_gives_way_to_a_line_and_is_made_again(bench: RenderBench) -> None:
    bench.engine.endless, hold = {SENTENCES[0]}, Hold(bench.engine)
    hold.release()
    requester = bench.ask(TEXT)
    hold.await_segment(SENTENCES[0])
    bench.harness.say(Line("line", "The line."))
    assert bench.harness.await_outcome("line") == "finished"
    bench.engine.endless = set()
    requester.end()
    assert bench.engine.spoken == ["The line.", *SENTENCES]


def test_a_render_begins_while_a_line_plays_only_if_its_sound_lasts_longer(make_bench: MakeBench) -> None:
    bench = make_bench(paced=True)
    bench.engine.voice, synthesize = replace(SEAMED, cost=0.2), bench.engine.synthesize
    bench.engine.synthesize = lambda *arguments: replace(synthesize(*arguments), synth_s=1.24)  # as the engine says
    bench.harness.say(Line("line", TEXT))
    bench.harness.await_synthesis(SENTENCES[0])
    requester = bench.ask("This was asked for during the line.")
    requester.end()
    assert bench.engine.spoken == [*SENTENCES, "This was asked for during the line."]


def test_a_render_waits_for_an_engine_until_its_time_is_over(bench: RenderBench) -> None:
    bench.engine.ready = False
    late, patient = bench.ask("Too late.", ttl_s=0.2), bench.ask("In time.", "b")
    assert late.error() == "expired"
    assert "it is warming" in late.parts[-1][1]["detail"]
    assert bench.ask("A segment.", is_segment=True).error() == "failed", "its requester has other appliances"
    bench.engine.ready = True
    patient.end()


def test_what_ends_a_worker_is_tried_once_more(bench: RenderBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_task, "_MIN_RETRY_S", 0.02)
    bench.engine.errors = [WorkerDied("the worker was killed")]
    bench.ask("Once.").end()
    bench.engine.errors = [WorkerDied("the worker was killed"), WorkerDied("the worker was killed again")]
    assert bench.ask("Twice.").error() == "failed"


def test_an_engine_that_fails_in_the_middle_ends_a_render_that_nobody_else_can_speak(bench: RenderBench) -> None:
    bench.engine.errors_at = {SENTENCES[1]: EngineUnavailable("it is restarting")}
    requester = bench.ask(TEXT)
    assert requester.error() == "failed"
    assert len(requester.samples()) == pytest.approx(len(tone(SENTENCES[0])) * 24_000 / RATE_HZ, abs=80)
    bench.engine.unusable_voices = {"broken"}
    assert bench.ask(TEXT, voice="broken").error() == "failed"


def test_an_unexpected_fault_ends_one_render(
    bench: RenderBench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_text: str, **_options: object) -> str:
        raise KeyError("as it was meant to")

    bench.harness.policy.read_aloud, reading = fails, bench.harness.policy.read_aloud
    requester = bench.ask("Not readable.")
    assert requester.error() == "failed"
    assert "KeyError" in requester.parts[-1][1]["detail"]
    bench.harness.policy.read_aloud = reading
    with monkeypatch.context() as patch:
        patch.setattr(bench.harness.resources.synthesizer, "begin_render", fails)
        assert bench.ask("Nothing can be made of it.").error() == "failed"
    bench.ask("Readable.").end()
    assert "a render could not be begun" in caplog.text
    assert "a text could not be rendered" in caplog.text


def test_open_renders_are_told_that_the_appliance_stops(bench: RenderBench) -> None:
    hold = Hold(bench.engine)
    renders = [bench.ask(TEXT), bench.ask(TEXT, "b")]
    hold.await_segment(SENTENCES[0])
    bench.service.close(10)
    for one in (*renders, bench.ask(TEXT)):
        assert one.error() == "stopping"
