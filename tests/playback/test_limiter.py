"""The ceiling holds between the samples too, measured with other filters than that of the limiter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from ishowtts.playback.limiter import limited

RATE_HZ = 24_000
CEILING_DBTP = -1.0
T = np.arange(RATE_HZ // 2)
RANDOM = np.random.default_rng(7)
TOO_LOUD = {
    "a quarter of the rate, sampled beside its peaks": 46_000 * np.sin(math.pi / 2 * T + math.pi / 4),
    "just over the ceiling": 41_300 * np.sin(math.pi / 2 * T + math.pi / 4),
    "a low tone": 45_000 * np.sin(2 * math.pi * 100 / RATE_HZ * T),
    "a high tone in bursts": 45_000 * np.sin(2 * math.pi * 9_000 / RATE_HZ * T) * (T % 3_000 < 800),
    "near half the rate": 40_000 * np.sin(0.95 * math.pi * T),
    "clicks": np.where(T % 2_000 == 77, 60_000, 0),
    "clicks that turn at once": np.where(T % 2_000 < 2, 60_000 - 120_000 * (T % 2), 0),
    "the very first and last sample": np.where((T == 0) | (len(T) - 1 == T), 50_000, 0),
    "a square wave": 40_000 * np.sign(np.sin(0.05 * T)),
    "full-scale noise": RANDOM.uniform(-32_768, 32_767, len(T)),
    "noise of two values": RANDOM.choice([-32_768, 32_767], len(T)),
    "noise that was clipped": np.clip(RANDOM.normal(0, 20_000, len(T)), -32_768, 32_767),
}


def true_peaks_dbtp(sound: NDArray[np.float32]) -> list[float]:
    """Measures with 8-fold and 16-fold oversampling, by a longer and a shorter filter, both up to half the rate."""
    exact = np.pad(sound.astype(np.float64), 1_000)
    shapes = [
        scipy.signal.resample_poly(exact, up, 1, window=scipy.signal.firwin(2 * up * taps + 1, 1 / up, window=window))
        for up, taps, window in ((8, 100, ("kaiser", 9.0)), (16, 40, ("kaiser", 5.0)))
    ]
    return [20 * math.log10(np.abs(shape).max() / 32_768) for shape in shapes]


@pytest.mark.parametrize("name", TOO_LOUD)
def test_no_true_peak_is_above_the_ceiling(name: str) -> None:
    sound = TOO_LOUD[name].astype(np.float32)
    assert max(true_peaks_dbtp(sound)) > CEILING_DBTP
    result = limited(sound, RATE_HZ, CEILING_DBTP)
    assert max(true_peaks_dbtp(result)) <= CEILING_DBTP
    assert max(true_peaks_dbtp(np.rint(result))) <= CEILING_DBTP
    assert (result.shape, result.dtype) == (sound.shape, np.float32)


@pytest.mark.parametrize("n", [0, 1, 7, 31, 33, 200])
def test_sounds_of_any_length_stay_below_the_ceiling(n: int) -> None:
    sound = np.full(n, 32_767, np.float32)
    result = limited(sound, RATE_HZ, CEILING_DBTP)
    assert len(result) == n
    assert n == 0 or max(true_peaks_dbtp(result)) <= CEILING_DBTP


def test_a_sound_below_the_ceiling_is_returned_itself() -> None:
    quiet = (25_000 * np.sin(0.3 * T)).astype(np.float32)
    assert limited(quiet, RATE_HZ, CEILING_DBTP) is quiet


def test_samples_far_from_a_peak_do_not_change() -> None:
    sound = np.rint(10_000 * np.sin(0.3 * T)).astype(np.float32)
    sound[3_000:3_020] = 32_767
    result = limited(sound, RATE_HZ, CEILING_DBTP)
    changed = np.flatnonzero(result != sound)
    assert changed[0] >= 3_000 - 0.008 * RATE_HZ
    assert changed[-1] <= 3_020 + 0.1 * RATE_HZ


def test_the_gain_changes_smoothly_and_is_no_lower_than_necessary() -> None:
    loud = np.full(RATE_HZ, 8_000, np.float32)
    # One short burst, 6 dB above the ceiling.
    loud[12_000:12_240] = 58_409
    gain_db = 20 * np.log10(limited(loud, RATE_HZ, CEILING_DBTP) / loud)
    assert np.abs(np.diff(gain_db)).max() < 0.3
    assert gain_db.min() > -8.5
    # 60 dB per second: one wave of a low voice ends before the gain has recovered.
    assert gain_db[12_240 + RATE_HZ // 50] < -4
    assert gain_db[-1] == 0
