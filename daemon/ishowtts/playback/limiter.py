"""A true-peak limiter: it keeps a sound below the ceiling between the samples too (ITU-R BS.1770-4, annex 2).

The gain is computed for steps of 8 samples and changes linearly within a step: at 24 kHz a step lasts a third of a
millisecond. Peaks between samples depend on the interpolation filter only in the last few per cent below half the
sample rate, where speech has no energy.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ishowtts.util.samples import INT16_FULL_SCALE, FloatPcm

LOOK_AHEAD_S = 0.005
RELEASE_DB_PER_S = 60.0
# The limiter aims this far below the ceiling: a gain that changes shifts the peaks a little, and two interpolation
# filters never quite agree. Another meter finds peaks at most 0.2 dB above the aim.
_MARGIN_DB = 0.3

_STEP = 8
_PHASES = 8
_TAPS = 128
_KAISER_BETA = 3.0
# Peaks are computed in chunks: each is one window of samples times one matrix.
_CHUNK = 4 * _STEP
_WINDOW = _CHUNK + _TAPS - 1
_BEFORE = _TAPS // 2 - 1
_REACH = -(-_WINDOW // _CHUNK)
_CHUNKS_AT_ONCE = 512


def limited(sound: FloatPcm, rate_hz: int, peak_dbtp: float) -> FloatPcm:
    """Turns down what would exceed the ceiling, from 5 ms before it on, and then releases the gain slowly.

    Args:
        sound: [n] on the scale of int16.
        rate_hz: Sample rate of `sound`, in Hz.
        peak_dbtp: The ceiling, in dB of full scale.

    Returns:
        [n]; `sound` itself if nothing exceeds the ceiling.
    """
    ceiling = INT16_FULL_SCALE * _factor(peak_dbtp)
    peaks = true_peaks(sound, ceiling)
    if not (peaks > ceiling).any():
        return sound
    needed = np.log(np.maximum(peaks / (ceiling * _factor(-_MARGIN_DB)), 1))
    return sound * _gains(_smoothed(needed, rate_hz))[: len(sound)]


def true_peaks(sound: FloatPcm, threshold: float) -> FloatPcm:
    """Returns the greatest magnitude in each step and up to the next one, with 8-fold oversampling.

    Args:
        sound: [n].
        threshold: Only peaks above this must be exact.

    Returns:
        [steps], rounded up to whole chunks; 0 for chunks in which nothing can exceed the threshold.
    """
    kernel, max_factor = _interpolation()
    n, chunks = len(sound), -(-len(sound) // _CHUNK)
    padded = np.pad(sound, (_BEFORE, (chunks + _REACH) * _CHUNK - _BEFORE - n))
    suspects = np.flatnonzero(_greatest_near(np.abs(padded), chunks) * max_factor > threshold)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_CHUNK]
    peaks = np.zeros((chunks, _CHUNK // _STEP), np.float32)
    for first in range(0, len(suspects), _CHUNKS_AT_ONCE):
        some = suspects[first : first + _CHUNKS_AT_ONCE]
        window = windows[some]
        here = np.abs(window[:, None, _BEFORE : _BEFORE + _CHUNK])
        between = np.abs(window @ kernel).reshape(len(some), _PHASES - 1, _CHUNK)
        greatest = np.concatenate([here, between], axis=1).max(axis=1)
        peaks[some] = greatest.reshape(len(some), -1, _STEP).max(axis=2)
    return peaks.reshape(-1)


def _greatest_near(padded: FloatPcm, chunks: int) -> FloatPcm:
    """Returns, for each chunk, the greatest value in its window or slightly beyond: [chunks]."""
    blocks = padded.reshape(-1, _CHUNK).max(axis=1)
    greatest: FloatPcm = np.max([blocks[step : step + chunks] for step in range(_REACH)], axis=0)
    return greatest


@lru_cache(maxsize=1)
def _interpolation() -> tuple[FloatPcm, float]:
    """Computes the interpolation matrix, which maps a window of samples to the values between them.

    Returns:
        The matrix, [window, (phases - 1) x chunk], and the greatest factor by which it can raise a peak.
    """
    at = np.arange(1, _PHASES)[:, None] / _PHASES - (np.arange(_TAPS) - _BEFORE)
    kaiser = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (at / (_TAPS / 2)) ** 2, 0, None))) / np.i0(_KAISER_BETA)
    taps = np.sinc(at) * kaiser
    kernel = np.zeros((_WINDOW, _PHASES - 1, _CHUNK), np.float32)
    for sample in range(_CHUNK):
        kernel[sample : sample + _TAPS, :, sample] = taps.T
    return kernel.reshape(_WINDOW, -1), float(np.abs(taps).sum(axis=1).max())


def _smoothed(needed: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """Smooths the gain reduction: it rises evenly over the look-ahead and falls at the speed of the release.

    Args:
        needed: [steps] nepers that each step needs.
        rate_hz: Sample rate, in Hz.

    Returns:
        [steps + 1] nepers at the bounds of the steps. Both bounds of a step have at least what it needs.
    """
    steps, ahead = len(needed), max(2, round(LOOK_AHEAD_S * rate_hz / _STEP))
    fall = np.arange(steps) * (RELEASE_DB_PER_S * _STEP / rate_hz * np.log(10) / 20)
    held = np.maximum.accumulate(needed + fall) - fall
    # After the end of the release, rounding errors must not change a sample.
    held[held < 1e-9] = 0
    bounds = np.maximum(np.append(held, 0), np.insert(held, 0, 0))
    half = ahead // 2
    return _mean_before(_mean_before(_greatest_ahead(bounds, 2 * half - 1), half), half)


def _greatest_ahead(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Returns the greatest of each value and the `width - 1` values after it: [n]."""
    padded = np.pad(values, (0, width - 1))
    greatest: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(padded, width).max(axis=1)
    return greatest


def _mean_before(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Returns the mean of each value and the `width - 1` before it: [n]. The first value is repeated before it."""
    sums = np.cumsum(np.concatenate([np.full(width, values[0]), values]))
    means: NDArray[np.float64] = (sums[width:] - sums[:-width]) / width
    return means


def _gains(knots: NDArray[np.float64]) -> FloatPcm:
    """Returns the gain factor of each sample: [steps x step]."""
    nepers, ways = knots.astype(np.float32), np.arange(_STEP, dtype=np.float32) / _STEP
    return np.exp(-nepers[:-1, None] - np.diff(nepers)[:, None] * ways).reshape(-1)


def _factor(decibels: float) -> float:
    return float(10 ** (decibels / 20))
