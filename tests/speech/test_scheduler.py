"""One loop moves lines along, whatever engines and devices do. The lead is espeak-ng, with a worker's faults."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyloudnorm import Meter

from ishowtts.engines import VoiceInfo
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import (
    Cancelled,
    EngineError,
    EngineUnavailable,
    SpeakerError,
    SynthesisError,
    VoiceError,
    WorkerDied,
)
from ishowtts.inbox import Inbox, InboxLimits, read_history, settled
from ishowtts.model import Arrival, IsCancelled, Line, Priority, Report, Samples, Segment, Utterance
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.playback.wav_speaker import WavSpeaker
from ishowtts.speech import FallbackSynthesizer, Scheduler
from ishowtts.util.samples import resample
from support.fake_policy import FakePolicy
from support.waiting import eventually

AS_IT_COMES = PostProcessor(rate_hz=24_000, loudness_lufs=None, peak_dbtp=None)


class Lead:
    """espeak-ng, which dies or is away as many times as it is told."""

    name = "lead"

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.ready = True
        self.before: dict[str, Exception] = {}
        self.spoken: list[str] = []
        self.runs: list[list[str]] = []
        self.batch_faults: list[Exception] = []
        self.holds_batches = False
        self.card = VoiceInfo("any", 60)
        self._espeak = EspeakEngine()
        self._espeak.load(lambda _: None)

    def prepare(self, voice: str | None) -> VoiceInfo:
        return self.card

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        if self.faults:
            raise self.faults.pop(0)
        if fault := self.before.pop(segment.text, None):
            raise fault
        self.spoken.append(segment.text)
        return replace(self._espeak.synthesize(segment, cancelled), engine=self.name)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        self.runs.append([segment.text for segment in segments])
        if self.batch_faults:
            raise self.batch_faults.pop(0)
        while self.holds_batches:
            if cancelled():
                raise Cancelled
            time.sleep(0.01)
        return [self.synthesize(segment, cancelled) for segment in segments]


class Plug(WavSpeaker):
    """A file that can be pulled out in the middle of a word, like a card."""

    pulled = False
    blocks_left: int | None = None

    def open(self, rate_hz: int) -> None:
        if self.pulled:
            raise SpeakerError("the card is not there")
        super().open(rate_hz)

    def write(self, block: Samples) -> None:
        if self.blocks_left is not None:
            self.blocks_left -= 1
            self.pulled = self.pulled or self.blocks_left < 0
        if self.pulled:
            raise SpeakerError("the card was pulled out")
        super().write(block)


class Stage:
    """A conductor with everything that it needs, real but for the faults."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        *,
        paced: bool = False,
        spare: EspeakEngine | None = None,
        pause_s: float = 0.0,
        drops: bool = False,
        limits: InboxLimits | None = None,
        finish: PostProcessor = AS_IT_COMES,
        lead: Lead | None = None,
    ) -> None:
        self.lead = lead or Lead()
        self.plug = Plug(folder / "sound.wav", paced=paced)
        self.reports: list[Report] = []
        self.policy = FakePolicy()
        self.path = folder / "inbox.sqlite"
        self.inbox = Inbox(self.path, limits or InboxLimits(), on_lines=self._wake)
        stack.callback(self.inbox.close)
        self.player = Player(self.plug, on_change=self._wake)
        self.conductor = Scheduler(
            self.inbox,
            FallbackSynthesizer(self.lead, spare, primary_ready=lambda: self.lead.ready),
            self.player,
            self.policy,
            finish,
            available=lambda: True,
            paused=False,
            pause_s=pause_s,
            drops=drops,
            on_change=lambda: None,
            on_report=self.reports.append,
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

    def events(self) -> list[tuple[str, str]]:
        return [(event.id, event.event) for _, event in settled(self.inbox.unsent(100))]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


def test_lines_are_spoken_by_priority_then_age(stage: Stage) -> None:
    stage.conductor.order(lambda: stage.conductor.set_paused(True))
    lines = [Line("a", "one"), Line("b", "two", priority=Priority.LOW), Line("c", "three", priority=Priority.HIGH)]
    stage.say(*lines)
    stage.conductor.order(lambda: stage.conductor.set_paused(False))
    assert stage.await_outcome("b") == "finished"
    assert stage.lead.spoken == ["three", "one", "two"]
    assert [report.engine for report in stage.reports] == ["lead"] * 3


def test_without_a_spare_voice_a_line_waits_for_its_engine(stage: Stage) -> None:
    stage.lead.faults = [EngineUnavailable("it is loading")]
    stage.say(Line("a", "one"))
    assert stage.await_outcome("a") == "finished"


class BrokenSpare(EspeakEngine):
    """An espeak-ng that does not work."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        raise EngineUnavailable("espeak-ng does not work")


def test_a_line_that_the_lead_cannot_speak_fails_alone_while_the_spare_voice_does_not_work(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, spare=BrokenSpare())
        stage.lead.faults = [SynthesisError("this text cannot be spoken") for _ in range(2)]
        stage.say(Line("a", "one"), Line("b", "two"))
        assert stage.await_outcome("a") == "failed"
        assert stage.await_outcome("b") == "finished"
        errors = [entry.data.get("error") for entry in read_history(stage.path, 50) if entry.id == "a"]
        assert errors == ["this text cannot be spoken; espeak-ng does not work"]


def test_a_line_that_only_one_try_of_the_lead_failed_at_is_spoken(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, spare=BrokenSpare())
        stage.lead.faults = [SynthesisError("raised in the middle")]
        stage.say(Line("a", "one"))
        assert stage.await_outcome("a") == "finished"


class Dumb(Lead):
    """A lead that cannot use its default voice, or that fails as a whole."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self.fault: Exception | None = fault
        self.tries_s: list[float] = []

    def prepare(self, voice: str | None) -> VoiceInfo:
        if self.fault is not None:
            self.tries_s.append(time.monotonic())
            raise self.fault
        return super().prepare(voice)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (VoiceError("its clip is damaged"), "the default voice cannot be used: its clip is damaged"),
        (EngineError("the device is lost"), "the device is lost"),
    ],
)
def test_lines_wait_for_an_engine_that_fails_at_each_and_are_tried_less_and_less_often(
    fault: Exception, sentence: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        dumb = Dumb(fault)
        stage = Stage(tmp_path, stack, lead=dumb)
        stage.say(Line("a", "one"), Line("b", "two"))
        eventually(lambda: len(dumb.tries_s) == 3, "the third try")
        assert stage.conductor.sheet.put_back_for == sentence
        first_s, second_s = (after - before for before, after in zip(dumb.tries_s, dumb.tries_s[1:], strict=False))
        assert 0.4 < first_s < second_s
        assert second_s > 0.9
        assert (stage.outcome("a"), stage.outcome("b")) == (None, None)
        dumb.fault = None
        assert stage.await_outcome("a") == "finished"
        assert stage.await_outcome("b") == "finished"
        assert stage.conductor.sheet.put_back_for is None


def test_a_line_whose_own_voice_cannot_be_used_fails_alone(tmp_path: Path) -> None:
    with ExitStack() as stack:
        dumb = Dumb(VoiceError("there is no voice 'nobody'"))
        stage = Stage(tmp_path, stack, lead=dumb)
        stage.say(Line("a", "one", voice="nobody"))
        assert stage.await_outcome("a") == "failed"


@pytest.mark.parametrize(("deaths", "outcome"), [(1, "finished"), (2, "failed")])
def test_a_line_that_kills_two_workers_has_no_third(stage: Stage, deaths: int, outcome: str) -> None:
    stage.lead.faults = [WorkerDied("the worker died") for _ in range(deaths)]
    stage.say(Line("a", "one"), Line("b", "two"))
    assert stage.await_outcome("a") == outcome
    assert stage.await_outcome("b") == "finished"


def test_a_device_pulled_out_makes_the_line_wait_and_go_on_from_its_segment(stage: Stage) -> None:
    sentences = [f"This is sentence number {n}, which is a segment of its own." for n in range(4)]
    stage.say(Line("a", "one"))
    assert stage.await_outcome("a") == "finished"
    stage.plug.blocks_left = 450  # somewhere in the second sentence
    stage.say(Line("b", " ".join(sentences)))
    eventually(lambda: stage.player.status().lost, "the loss")
    eventually(lambda: ("b", "interrupted") in stage.events(), "the interruption")
    assert stage.outcome("b") is None
    stage.plug.blocks_left, stage.plug.pulled = None, False
    assert stage.await_outcome("b") == "finished"
    assert stage.lead.spoken.count(sentences[0]) == 1, "what was heard is not said again"
    assert set(sentences) <= set(stage.lead.spoken)


@pytest.mark.parametrize("fault", [EngineUnavailable("it is loading"), WorkerDied("the worker died")])
def test_what_was_made_before_an_engine_went_is_heard_to_its_end_and_once(tmp_path: Path, fault: Exception) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True)
        stage.lead.card = VoiceInfo("any", 20)
        parts = ["Here it begins.", "There it ends."]
        stage.lead.before = {parts[1]: fault}
        stage.say(Line("a", " ".join(parts)))
        assert stage.await_outcome("a") == "finished"
        assert stage.lead.spoken == parts
        heard = soundfile.info(tmp_path / "sound.wav").frames
        assert heard == pytest.approx(sum(pieces(stage, parts)), abs=480)


def test_closing_puts_the_line_back_and_counts_no_attempt(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True)
        stage.say(Line("a", "one two three four five six seven eight nine ten"))
        eventually(lambda: ("a", "started") in stage.events(), "the first sound")
        stage.conductor.close(10)
        taken = settled(stage.inbox.take().future)
        assert taken is not None
        assert (taken.line.id, taken.attempts) == ("a", 1)


SENTENCES = [f"This is sentence number {n}, a segment of its own." for n in range(4)]
SEAMED = VoiceInfo("any", 60, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)


def pieces(stage: Stage, texts: list[str]) -> list[int]:
    """How many samples each of these texts takes at the device's rate, as it is played."""
    rates = [stage.lead.synthesize(Segment("line", 0, 1, one), lambda: False) for one in texts]
    return [len(resample(one.samples, one.rate_hz, stage.player.rate_hz)) for one in rates]


def test_segments_are_cross_faded_and_the_report_tells_what_was_heard(tmp_path: Path) -> None:
    sentences = SENTENCES[:2]
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True)
        stage.lead.card = SEAMED
        stage.say(Line("a", " ".join(sentences)))
        assert stage.await_outcome("a") == "finished"
        assert stage.lead.spoken == sentences
        (report,) = stage.reports
        # The last block is filled up with zeros.
        heard_s = soundfile.info(tmp_path / "sound.wav").frames / 24_000
        assert heard_s - 0.01 <= report.audio_s <= heard_s
        assert sum(pieces(stage, sentences)) / 24_000 - report.audio_s == pytest.approx(0.15, abs=0.001)


def test_between_two_engines_there_is_no_seam(tmp_path: Path) -> None:
    spare = EspeakEngine()
    spare.load(lambda _: None)
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, spare=spare)
        stage.lead.card = SEAMED
        stage.conductor.order(lambda: stage.conductor.set_paused(True))
        stage.lead.faults = [SynthesisError("this text cannot be spoken")]
        stage.say(Line("a", " ".join(SENTENCES)))
        stage.conductor.order(lambda: stage.conductor.set_paused(False))
        assert stage.await_outcome("a") == "finished"
        (report,) = stage.reports
        assert report.audio_s * 24_000 == pytest.approx(sum(pieces(stage, SENTENCES)), abs=10)


def test_a_line_begins_with_a_short_segment_once_its_engines_cost_is_known(stage: Stage) -> None:
    stage.lead.card = replace(SEAMED, max_segment_bytes=400)
    line = "Well, here it begins at last. " + " ".join(SENTENCES)
    stage.say(Line("a", line))
    assert stage.await_outcome("a") == "finished"
    assert stage.lead.spoken == [line], "nothing is known yet"
    stage.lead.card = replace(stage.lead.card, cost=0.12)
    stage.lead.spoken.clear()
    stage.say(Line("b", line))
    assert stage.await_outcome("b") == "finished"
    assert len(stage.lead.spoken) == 2


def test_below_the_least_priority_lines_wait_until_it_falls(stage: Stage) -> None:
    stage.policy.lowest = Priority.HIGH
    stage.say(Line("a", "one"), Line("b", "two", priority=Priority.HIGH))
    assert stage.await_outcome("b") == "finished"
    assert stage.outcome("a") is None
    stage.policy.lowest = Priority.LOW
    assert stage.await_outcome("a") == "finished"


def test_an_order_is_placed_anew_when_the_least_priority_rises(stage: Stage) -> None:
    stage.say(Line("a", "one"))
    assert stage.await_outcome("a") == "finished"
    stage.policy.lowest = Priority.HIGH
    stage.conductor.wake()
    eventually(lambda: stage.conductor._turns._ordered[0] is Priority.HIGH, "the new order")
    stage.say(Line("b", "two"), Line("c", "three", priority=Priority.HIGH))
    assert stage.await_outcome("c") == "finished"
    assert stage.outcome("b") is None


def test_a_quieter_house_is_told_in_the_event(stage: Stage) -> None:
    stage.policy.quiet_volume = 30
    stage.say(Line("a", "one", volume=80))
    assert stage.await_outcome("a") == "finished"
    [started] = [event for _, event in settled(stage.inbox.unsent()) if event.event == "started"]
    assert started.data["volume"] == 30


def test_a_line_that_goes_on_keeps_the_words_that_it_was_read_in(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True)
        stage.policy.read_aloud = lambda text: text.replace("a segment", "one segment")
        stage.say(Line("a", " ".join(SENTENCES[:3])))
        eventually(lambda: len(stage.lead.spoken) == 3, "the third segment")
        stage.policy.read_aloud = lambda text: text.upper()
        stage.say(Line("u", "four", priority=Priority.URGENT))
        assert stage.await_outcome("a") == "finished"
        assert stage.lead.spoken.count("FOUR") == 1
        assert stage.lead.spoken[-1] == "This is sentence number 2, one segment of its own."


def test_a_command_that_comes_with_a_line_finds_it_in_the_queue_or_on_the_air(stage: Stage) -> None:
    """Between the two no line can be overlooked."""
    for n in range(30):
        cancelled: list[int] = []

        def stop(cancelled: list[int] = cancelled) -> None:
            current = stage.conductor.cancel_current("stop")
            waiting = stage.inbox.cancel_waiting("stop")
            waiting.add_done_callback(lambda done: cancelled.append(done.result() + (current is not None)))

        accepted = stage.inbox.accept([Arrival(Line(f"{n}", "one two three"))])
        if n % 2:
            settled(accepted)
        stage.conductor.order(stop)
        eventually(lambda cancelled=cancelled: cancelled, "the command")
        assert stage.await_outcome(f"{n}") == "cancelled"


LONG = "one two three four five six seven eight nine ten"


@pytest.fixture
def paced(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(tmp_path, stack, paced=True)


def rehearsed(stage: Stage, text: str) -> None:
    eventually(lambda: text in stage.lead.spoken, "the rehearsal")


def test_the_next_line_is_synthesised_while_this_one_plays_and_waits_on(paced: Stage) -> None:
    paced.say(Line("a", LONG), Line("b", "two"))
    rehearsed(paced, "two")
    assert paced.outcome("a") is None
    assert paced.inbox.depth() == 1
    assert ("b", "started") not in paced.events()
    assert paced.await_outcome("b") == "finished"
    assert paced.lead.spoken == [LONG, "two"]
    assert paced.reports[1].ttfa_s < paced.reports[1].audio_s


def test_a_line_that_comes_while_another_plays_is_rehearsed_too(paced: Stage) -> None:
    paced.say(Line("a", LONG))
    rehearsed(paced, LONG)
    paced.say(Line("b", "two"))
    rehearsed(paced, "two")
    assert paced.outcome("a") is None
    assert paced.await_outcome("b") == "finished"
    assert paced.lead.spoken == [LONG, "two"]


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.URGENT])
def test_a_line_of_more_weight_goes_before_the_one_that_was_rehearsed(paced: Stage, priority: Priority) -> None:
    paced.say(Line("a", LONG), Line("b", "two"))
    rehearsed(paced, "two")
    paced.say(Line("c", "three", priority=priority))
    assert paced.await_outcome("b") == "finished"
    ended = [line_id for line_id, event in paced.events() if event == "finished"]
    assert ended == (["a", "c", "b"] if priority is Priority.HIGH else ["c", "a", "b"])


def test_a_rehearsed_line_can_be_cancelled_and_the_next_one_is_spoken(paced: Stage) -> None:
    paced.say(Line("a", LONG), Line("b", "two"), Line("c", "three"))
    rehearsed(paced, "two")
    assert settled(paced.inbox.cancel_waiting("cancel", "b")) == 1
    assert paced.await_outcome("c") == "finished"
    assert paced.outcome("b") == "cancelled"
    assert len(paced.reports) == 2


def test_a_line_that_was_merged_since_its_rehearsal_is_made_anew(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True, limits=InboxLimits(merge_s=60))
        stage.policy.read_aloud = lambda text: text
        stage.say(Line("a", LONG), Line("b", "two"))
        rehearsed(stage, "two")
        stage.say(Line("c", "two"))
        assert stage.await_outcome("b") == "finished"
        assert stage.lead.spoken == [LONG, "two", "two"]


def test_what_goes_wrong_in_a_rehearsal_costs_the_line_nothing(paced: Stage) -> None:
    paced.say(Line("a", LONG))
    rehearsed(paced, LONG)
    paced.lead.faults = [WorkerDied("the worker died")]
    paced.say(Line("b", "two"))
    eventually(lambda: not paced.lead.faults, "the rehearsal")
    assert paced.outcome("a") is None
    assert paced.await_outcome("b") == "finished"
    assert paced.lead.spoken == [LONG, "two"]


@pytest.mark.parametrize(
    ("fault", "ready", "engine"),
    [
        (EngineUnavailable("it is loading"), True, "lead"),
        (EngineUnavailable("it is loading"), False, "espeak"),
        (WorkerDied("this text kills"), True, "espeak"),
    ],
)
def test_what_the_spare_voice_rehearsed_is_made_anew_once_the_lead_is_back(
    tmp_path: Path, fault: Exception, ready: bool, engine: str
) -> None:
    spare = EspeakEngine()
    spare.load(lambda _: None)
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True, spare=spare)
        stage.say(Line("a", LONG))
        rehearsed(stage, LONG)
        stage.lead.faults, stage.lead.ready = [fault], ready
        stage.say(Line("b", "two"))
        eventually(lambda: not stage.lead.faults, "the rehearsal")
        assert stage.outcome("a") is None
        assert stage.await_outcome("b") == "finished"
        assert stage.reports[1].engine == engine


def test_between_two_lines_there_is_a_pause_but_not_before_an_urgent_one(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, pause_s=30.0)
        stage.say(Line("a", "one"), Line("b", "two"))
        assert stage.await_outcome("a") == "finished"
        stage.say(Line("u", "three", priority=Priority.URGENT))
        assert stage.await_outcome("u") == "finished"
        rehearsed(stage, "two")
        assert stage.outcome("b") is None


def test_after_the_pause_the_next_line_is_spoken(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, pause_s=0.3)
        stage.say(Line("a", "one"), Line("b", "two"))
        assert stage.await_outcome("b") == "finished"
        at = {name: event.ts for _, event in settled(stage.inbox.unsent(100)) if (name := f"{event.event} {event.id}")}
        gap = datetime.fromisoformat(at["started b"][:-1]) - datetime.fromisoformat(at["finished a"][:-1])
        assert gap.total_seconds() >= 0.29


def test_where_a_lost_device_drops_lines_each_fails_in_words_until_it_is_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True, drops=True)
        stage.plug.blocks_left = 5
        stage.say(Line("a", LONG), Line("b", "two"))
        assert stage.await_outcome("b") == "failed"
        assert stage.outcome("a") == "failed"
        told = {
            event.id: event.data["error"] for _, event in settled(stage.inbox.unsent(100)) if event.event == "failed"
        }
        assert "pulled out" in told["a"]
        stage.plug.blocks_left, stage.plug.pulled = None, False
        eventually(lambda: stage.player.status().lost is None, "the return")
        stage.say(Line("c", "three"))
        assert stage.await_outcome("c") == "finished"


def test_a_chime_is_heard_before_a_line_and_is_no_part_of_its_speech(stage: Stage, tmp_path: Path) -> None:
    bell = np.arange(2000, 2480, dtype=np.int16)
    stage.policy.chime_sound = (bell, 24_000)
    stage.say(Line("a", " ".join(SENTENCES[:2])))
    assert stage.await_outcome("a") == "finished"
    heard, _ = soundfile.read(tmp_path / "sound.wav", dtype="int16")
    assert np.array_equal(heard[: len(bell)], bell)
    assert not any(np.array_equal(heard[at : at + len(bell)], bell) for at in np.flatnonzero(heard == bell[0])[1:])
    (report,) = stage.reports
    assert report.audio_s * 24_000 == pytest.approx(sum(pieces(stage, SENTENCES[:2])), abs=10)


def test_a_line_that_goes_on_after_an_interruption_is_not_announced_again(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True)
        bell = np.arange(2000, 2480, dtype=np.int16)
        stage.policy.chime_sound = (bell, 24_000)
        stage.say(Line("a", LONG))
        eventually(lambda: ("a", "started") in stage.events(), "the first sound")
        eventually(lambda: soundfile.info(tmp_path / "sound.wav").frames > len(bell), "the bell")
        stage.policy.chime_sound = None
        stage.say(Line("u", "four", priority=Priority.URGENT))
        assert stage.await_outcome("u") == "finished"
        stage.policy.chime_sound = (bell, 24_000)
        assert stage.await_outcome("a") == "finished"
        heard, _ = soundfile.read(tmp_path / "sound.wav", dtype="int16")
        rung = [at for at in np.flatnonzero(heard == bell[0]) if np.array_equal(heard[at : at + 400], bell[:400])]
        assert len(rung) == 1


def test_every_line_is_finished_as_the_house_has_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, finish=PostProcessor(rate_hz=24_000, loudness_lufs=-30.0, peak_dbtp=-1.0))
        stage.say(Line("a", LONG))
        assert stage.await_outcome("a") == "finished"
        heard, rate_hz = soundfile.read(tmp_path / "sound.wav")
        assert Meter(rate_hz).integrated_loudness(heard) == pytest.approx(-30.0, abs=1.0)


NUMBERED = [f"Here you hear number {name}, as it is." for name in ("one", "two", "three", "four", "five")]
BATCHED = VoiceInfo("any", 50, reference_s=1.0, bytes_per_s=15.0, seam_s=0.15, cost=0.001, batch_s=600.0)


@pytest.fixture
def batched(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        stage = Stage(tmp_path, stack, paced=True)
        stage.lead.card = BATCHED
        yield stage


def frames(folder: Path) -> int:
    return int(soundfile.info(folder / "sound.wav").frames)


def test_several_segments_of_one_run_are_heard_in_order_with_their_seams(batched: Stage, tmp_path: Path) -> None:
    batched.say(Line("a", " ".join(NUMBERED)))
    assert batched.await_outcome("a") == "finished"
    assert batched.lead.spoken == NUMBERED
    assert batched.lead.runs == [NUMBERED[1:]], "never the first, for that is waited for"
    (report,) = batched.reports
    lengths = pieces(batched, NUMBERED)
    assert frames(tmp_path) / 24_000 == pytest.approx(report.audio_s, abs=0.011)
    assert sum(lengths) / 24_000 - report.audio_s == pytest.approx(4 * 0.15, abs=0.002)


def test_what_is_heard_must_cover_a_batch(batched: Stage) -> None:
    batched.lead.card = replace(BATCHED, cost=2.2)  # 20 s for two; a sentence sounds for less than three
    batched.say(Line("a", " ".join(NUMBERED[:3])))
    assert batched.await_outcome("a") == "finished"
    assert batched.lead.spoken == NUMBERED[:3]
    assert batched.lead.runs == []


def test_a_line_that_is_rehearsed_has_one_segment_made(batched: Stage) -> None:
    batched.say(Line("a", LONG), Line("b", " ".join(NUMBERED)))
    rehearsed(batched, NUMBERED[0])
    assert batched.lead.runs == []
    assert batched.await_outcome("b") == "finished"
    assert batched.lead.spoken == [LONG, *NUMBERED]


def test_who_is_interrupted_in_the_middle_of_a_batch_goes_on_from_the_segment_that_was_cut(
    batched: Stage, tmp_path: Path
) -> None:
    three_begins = sum(pieces(batched, NUMBERED[:2]))
    batched.lead.spoken.clear()
    batched.say(Line("a", " ".join(NUMBERED)))
    eventually(lambda: batched.lead.spoken == NUMBERED, "the batch")
    batched.lead.spoken.clear()
    eventually(lambda: frames(tmp_path) > three_begins + 4000, "the third segment")
    batched.say(Line("u", "stop", priority=Priority.URGENT))
    assert batched.await_outcome("u") == "finished"
    assert batched.await_outcome("a") == "finished"
    assert [one for one in batched.lead.spoken if one != "stop"] == NUMBERED[2:]


def test_an_urgent_line_has_a_batch_cancelled_and_nothing_of_it_is_lost(batched: Stage, tmp_path: Path) -> None:
    batched.lead.holds_batches = True
    batched.say(Line("a", " ".join(NUMBERED)))
    eventually(lambda: batched.lead.runs, "the batch")
    batched.say(Line("u", "stop", priority=Priority.URGENT))
    assert batched.await_outcome("u") == "finished"
    assert batched.outcome("a") is None
    batched.lead.holds_batches = False
    assert batched.await_outcome("a") == "finished"
    assert batched.lead.spoken[-4:] == NUMBERED[1:]
    heard_once = sum(pieces(batched, NUMBERED)) - 4 * 3600
    assert frames(tmp_path) >= heard_once


@pytest.mark.parametrize("fault", [EngineUnavailable("it is loading"), WorkerDied("the worker died")])
def test_a_batch_that_ends_with_its_worker_is_made_anew_once_what_was_made_before_was_heard(
    batched: Stage, tmp_path: Path, fault: Exception
) -> None:
    batched.lead.batch_faults = [fault]
    batched.say(Line("a", " ".join(NUMBERED)))
    assert batched.await_outcome("a") == "finished"
    assert batched.lead.spoken == NUMBERED, "what was heard is not said again, and nothing is left out"
    assert batched.lead.runs[0] == NUMBERED[1:]
    # The second one is the first of what goes on: no seam before it, and it is made alone.
    assert batched.lead.runs[1:] == [NUMBERED[2:]]
    assert frames(tmp_path) == pytest.approx(sum(pieces(batched, NUMBERED)) - 3 * 3600, abs=500)


def test_a_device_that_goes_in_the_middle_of_a_batch_makes_the_line_go_on_from_its_segment(batched: Stage) -> None:
    blocks = sum(pieces(batched, NUMBERED[:3])) // 240
    batched.lead.spoken.clear()
    batched.plug.blocks_left = blocks
    batched.say(Line("a", " ".join(NUMBERED)))
    eventually(lambda: batched.lead.spoken == NUMBERED, "the batch")
    batched.lead.spoken.clear()
    eventually(lambda: batched.player.status().lost, "the loss")
    eventually(lambda: ("a", "interrupted") in batched.events(), "the interruption")
    batched.plug.blocks_left, batched.plug.pulled = None, False
    assert batched.await_outcome("a") == "finished"
    # Three pieces less their seams: it went within the first 0.3 s of the fourth.
    assert batched.lead.spoken == NUMBERED[3:]
