"""Resampling, and the conversion of float samples to int16."""

from __future__ import annotations

import numpy as np

from ishowtts.util.samples import resample, to_int16, unit_to_int16


def test_samples_that_are_too_loud_are_clipped_and_do_not_wrap() -> None:
    too_loud = np.array([-2.0, -1.0, 0.0, 0.5, 1.5], np.float32)
    assert unit_to_int16(too_loud).tolist() == [-32767, -32767, 0, 16384, 32767]
    assert to_int16(np.array([-40_000.0, -32_768.0, 0.0, 32_767.4, 40_000.0], np.float32)).tolist() == [
        -32768,
        -32768,
        0,
        32767,
        32767,
    ]


def test_samples_are_rounded_and_not_truncated() -> None:
    assert to_int16(np.array([-1.6, -0.4, 0.4, 1.6], np.float32)).tolist() == [-2, 0, 0, 2]


def test_int16_samples_stay_as_they_are() -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], np.int16)
    assert to_int16(samples).tolist() == samples.tolist()
    assert resample(samples, 24_000, 24_000) is samples


def test_resampling_keeps_the_duration_and_the_pitch() -> None:
    time_s = np.arange(24_000) / 24_000
    tone = (10_000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
    resampled = resample(tone, 24_000, 48_000)
    assert len(resampled) == 48_000
    assert resampled.dtype == np.float32
    assert int(np.argmax(np.abs(np.fft.rfft(resampled)))) == 440
