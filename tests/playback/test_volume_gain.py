"""Volume and ramps."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.playback.volume_gain import gain_of, level, ramp


def test_the_curve_goes_from_silence_to_unity_in_equal_steps_of_loudness() -> None:
    assert gain_of(0) == 0.0
    assert gain_of(100) == 1.0
    assert 20 * np.log10(gain_of(50)) == pytest.approx(-25)


def test_unity_changes_no_bit_and_too_loud_is_clipped() -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], np.float32)
    assert ramp(samples, 1.0, 1.0).tolist() == samples.tolist()
    assert ramp(samples, 2.0, 2.0).tolist() == [-32768, -2, 0, 2, 32767]


def test_a_sound_has_the_appliances_volume_or_its_own_and_none_where_that_is_at_0() -> None:
    assert level(80, None, by_card=False) == gain_of(80)
    assert level(80, 30, by_card=False) == gain_of(30)
    assert level(30, 80, by_card=False) == gain_of(80)
    assert level(0, 80, by_card=False) == 0.0


def test_what_the_card_has_turned_down_is_not_turned_down_again() -> None:
    assert level(80, None, by_card=True) == 1.0
    assert level(80, 30, by_card=True) == pytest.approx(gain_of(30) / gain_of(80))
    assert level(30, 80, by_card=True) == 1.0, "software makes nothing louder than the card plays"
    assert level(0, 80, by_card=True) == 0.0
