"""What the last segments cost."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.engines import VoiceInfo
from ishowtts.model import Utterance
from ishowtts.speech.cost_model import CostModel

CARD = VoiceInfo("any", 140, reference_s=6.0)


def sound(synth_s: float, audio_s: float = 4.0) -> Utterance:
    return Utterance(np.zeros(int(100 * audio_s), np.int16), 100, synth_s, "f5", "any")


def test_it_is_the_time_for_a_second_of_reference_and_sound() -> None:
    costs = CostModel()
    assert costs.of("f5", None, CARD) is None
    costs.note("f5", None, sound(0.5), CARD)
    assert costs.of("f5", None, CARD) == pytest.approx(0.05)


def test_one_slow_segment_does_not_count_and_a_slower_machine_does() -> None:
    costs = CostModel()
    for synth_s in [0.5, 0.5, 9.0, 0.5, 0.5]:
        costs.note("f5", None, sound(synth_s), CARD)
    assert costs.of("f5", None, CARD) == pytest.approx(0.05)
    for _ in range(9):
        costs.note("f5", None, sound(1.0), CARD)
    assert costs.of("f5", None, CARD) == pytest.approx(0.1)


def test_a_line_of_more_evaluations_has_a_cost_of_its_own() -> None:
    costs = CostModel()
    costs.note("f5", 32, sound(2.0), CARD)
    assert costs.of("f5", None, CARD) is None
    assert costs.of("f5", 32, CARD) == pytest.approx(0.2)


def test_the_cards_cost_is_where_it_starts() -> None:
    costs = CostModel()
    card = VoiceInfo("any", 140, reference_s=6.0, cost=0.05)
    assert costs.of("f5", None, card) == 0.05
    assert costs.of("f5", 32, card) is None, "the card tells of the engine's own number of evaluations"
    for _ in range(2):
        costs.note("f5", None, sound(1.0), card)
    assert costs.of("f5", None, card) == pytest.approx(0.1)


def test_an_engine_without_a_reference_is_not_measured() -> None:
    costs = CostModel()
    costs.note("espeak", None, sound(0.5), VoiceInfo("en-us", 400))
    assert costs.of("espeak", None, VoiceInfo("en-us", 400)) is None
