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


def test_speech_scores_higher_than_noise_and_than_speech_in_noise() -> None:
    dnsmos = Dnsmos()
    speech = said("She bought three apples.")
    clean, noisy = dnsmos.overall(speech, RATE_HZ), dnsmos.overall(speech + noise(len(speech) / RATE_HZ), RATE_HZ)
    assert 2.2 < clean < 3.5
    assert noisy < clean - 0.4
    assert dnsmos.overall(noise(2), RATE_HZ) < 1.5


def test_silence_has_no_score() -> None:
    with pytest.raises(EngineError, match="no sound to measure"):
        Dnsmos().overall(np.zeros(0, dtype=np.float32), RATE_HZ)
