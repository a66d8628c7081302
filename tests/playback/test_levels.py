"""Volume and ramps."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.playback.levels import gain_of, ramp


def test_the_curve_goes_from_silence_to_unity_in_equal_steps_of_loudness() -> None:
    assert gain_of(0) == 0.0
    assert gain_of(100) == 1.0
    assert 20 * np.log10(gain_of(50)) == pytest.approx(-25)


def test_unity_changes_no_bit_and_too_loud_is_clipped() -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], np.float32)
    assert ramp(samples, 1.0, 1.0).tolist() == samples.tolist()
    assert ramp(samples, 2.0, 2.0).tolist() == [-32768, -2, 0, 2, 32767]
