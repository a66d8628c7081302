"""The pause between two engines, for engines that leave much silence, little or none."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.model import Utterance
from ishowtts.speech.engine_seam import CLAUSE_PAUSE_S, SENTENCE_PAUSE_S, after_other_engine

PLAYED_HZ = 24_000


def spoken(engine: str, rate_hz: int, before_s: float, after_s: float) -> Utterance:
    before, after = (np.zeros(round(seconds * rate_hz), np.int16) for seconds in (before_s, after_s))
    return Utterance(np.concatenate([before, np.full(1000, 900, np.int16), after]), rate_hz, 0.1, engine, "v")


@pytest.mark.parametrize("text", ["It rains.", "Really?", 'He said: "No!"', "\u4f60\u597d\u3002", "\u0939\u093e\u0964"])
@pytest.mark.parametrize(
    ("after_s", "before_s", "pause_s"),
    [
        (0.0, 0.0, SENTENCE_PAUSE_S),
        (0.05, 0.1, SENTENCE_PAUSE_S),
        (0.3, 0.25, SENTENCE_PAUSE_S),
        (0.0, 0.9, SENTENCE_PAUSE_S),
        (0.47, 0.3, 0.47),  # it may have been heard already
    ],
)
def test_a_sentence_ends_with_the_same_pause(text: str, after_s: float, before_s: float, pause_s: float) -> None:
    before = spoken("hibari", 24_000, 0.3, after_s)
    after = spoken("espeak", 22_050, before_s, 0.2)
    sound = np.concatenate([np.zeros(round(before_s * PLAYED_HZ), np.float32), np.full(1089, 900, np.float32)])
    seamed = after_other_engine(after, sound, PLAYED_HZ, before, text)
    assert after_s + np.flatnonzero(seamed.utterance.samples)[0] / 22_050 == pytest.approx(pause_s, abs=1e-4)
    assert after_s + np.flatnonzero(seamed.sound)[0] / PLAYED_HZ == pytest.approx(pause_s, abs=1e-4)
    assert np.count_nonzero(seamed.utterance.samples) == 1000, "speech is not cut"
    assert before_s > 0 or np.flatnonzero(seamed.sound == 900)[0] - np.flatnonzero(seamed.sound)[0] > 60, "it fades in"
    assert len(seamed.utterance.samples) / 22_050 - len(seamed.sound) / PLAYED_HZ == pytest.approx(0.2, abs=1e-4)
    assert (seamed.utterance.engine, seamed.utterance.synth_s) == ("espeak", 0.1)


@pytest.mark.parametrize("text", ["first of all,", "the word", "Moscow:"])
def test_the_pause_within_a_sentence_is_shorter(text: str) -> None:
    before, after = spoken("f5", 24_000, 0, 0), spoken("hibari", 24_000, 0.3, 0.4)
    seamed = after_other_engine(after, after.samples.astype(np.float32), 24_000, before, text)
    assert np.flatnonzero(seamed.sound)[0] / 24_000 == pytest.approx(CLAUSE_PAUSE_S)
