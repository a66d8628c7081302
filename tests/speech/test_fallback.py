"""The fallback rule, on real engines: an F5 that is away, and espeak-ng."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ishowtts.engines import VoiceInfo
from ishowtts.engines.build import UnavailableEngine
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, VoiceError, WorkerDied
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from ishowtts.speech.fallback import FallbackSynthesizer

SEGMENT = Segment("line", 0, 1, "hello")


@pytest.fixture
def espeak() -> EspeakEngine:
    engine = EspeakEngine()
    engine.load(lambda _: None)
    return engine


def test_the_lead_speaks_where_it_can(espeak: EspeakEngine) -> None:
    part = FallbackSynthesizer(espeak, None).begin_line()
    assert part.synthesize(SEGMENT, lambda: False).engine == "espeak"
    assert part.fallback_reason is None


def test_the_spare_voice_speaks_while_the_lead_is_away(espeak: EspeakEngine) -> None:
    part = FallbackSynthesizer(UnavailableEngine("no weights"), espeak).begin_line()
    assert part.split(Line("line", "hello"), "hello") == ["hello"]
    assert part.engine == "espeak"
    assert part.synthesize(SEGMENT, lambda: False).engine == "espeak"
    assert part.fallback_reason == "no weights"


def test_a_line_that_fell_back_stays_with_the_spare_voice(espeak: EspeakEngine) -> None:
    part = FallbackSynthesizer(UnavailableEngine("no weights"), espeak).begin_line()
    part.synthesize(SEGMENT, lambda: False)
    assert part.engine == "espeak"
    assert FallbackSynthesizer(UnavailableEngine("no weights"), espeak).begin_line().engine == "f5", (
        "the next line asks the lead again"
    )


def test_without_a_spare_voice_the_line_waits() -> None:
    part = FallbackSynthesizer(UnavailableEngine("no weights"), None).begin_line()
    with pytest.raises(EngineUnavailable, match="no weights"):
        part.split(Line("line", "hello"), "hello")


def test_what_the_spare_voice_cannot_speak_fails_the_line(
    espeak: EspeakEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    part = FallbackSynthesizer(UnavailableEngine("no weights"), espeak).begin_line()
    with pytest.raises((SynthesisError, Exception), match="espeak-ng"):
        part.synthesize(SEGMENT, lambda: False)


WHOLE = "Well, here it begins at last. And it goes on, for it has a lot to say. Then it ends. Or not yet, who knows?"


class Cloned:
    """espeak-ng with the card of a voice whose every segment pays for a clip."""

    name = "lead"

    def __init__(self, espeak: EspeakEngine, card: VoiceInfo) -> None:
        self._espeak = espeak
        self._card = card
        self.fault: Exception | None = None
        self.bad: str | None = None
        self.runs: list[list[str]] = []

    def prepare(self, voice: str | None) -> VoiceInfo:
        return self._card

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        return self.synthesize_batch([segment], cancelled)[0]

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        self.runs.append([segment.text for segment in segments])
        if self.fault:
            raise self.fault
        if any(segment.text == self.bad for segment in segments):
            raise SynthesisError("this text cannot be spoken")
        spoken = self._espeak.synthesize_batch(segments, cancelled)
        return [replace(one, synth_s=1.0, engine=self.name) for one in spoken]


def test_the_first_segment_is_short_once_the_cost_was_measured_and_only_where_streaming_is_on(
    espeak: EspeakEngine,
) -> None:
    card = VoiceInfo("any", 200, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)
    for streaming, segments in [(True, 2), (False, 1)]:
        synthesizer = FallbackSynthesizer(Cloned(espeak, card), None, streaming=streaming)
        assert synthesizer.begin_line().split(Line("line", WHOLE), WHOLE) == [WHOLE]
        part = synthesizer.begin_line()
        part.split(Line("line", "hello"), "hello")
        part.synthesize(SEGMENT, lambda: False)
        part = synthesizer.begin_line()
        assert len(part.split(Line("line", WHOLE), WHOLE)) == segments
        assert part.seam_s == 0.15, "off is as upstream does it, which always cross-fades"


def test_what_was_cancelled_or_failed_is_not_measured(espeak: EspeakEngine) -> None:
    card = VoiceInfo("any", 200, reference_s=5.0, bytes_per_s=15.0)
    synthesizer = FallbackSynthesizer(Cloned(espeak, card), None)
    part = synthesizer.begin_line()
    part.split(Line("line", "hello"), "hello")
    with pytest.raises(Cancelled):
        part.synthesize(SEGMENT, lambda: True)
    assert synthesizer.cost_model.estimate("lead", None, card) is None


def test_the_seam_is_the_spare_voices_once_it_speaks(espeak: EspeakEngine) -> None:
    lead = Cloned(espeak, VoiceInfo("any", 200, seam_s=0.15, reference_s=5.0))
    synthesizer = FallbackSynthesizer(lead, espeak)
    part = synthesizer.begin_line()
    part.split(Line("line", "hello"), "hello")
    assert part.seam_s == 0.15
    lead.fault = SynthesisError("this text cannot be spoken")
    assert part.synthesize(SEGMENT, lambda: False).engine == "espeak"
    assert part.seam_s == 0.0
    known = [synthesizer.cost_model.estimate(engine, None, VoiceInfo("any", 200)) for engine in ("lead", "espeak")]
    assert known == [None, None], "the spare voice's time is not the lead's"


def test_a_voice_that_takes_no_word_is_named_and_the_spare_voice_speaks(espeak: EspeakEngine) -> None:
    tiny = Cloned(espeak, VoiceInfo("tiny", 7))
    with pytest.raises(VoiceError, match="'tiny' takes only 7 bytes"):
        FallbackSynthesizer(tiny, None).begin_line().split(Line("line", WHOLE, voice="tiny"), WHOLE)
    with pytest.raises(EngineUnavailable, match=r"the default voice cannot be used: .*'tiny' takes only 7 bytes"):
        FallbackSynthesizer(tiny, None).begin_line().split(Line("line", WHOLE), WHOLE)
    part = FallbackSynthesizer(tiny, espeak).begin_line()
    assert part.split(Line("line", WHOLE), WHOLE) == [WHOLE]
    assert part.engine == "espeak"


def test_a_lines_speed_and_evaluations_win_over_its_voices(espeak: EspeakEngine) -> None:
    card = VoiceInfo("any", 120, reference_s=5.0, bytes_per_s=15.0, speed=0.5, nfe_step=16)
    synthesizer = FallbackSynthesizer(Cloned(espeak, card), None)
    part = synthesizer.begin_line()
    as_the_voice, as_told = part.split(Line("line", WHOLE), WHOLE), part.split(Line("line", WHOLE, speed=1.0), WHOLE)
    assert max(len(segment) for segment in as_the_voice) <= 60 < max(len(segment) for segment in as_told)
    part.synthesize(SEGMENT, lambda: False)
    assert synthesizer.cost_model.estimate("lead", 16, card) is not None
    assert synthesizer.cost_model.estimate("lead", None, card) is None


FOUR = ["This is one.", "And this is two.", "Here comes three.", "And four."]
BATCHES = VoiceInfo("any", 120, reference_s=5.0, bytes_per_s=15.0, cost=0.05, batch_s=60.0)


def never() -> bool:
    return False


def coming(texts: list[str]) -> list[Segment]:
    return [Segment("line", i + 1, len(texts) + 1, one) for i, one in enumerate(texts)]


def spoken_by(synthesizer: FallbackSynthesizer, texts: list[str], waiting_s: float = 60.0) -> list[str]:
    """Who spoke each of these segments, asked for as a performance does."""
    part, speakers = synthesizer.begin_line(), []
    part.split(Line("line", "hello"), "hello")
    left = coming(texts)
    while left:
        sounds = part.synthesize_next(left, waiting_s, never)
        assert 0 < len(sounds) <= len(left)
        speakers += [sound.engine for sound in sounds]
        left = left[len(sounds) :]
    return speakers


def test_several_segments_go_into_one_run_as_far_as_what_is_heard_covers_it(espeak: EspeakEngine) -> None:
    lead = Cloned(espeak, BATCHES)
    assert spoken_by(FallbackSynthesizer(lead, None), FOUR) == ["lead"] * 4
    assert lead.runs == [FOUR]
    lead.runs.clear()
    spoken_by(FallbackSynthesizer(lead, None), FOUR, waiting_s=1.5)
    assert lead.runs == [FOUR[:2], FOUR[2:]]


@pytest.mark.parametrize(
    ("card", "batching", "waiting_s"),
    [
        (BATCHES, False, 60.0),
        (replace(BATCHES, batch_s=0.0), True, 60.0),
        (replace(BATCHES, cost=None), True, 60.0),
        (replace(BATCHES, bytes_per_s=None), True, 60.0),
        (BATCHES, True, 0.0),
    ],
)
def test_else_each_is_spoken_alone(espeak: EspeakEngine, card: VoiceInfo, batching: bool, waiting_s: float) -> None:
    lead = Cloned(espeak, card)
    spoken_by(FallbackSynthesizer(lead, None, batching=batching), FOUR, waiting_s)
    assert lead.runs[0] == FOUR[:1]
    assert not any(len(run) > 1 for run in lead.runs) or card.cost is None, "which is learnt from the first"


def test_a_batch_teaches_nothing_of_what_a_segment_costs_alone(espeak: EspeakEngine) -> None:
    synthesizer = FallbackSynthesizer(Cloned(espeak, BATCHES), None)
    spoken_by(synthesizer, FOUR)
    assert synthesizer.cost_model.estimate("lead", None, BATCHES) == BATCHES.cost


def test_one_bad_text_in_a_batch_goes_to_the_spare_voice_and_none_before_it(espeak: EspeakEngine) -> None:
    lead = Cloned(espeak, BATCHES)
    lead.bad = FOUR[2]
    assert spoken_by(FallbackSynthesizer(lead, espeak), FOUR) == ["lead", "lead", "espeak", "espeak"]
    assert lead.runs == [FOUR, [FOUR[0]], [FOUR[1]], [FOUR[2]]], "a run that failed is not tried again"


def test_a_worker_that_dies_in_a_batch_leaves_all_of_it_to_the_spare_voice(espeak: EspeakEngine) -> None:
    lead = Cloned(espeak, BATCHES)
    lead.fault = WorkerDied("the worker died")
    assert spoken_by(FallbackSynthesizer(lead, espeak), FOUR) == ["espeak"] * 4
    with pytest.raises(WorkerDied):
        spoken_by(FallbackSynthesizer(lead, None), FOUR)


def test_a_cancelled_batch_is_neither_taken_apart_nor_given_to_the_spare_voice(espeak: EspeakEngine) -> None:
    lead = Cloned(espeak, BATCHES)
    part = FallbackSynthesizer(lead, espeak).begin_line()
    part.split(Line("line", "hello"), "hello")
    with pytest.raises(Cancelled):
        part.synthesize_next(coming(FOUR), 60.0, lambda: True)
    assert lead.runs == [FOUR]
    assert part.fallback_reason is None
