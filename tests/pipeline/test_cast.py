"""The fallback rule, on real engines: an F5 that is away, and espeak-ng."""

from __future__ import annotations

import pytest

from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import EngineUnavailable, SynthesisError
from ishowtts.pipeline.cast import Cast
from ishowtts.service.lead import Absent
from ishowtts.speech import Segment

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
    assert part.segment_bytes(None) > 0
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
        part.segment_bytes(None)


def test_what_the_spare_voice_cannot_speak_fails_the_line(
    espeak: EspeakEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    part = Cast(Absent("no weights"), espeak).part()
    with pytest.raises((SynthesisError, Exception), match="espeak-ng"):
        part.speak(SEGMENT, lambda: False)
