"""The weighting of the meter, against the standard and against pyloudnorm."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from ishowtts.playback.k_weighting import k_weighted
from ishowtts.playback.loudness import block_levels, gated_level


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_it_is_the_filter_of_the_standard(rate_hz: int) -> None:
    sound = np.random.default_rng(rate_hz).standard_normal(rate_hz + 17)
    expected = sound
    for stage in pyloudnorm.Meter(rate_hz, filter_class="DeMan")._filters.values():
        expected = stage.apply_filter(expected)
    assert np.abs(k_weighted(sound, rate_hz) - expected).max() < 1e-6


@pytest.mark.parametrize("n", [1, 2, 100, 9_599, 24_001])
def test_it_takes_every_length(n: int) -> None:
    sound = np.ones(n)
    expected = sound
    for stage in pyloudnorm.Meter(24_000, filter_class="DeMan")._filters.values():
        expected = stage.apply_filter(expected)
    assert k_weighted(sound, 24_000) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("dbfs", "lufs"), [(0.0, -3.01), (-20.0, -23.01), (-60.0, -63.01)])
def test_a_sine_of_997_hz_has_the_loudness_that_the_standard_names(dbfs: float, lufs: float) -> None:
    rate_hz = 48_000
    sine = 10 ** (dbfs / 20) * np.sin(2 * np.pi * 997 * np.arange(10 * rate_hz) / rate_hz)
    level = gated_level(block_levels((sine * 32_768).astype(np.float32), rate_hz))
    assert level == pytest.approx(lufs, abs=0.01)
