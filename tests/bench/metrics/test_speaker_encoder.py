from __future__ import annotations

import numpy as np
import pytest

from ishowtts.errors import EngineError
from ishowtts_bench.metrics import metric_packages
from ishowtts_bench.metrics.speaker_encoder import SpeakerEncoder, similarity
from support.speaking import RATE_HZ, said

pytestmark = pytest.mark.skipif(
    bool(metric_packages.missing(metric_packages.RESEMBLYZER)), reason="resemblyzer is not installed"
)

ONE = "The train to Cambridge leaves from platform nine, and the next one in an hour."
OTHER = "She bought three apples and a loaf of bread, and went home by the river."


def test_the_same_voice_is_more_similar_than_another() -> None:
    encoder = SpeakerEncoder()
    man, man_again, woman = (encoder.embed(said(*one), RATE_HZ) for one in ((ONE,), (OTHER,), (OTHER, "en-us+f3")))
    assert man.shape == (256,)
    assert man.dtype == np.float32
    assert similarity(man, man) == pytest.approx(1)
    assert similarity(man, man_again) > 0.75
    assert similarity(man, man_again) > similarity(man, woman) + 0.1


def test_pauses_and_loudness_do_not_change_the_embedding() -> None:
    encoder = SpeakerEncoder()
    sound = said(ONE)
    silence = np.zeros(2 * RATE_HZ, dtype=np.float32)
    quiet = 0.02 * np.concatenate([silence, sound, silence])
    assert similarity(encoder.embed(sound, RATE_HZ), encoder.embed(quiet, RATE_HZ)) > 0.9


def test_the_shortest_sound_has_an_embedding_and_silence_has_none() -> None:
    encoder = SpeakerEncoder()
    assert np.linalg.norm(encoder.embed(said("Yes.")[5000:5200], RATE_HZ)) == pytest.approx(1, abs=1e-5)
    with pytest.raises(EngineError, match="no sound to measure"):
        encoder.embed(np.zeros(RATE_HZ, dtype=np.float32), RATE_HZ)
