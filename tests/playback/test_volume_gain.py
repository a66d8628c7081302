"""The volume curve and gain ramps."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.playback.volume_gain import apply_gain_ramp, clip_gain, gain_of


def test_the_curve_goes_from_silence_to_unity_in_equal_steps_of_loudness() -> None:
    assert gain_of(0) == 0.0
    assert gain_of(100) == 1.0
    assert 20 * np.log10(gain_of(50)) == pytest.approx(-25)


def test_unity_changes_no_bit_and_loud_samples_are_clipped() -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], np.float32)
    assert apply_gain_ramp(samples, 1.0, 1.0).tolist() == samples.tolist()
    assert apply_gain_ramp(samples, 2.0, 2.0).tolist() == [-32768, -2, 0, 2, 32767]


def test_a_clip_has_the_volume_of_the_appliance_or_its_own_and_is_silent_at_0() -> None:
    assert clip_gain(80, None, hardware_volume=False) == gain_of(80)
    assert clip_gain(80, 30, hardware_volume=False) == gain_of(30)
    assert clip_gain(30, 80, hardware_volume=False) == gain_of(80)
    assert clip_gain(0, 80, hardware_volume=False) == 0.0


def test_software_does_not_repeat_what_the_card_applies() -> None:
    assert clip_gain(80, None, hardware_volume=True) == 1.0
    assert clip_gain(80, 30, hardware_volume=True) == pytest.approx(gain_of(30) / gain_of(80))
    assert clip_gain(30, 80, hardware_volume=True) == 1.0, "software makes nothing louder than the card plays"
    assert clip_gain(0, 80, hardware_volume=True) == 0.0
