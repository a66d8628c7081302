"""The fallback engine takes over where the primary fails. The fallback is a real espeak-ng."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ishowtts.engines import VoiceInfo
from ishowtts.engines.candidates import UnavailableEngine
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, VoiceError, WorkerDied
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.line_notes import Substitution
from ishowtts.speech.line_synthesis import LineSynthesis, PlannedSegment
from support.engine_order import engine_order, speak, speak_planned, texts

SEGMENT = Segment("line", 0, 1, "hello")


@pytest.fixture
def espeak() -> EspeakEngine:
    engine = EspeakEngine()
    engine.load(lambda _: None)
    return engine


def test_the_primary_engine_speaks_if_it_can(espeak: EspeakEngine) -> None:
    synthesis = FallbackSynthesizer(engine_order(espeak)).begin_line()
    [spoken] = speak_planned(synthesis, synthesis.plan(Line("line", "hello"), "hello"))
    assert spoken.engine == "espeak"
    assert synthesis.substitution(SEGMENT, "espeak") is None


def test_the_fallback_speaks_while_the_primary_is_unavailable(espeak: EspeakEngine) -> None:
    synthesis = FallbackSynthesizer(engine_order(UnavailableEngine("no weights"), espeak)).begin_line()
    planned = synthesis.plan(Line("line", "hello"), "hello")
    assert texts(planned) == ["hello"]
    assert synthesis.engines.first == "espeak"
    assert [one.engine for one in speak_planned(synthesis, planned)] == ["espeak"]
    assert synthesis.substitution(SEGMENT, "espeak") == Substitution("f5", "no weights")


def test_a_line_that_fell_back_stays_with_the_fallback(espeak: EspeakEngine) -> None:
    primary = Cloned(espeak, VoiceInfo("any", 60))
    primary.bad_text = "Well, here it begins at last."
    spoken = speak(FallbackSynthesizer(engine_order(primary, espeak)), WHOLE)
    assert {one.engine for one in spoken} == {"espeak"}
    primary.bad_text = None
    spoken = speak(FallbackSynthesizer(engine_order(primary, espeak)), WHOLE)
    assert {one.engine for one in spoken} == {"primary"}, "the next line begins with the primary again"


def test_without_a_fallback_the_line_waits() -> None:
    synthesis = FallbackSynthesizer(engine_order(UnavailableEngine("no weights"))).begin_line()
    with pytest.raises(EngineUnavailable, match="no weights"):
        synthesis.plan(Line("line", "hello"), "hello")


def test_a_segment_that_the_fallback_cannot_speak_either_has_both_reasons(
    espeak: EspeakEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineUnavailable, match=r"no weights; espeak-ng does not work"):
        speak(FallbackSynthesizer(engine_order(UnavailableEngine("no weights"), espeak)), "hello")


WHOLE = "Well, here it begins at last. And it goes on, for it has a lot to say. Then it ends. Or not yet, who knows?"


class Cloned:
    """espeak-ng as a primary engine whose every segment pays for a reference clip."""

    name = "primary"

    def __init__(self, espeak: EspeakEngine, voice: VoiceInfo) -> None:
        self._espeak = espeak
        self._card = voice
        self.error: Exception | None = None
        self.bad_text: str | None = None
        self.runs: list[list[str]] = []

    def prepare(self, voice: str | None) -> VoiceInfo:
        return self._card

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        return self.synthesize_batch([segment], cancelled)[0]

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        self.runs.append([segment.text for segment in segments])
        if self.error:
            raise self.error
        if any(segment.text == self.bad_text for segment in segments):
            raise SynthesisError("this text cannot be spoken")
        spoken = self._espeak.synthesize_batch(segments, cancelled)
        return [replace(one, synth_s=1.0, engine=self.name) for one in spoken]


def test_the_first_segment_is_short_once_the_cost_is_measured_and_only_with_streaming(
    espeak: EspeakEngine,
) -> None:
    voice = VoiceInfo("any", 200, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)
    for streaming, segments in [(True, 2), (False, 1)]:
        synthesizer = FallbackSynthesizer(engine_order(Cloned(espeak, voice)), streaming=streaming)
        assert texts(synthesizer.begin_line().plan(Line("line", WHOLE), WHOLE)) == [WHOLE]
        speak(synthesizer, "hello")
        synthesis = synthesizer.begin_line()
        assert len(synthesis.plan(Line("line", WHOLE), WHOLE)) == segments
        assert synthesis.seam_s("primary") == 0.15, "without streaming it cross-fades too, as upstream does"


def test_a_cancelled_segment_is_not_measured(espeak: EspeakEngine) -> None:
    voice = VoiceInfo("any", 200, reference_s=5.0, bytes_per_s=15.0)
    synthesizer = FallbackSynthesizer(engine_order(Cloned(espeak, voice)))
    synthesis = synthesizer.begin_line()
    planned = synthesis.plan(Line("line", "hello"), "hello")
    with pytest.raises(Cancelled):
        synthesis.synthesize_next(planned, 0.0, lambda: True)
    assert synthesizer.settings.cost_model.estimate("primary", None, voice) is None


def test_the_cross_fade_is_that_of_the_engine_that_speaks(espeak: EspeakEngine) -> None:
    primary = Cloned(espeak, VoiceInfo("any", 200, seam_s=0.15, reference_s=5.0))
    synthesizer = FallbackSynthesizer(engine_order(primary, espeak))
    synthesis = synthesizer.begin_line()
    planned = synthesis.plan(Line("line", "hello"), "hello")
    primary.error = SynthesisError("this text cannot be spoken")
    assert [one.engine for one in speak_planned(synthesis, planned)] == ["espeak"]
    assert (synthesis.seam_s("primary"), synthesis.seam_s("espeak")) == (0.15, 0.0)
    known = [
        synthesizer.settings.cost_model.estimate(engine, None, VoiceInfo("any", 200))
        for engine in ("primary", "espeak")
    ]
    assert known == [None, None], "the fallback's time is not the primary's"


def test_a_voice_that_takes_less_than_a_word_is_named_and_the_fallback_speaks(espeak: EspeakEngine) -> None:
    tiny = Cloned(espeak, VoiceInfo("tiny", 7))
    with pytest.raises(VoiceError, match="'tiny' takes only 7 bytes"):
        FallbackSynthesizer(engine_order(tiny)).begin_line().plan(Line("line", WHOLE, voice="tiny"), WHOLE)
    with pytest.raises(EngineUnavailable, match=r"the default voice cannot be used: .*'tiny' takes only 7 bytes"):
        FallbackSynthesizer(engine_order(tiny)).begin_line().plan(Line("line", WHOLE), WHOLE)
    synthesis = FallbackSynthesizer(engine_order(tiny, espeak)).begin_line()
    assert texts(synthesis.plan(Line("line", WHOLE), WHOLE)) == [WHOLE]
    assert synthesis.engines.first == "espeak"


def test_speed_and_nfe_step_of_a_line_win_over_those_of_its_voice(espeak: EspeakEngine) -> None:
    voice = VoiceInfo("any", 120, reference_s=5.0, bytes_per_s=15.0, speed=0.5, nfe_step=16)
    synthesizer = FallbackSynthesizer(engine_order(Cloned(espeak, voice)))
    synthesis = synthesizer.begin_line()
    as_the_voice, as_asked = (
        texts(synthesis.plan(Line("line", WHOLE), WHOLE)),
        texts(synthesis.plan(Line("line", WHOLE, speed=1.0), WHOLE)),
    )
    assert max(len(segment) for segment in as_the_voice) <= 60 < max(len(segment) for segment in as_asked)
    speak(synthesizer, "hello")
    assert synthesizer.settings.cost_model.estimate("primary", 16, voice) is not None
    assert synthesizer.settings.cost_model.estimate("primary", None, voice) is None


FOUR = ["This is one.", "And this is two.", "Here comes three.", "And four."]
BATCHES = VoiceInfo("any", 120, reference_s=5.0, bytes_per_s=15.0, cost=0.05, batch_s=60.0)


def planned_four(synthesis: LineSynthesis) -> list[PlannedSegment]:
    """Four segments of a line, of which the first was spoken before."""
    whole = " ".join(["Hello.", *FOUR])
    synthesis.plan(Line("line", whole), whole)
    return [
        PlannedSegment(Segment("line", i + 1, 5, one, language="en"), whole.index(one)) for i, one in enumerate(FOUR)
    ]


def spoken_by(synthesizer: FallbackSynthesizer, unplayed_s: float = 60.0) -> list[str]:
    """The engine of each of the four segments."""
    synthesis = synthesizer.begin_line()
    return [one.engine for one in speak_planned(synthesis, planned_four(synthesis), unplayed_s=unplayed_s)]


def test_as_many_segments_go_into_one_run_as_unplayed_sound_covers(espeak: EspeakEngine) -> None:
    primary = Cloned(espeak, BATCHES)
    assert spoken_by(FallbackSynthesizer(engine_order(primary))) == ["primary"] * 4
    assert primary.runs == [FOUR]
    primary.runs.clear()
    spoken_by(FallbackSynthesizer(engine_order(primary)), unplayed_s=1.5)
    assert primary.runs == [FOUR[:2], FOUR[2:]]


@pytest.mark.parametrize(
    ("voice", "batching", "unplayed_s"),
    [
        (BATCHES, False, 60.0),
        (replace(BATCHES, batch_s=0.0), True, 60.0),
        (replace(BATCHES, cost=None), True, 60.0),
        (replace(BATCHES, bytes_per_s=None), True, 60.0),
        (BATCHES, True, 0.0),
    ],
)
def test_otherwise_each_segment_is_made_alone(
    espeak: EspeakEngine, voice: VoiceInfo, batching: bool, unplayed_s: float
) -> None:
    primary = Cloned(espeak, voice)
    spoken_by(FallbackSynthesizer(engine_order(primary), batching=batching), unplayed_s)
    assert primary.runs[0] == FOUR[:1]
    assert not any(len(run) > 1 for run in primary.runs) or voice.cost is None, "the cost is learnt from the first"


def test_the_cost_model_learns_nothing_from_a_batch(espeak: EspeakEngine) -> None:
    synthesizer = FallbackSynthesizer(engine_order(Cloned(espeak, BATCHES)))
    spoken_by(synthesizer)
    assert synthesizer.settings.cost_model.estimate("primary", None, BATCHES) == BATCHES.cost


def test_a_bad_text_in_a_batch_goes_to_the_fallback_and_none_before_it(espeak: EspeakEngine) -> None:
    primary = Cloned(espeak, BATCHES)
    primary.bad_text = FOUR[2]
    assert spoken_by(FallbackSynthesizer(engine_order(primary, espeak))) == ["primary", "primary", "espeak"]
    assert primary.runs == [FOUR, [FOUR[0]], [FOUR[1]], [FOUR[2]]], "a run that failed is not tried again"


def test_after_a_worker_died_in_a_batch_the_fallback_speaks_all_of_it(espeak: EspeakEngine) -> None:
    primary = Cloned(espeak, BATCHES)
    primary.error = WorkerDied("the worker died")
    assert spoken_by(FallbackSynthesizer(engine_order(primary, espeak))) == ["espeak"]
    with pytest.raises(WorkerDied):
        spoken_by(FallbackSynthesizer(engine_order(primary)))


def test_a_cancelled_batch_is_neither_split_nor_given_to_the_fallback(espeak: EspeakEngine) -> None:
    primary = Cloned(espeak, BATCHES)
    synthesis = FallbackSynthesizer(engine_order(primary, espeak)).begin_line()
    with pytest.raises(Cancelled):
        synthesis.synthesize_next(planned_four(synthesis), 60.0, lambda: True)
    assert primary.runs == [FOUR]
    assert synthesis.engines.first == "primary"
