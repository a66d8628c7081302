"""The fallback rule, on real engines: an F5 that is away, and espeak-ng."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ishowtts.engines import Cancelled, IsCancelled, VoiceCard
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import EngineUnavailable, SynthesisError, VoiceError
from ishowtts.pipeline.cast import Cast
from ishowtts.service.lead import Absent
from ishowtts.speech import Line, Segment, Utterance

SEGMENT = Segment("line", 0, 1, "hello")


@pytest.fixture
def espeak() -> EspeakEngine:
    engine = EspeakEngine()
    engine.load(lambda _: None)
    return engine


def test_the_lead_speaks_where_it_can(espeak: EspeakEngine) -> None:
    part = Cast(espeak, None).part()
    assert part.speak(SEGMENT, lambda: False).engine == "espeak"
    assert part.fell_back is None


def test_the_spare_voice_speaks_while_the_lead_is_away(espeak: EspeakEngine) -> None:
    part = Cast(Absent("no weights"), espeak).part()
    assert part.cut(Line("line", "hello"), "hello") == ["hello"]
    assert part.engine == "espeak"
    assert part.speak(SEGMENT, lambda: False).engine == "espeak"
    assert part.fell_back == "no weights"


def test_a_line_that_fell_back_stays_with_the_spare_voice(espeak: EspeakEngine) -> None:
    part = Cast(Absent("no weights"), espeak).part()
    part.speak(SEGMENT, lambda: False)
    assert part.engine == "espeak"
    assert Cast(Absent("no weights"), espeak).part().engine == "f5", "the next line asks the lead again"


def test_without_a_spare_voice_the_line_waits() -> None:
    part = Cast(Absent("no weights"), None).part()
    with pytest.raises(EngineUnavailable, match="no weights"):
        part.cut(Line("line", "hello"), "hello")


def test_what_the_spare_voice_cannot_speak_fails_the_line(
    espeak: EspeakEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    part = Cast(Absent("no weights"), espeak).part()
    with pytest.raises((SynthesisError, Exception), match="espeak-ng"):
        part.speak(SEGMENT, lambda: False)


WHOLE = "Well, here it begins at last. And it goes on, for it has a lot to say. Then it ends. Or not yet, who knows?"


class Cloned:
    """espeak-ng with the card of a voice whose every segment pays for a clip."""

    name = "lead"

    def __init__(self, espeak: EspeakEngine, card: VoiceCard) -> None:
        self._espeak = espeak
        self._card = card
        self.fault: Exception | None = None

    def prepare(self, voice: str | None) -> VoiceCard:
        return self._card

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        if self.fault:
            raise self.fault
        return replace(self._espeak.synthesize(segment, cancelled), synth_s=1.0)


def test_the_first_segment_is_short_once_the_cost_was_measured_and_only_where_streaming_is_on(
    espeak: EspeakEngine,
) -> None:
    card = VoiceCard("any", 200, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)
    for streaming, segments in [(True, 2), (False, 1)]:
        cast = Cast(Cloned(espeak, card), None, streaming=streaming)
        assert cast.part().cut(Line("line", WHOLE), WHOLE) == [WHOLE]
        part = cast.part()
        part.cut(Line("line", "hello"), "hello")
        part.speak(SEGMENT, lambda: False)
        part = cast.part()
        assert len(part.cut(Line("line", WHOLE), WHOLE)) == segments
        assert part.seam_s == 0.15, "off is as upstream does it, which always cross-fades"


def test_what_was_cancelled_or_failed_is_not_measured(espeak: EspeakEngine) -> None:
    card = VoiceCard("any", 200, reference_s=5.0, bytes_per_s=15.0)
    cast = Cast(Cloned(espeak, card), None)
    part = cast.part()
    part.cut(Line("line", "hello"), "hello")
    with pytest.raises(Cancelled):
        part.speak(SEGMENT, lambda: True)
    assert cast.costs.of("lead", None, card) is None


def test_the_seam_is_the_spare_voices_once_it_speaks(espeak: EspeakEngine) -> None:
    lead = Cloned(espeak, VoiceCard("any", 200, seam_s=0.15, reference_s=5.0))
    cast = Cast(lead, espeak)
    part = cast.part()
    part.cut(Line("line", "hello"), "hello")
    assert part.seam_s == 0.15
    lead.fault = SynthesisError("this text cannot be spoken")
    assert part.speak(SEGMENT, lambda: False).engine == "espeak"
    assert part.seam_s == 0.0
    known = [cast.costs.of(engine, None, VoiceCard("any", 200)) for engine in ("lead", "espeak")]
    assert known == [None, None], "the spare voice's time is not the lead's"


def test_a_voice_that_takes_no_word_is_named_and_the_spare_voice_speaks(espeak: EspeakEngine) -> None:
    tiny = Cloned(espeak, VoiceCard("tiny", 7))
    with pytest.raises(VoiceError, match="'tiny' takes only 7 bytes"):
        Cast(tiny, None).part().cut(Line("line", WHOLE), WHOLE)
    part = Cast(tiny, espeak).part()
    assert part.cut(Line("line", WHOLE), WHOLE) == [WHOLE]
    assert part.engine == "espeak"


def test_a_lines_speed_and_evaluations_win_over_its_voices(espeak: EspeakEngine) -> None:
    card = VoiceCard("any", 120, reference_s=5.0, bytes_per_s=15.0, speed=0.5, nfe_step=16)
    cast = Cast(Cloned(espeak, card), None)
    part = cast.part()
    as_the_voice, as_told = part.cut(Line("line", WHOLE), WHOLE), part.cut(Line("line", WHOLE, speed=1.0), WHOLE)
    assert max(len(segment) for segment in as_the_voice) <= 60 < max(len(segment) for segment in as_told)
    part.speak(SEGMENT, lambda: False)
    assert cast.costs.of("lead", 16, card) is not None
    assert cast.costs.of("lead", None, card) is None
