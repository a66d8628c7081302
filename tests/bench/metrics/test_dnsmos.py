from __future__ import annotations

import numpy as np
import pytest

from ishowtts.errors import EngineError
from ishowtts_bench.metrics import metric_packages
from ishowtts_bench.metrics.dnsmos import Dnsmos
from support.speaking import RATE_HZ, noise, said

pytestmark = pytest.mark.skipif(
    bool(metric_packages.missing(metric_packages.SPEECHMOS)), reason="speechmos is not installed"
)


def test_speech_is_liked_better_than_noise_and_than_speech_in_noise() -> None:
    opinion = Dnsmos()
    speech = said("She bought three apples.")
    clean, noisy = opinion.scores(speech, RATE_HZ), opinion.scores(speech + noise(len(speech) / RATE_HZ), RATE_HZ)
    assert 2.2 < clean.overall < 3.5
    assert noisy.overall < clean.overall - 0.4
    assert noisy.background < clean.background - 0.8
    assert opinion.of(noise(2), RATE_HZ) < 1.5


def test_silence_has_no_opinion() -> None:
    with pytest.raises(EngineError, match="no sound to judge"):
        Dnsmos().of(np.zeros(0, dtype=np.float32), RATE_HZ)
