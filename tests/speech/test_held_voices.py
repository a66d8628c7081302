"""A line that waits for a voice, or for the fallback voice, lets the lines in other voices pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ishowtts.engines import VoiceInfo
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import EngineUnavailable, VoiceError
from ishowtts.inbox import Inbox, InboxLimits, read_history, settled
from ishowtts.model import Arrival, IsCancelled, Line, Priority, Segment, Utterance
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.playback.wav_speaker import WavSpeaker
from ishowtts.speech import FallbackSynthesizer, Scheduler, held_voices
from ishowtts.speech.held_voices import HeldVoices
from support.fake_policy import FakePolicy
from support.waiting import eventually


class Picky:
    """espeak-ng as a leading engine that cannot use some voices."""

    name = "lead"

    def __init__(self) -> None:
        self.broken: set[str | None] = {"broken"}
        self.tried: list[str | None] = []
        self.tried_s: list[float] = []
        self._espeak = EspeakEngine()
        self._espeak.load(lambda _: None)

    def prepare(self, voice: str | None) -> VoiceInfo:
        self.tried.append(voice)
        self.tried_s.append(time.monotonic())
        if voice in self.broken:
            raise VoiceError(f"the voice {voice!r} holds nothing")
        return VoiceInfo("any", 60)

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        return replace(self._espeak.synthesize(segment, cancelled), engine=self.name)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        return [self.synthesize(segment, cancelled) for segment in segments]


class Spare(EspeakEngine):
    """espeak-ng as the fallback voice, which works once `repaired`."""

    def __init__(self) -> None:
        super().__init__()
        self.repaired = False
        self.runs = 0
        self.trouble = None

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        self.runs += 1
        if not self.repaired:
            self.trouble = "espeak-ng does not work"
            raise EngineUnavailable(self.trouble)
        return super().synthesize(segment, cancelled)


class Stage:
    """A conductor over a real inbox, and a leading engine that cannot use every voice."""

    def __init__(self, folder: Path, stack: ExitStack, spare: Spare | None) -> None:
        self.lead = Picky()
        self.path = folder / "inbox.sqlite"
        self.inbox = Inbox(self.path, InboxLimits(), on_lines=self._wake)
        stack.callback(self.inbox.close)
        self.player = Player(WavSpeaker(folder / "sound.wav", paced=False), on_change=self._wake)
        trouble: Callable[[], str | None] = (lambda: None) if spare is None else (lambda: spare.trouble)
        self.conductor = Scheduler(
            self.inbox,
            FallbackSynthesizer(self.lead, spare, fallback_trouble=trouble),
            self.player,
            FakePolicy(),
            PostProcessor(rate_hz=24_000, loudness_lufs=None, peak_dbtp=None),
            available=lambda: True,
            paused=False,
            on_change=lambda: None,
            on_report=lambda _: None,
        )
        self.player.start()
        stack.callback(self.player.close, 10)
        self.conductor.start()
        stack.callback(self.conductor.close, 10)

    def _wake(self) -> None:
        self.conductor.wake()

    def say(self, *lines: Line) -> None:
        settled(self.inbox.accept([Arrival(line) for line in lines]))

    def outcome(self, line_id: str) -> str | None:
        return next((e.outcome.value for e in read_history(self.path, 50) if e.id == line_id and e.outcome), None)

    def await_outcome(self, line_id: str) -> str | None:
        eventually(lambda: self.outcome(line_id), f"the outcome of {line_id}")
        return self.outcome(line_id)


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[[Spare | None], Stage]]:
    with ExitStack() as stack:
        yield lambda spare: Stage(tmp_path, stack, spare)


MakeStage = Callable[[Spare | None], Stage]


def test_lines_in_a_voice_that_cannot_be_used_wait_for_the_fallback_voice_and_the_others_pass(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """espeak-ng is broken for a while: nothing is failed, and nobody waits for the lines in the broken voice."""
    monkeypatch.setattr(held_voices, "_FIRST_REST_S", 60.0)  # so that no try of its own hides what is tested
    spare = Spare()
    stage = make_stage(spare)
    bad = [f"bad-{n}" for n in range(4)]
    stage.say(*(Line(name, name, voice="broken") for name in bad), Line("urgent", "now", "broken", Priority.URGENT))
    stage.say(Line("good", "one"), Line("better", "two", voice="anna"))
    assert stage.await_outcome("good") == "finished"
    assert stage.await_outcome("better") == "finished"
    assert [stage.outcome(name) for name in (*bad, "urgent")] == [None] * 5
    assert stage.inbox.depth() == 5
    assert stage.lead.tried.count("broken") == 1, "one line was tried for all"
    why = "the voice 'broken' holds nothing; espeak-ng does not work"
    eventually(lambda: why.endswith(str(stage.conductor.sheet.put_back_for)), "the reason in the state")
    spare.repaired, spare.trouble = True, None
    stage.conductor.wake()
    assert [stage.await_outcome(name) for name in ("urgent", *bad)] == ["finished"] * 5
    eventually(lambda: stage.conductor.sheet.put_back_for is None, "no reason")
    order = [entry.id for entry in reversed(read_history(stage.path, 50)) if entry.id in bad]
    assert order == bad


def test_a_fallback_voice_that_is_known_to_be_broken_is_not_run_for_such_a_line(make_stage: MakeStage) -> None:
    """An espeak-ng that hangs takes 10 s for each run, in which no other line could be made."""
    spare = Spare()
    spare.trouble = "espeak-ng does not work (it hangs)"
    stage = make_stage(spare)
    stage.say(Line("a", "one", voice="broken"), Line("b", "two"))
    assert stage.await_outcome("b") == "finished"
    assert (spare.runs, stage.outcome("a")) == (0, None)
    assert stage.conductor.sheet.put_back_for == "the voice 'broken' holds nothing; espeak-ng does not work (it hangs)"


def test_lines_that_name_no_voice_wait_alone_for_the_default_voice_without_a_fallback(make_stage: MakeStage) -> None:
    stage = make_stage(None)
    stage.lead.broken = {None}
    stage.say(Line("a", "one"), Line("urgent", "now", priority=Priority.URGENT))
    stage.say(Line("b", "two", voice="anna"), Line("c", "three", voice="anna"), Line("short", "four", ttl_s=0.2))
    assert [stage.await_outcome(name) for name in ("b", "c", "short")] == ["finished", "finished", "expired"]
    assert (stage.outcome("a"), stage.outcome("urgent")) == (None, None)
    stage.lead.broken = set()
    stage.conductor.voices_changed()
    assert [stage.await_outcome(name) for name in ("urgent", "a")] == ["finished"] * 2


def test_a_held_voice_is_tried_again_by_itself_and_a_cancelled_line_is_forgotten(make_stage: MakeStage) -> None:
    stage = make_stage(None)
    stage.lead.broken = {None}
    stage.say(Line("a", "one"), Line("b", "two"))
    eventually(lambda: len(stage.lead.tried) >= 2, "the second try")
    assert settled(stage.inbox.cancel_waiting("cancel", "a")) in (0, 1)
    stage.lead.broken = set()
    assert stage.await_outcome("b") == "finished"
    settled(stage.inbox.cancel_waiting("stop"))
    eventually(lambda: stage.conductor.sheet.put_back_for is None, "no reason")


def test_a_line_that_waits_alone_is_tried_less_and_less_often(make_stage: MakeStage) -> None:
    stage = make_stage(None)
    stage.lead.broken = {None}
    stage.say(Line("a", "one"))
    eventually(lambda: len(stage.lead.tried_s) == 4, "the fourth try")
    assert stage.conductor.sheet.put_back_for
    rests_s = [after - before for before, after in pairwise(stage.lead.tried_s)]
    assert all(rest_s > least_s for rest_s, least_s in zip(rests_s, (0.4, 0.9, 1.9), strict=True)), rests_s


def test_a_pause_holds_lines_that_pass_too(make_stage: MakeStage) -> None:
    stage = make_stage(None)
    stage.lead.broken = {None}
    stage.say(Line("a", "one"))
    eventually(lambda: stage.conductor.sheet.put_back_for, "the reason")
    stage.conductor.order(lambda: stage.conductor.set_paused(True))
    stage.say(Line("b", "two", voice="anna"))
    eventually(lambda: stage.conductor.sheet.paused, "the pause")
    assert stage.outcome("b") is None
    stage.conductor.order(lambda: stage.conductor.set_paused(False))
    assert stage.await_outcome("b") == "finished"


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(held_voices.time, "monotonic", lambda: now[0])
    return now


def test_one_voice_at_a_time_is_tried_less_and_less_often(now_s: list[float]) -> None:
    held = HeldVoices(lambda: True)
    assert held.hold("a", "why")
    assert held.hold("b", "why")
    tries_s = []
    for _ in range(1000):
        now_s[0] += 0.1
        held.try_next()
        for voice in {"a", "b"} - held.now():
            tries_s.append(now_s[0])
            assert not held.hold(voice, "why"), "it is no news"
        assert held.why == "why"
    rests_s = [round(after - before) for before, after in pairwise(tries_s)]
    assert rests_s == sorted(rests_s)
    assert rests_s[-1] == 8


def test_a_voice_whose_lines_have_gone_is_forgotten(now_s: list[float]) -> None:
    held = HeldVoices(lambda: True)
    held.hold("a", "why")
    now_s[0] += 10
    held.try_next()
    assert (held.now(), held.why) == (frozenset(), "why")
    now_s[0] += 10
    held.try_next()
    assert held.why is None
    held.hold("a", "why")
    held.forget_if_old()
    assert held.why == "why", "the line that was put back is perhaps not counted yet"
    now_s[0] += 2
    held.forget_if_old()
    assert held.why is None


def test_all_voices_are_tried_once_the_fallback_voice_works_again(now_s: list[float]) -> None:
    works = False
    held = HeldVoices(lambda: works)
    held.hold("a", "why")
    held.hold(None, "why")
    assert held.now() == {"a", None}
    works = True
    assert held.now() == frozenset()
