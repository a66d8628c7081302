"""The frequency weighting of loudness meters (K-weighting, ITU-R BS.1770-4), in the frequency domain.

A recursive filter in Python is too slow, and scipy, which has a fast one, takes 73 MB of memory and 2 s to load. The
tests compare the result with pyloudnorm, which uses scipy.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# The filters of the standard at 48 kHz, as analogue prototypes that fit any rate (as in libebur128).
_SHELF_HZ, _SHELF_GAIN_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
_SHELF_SLOPE = 0.4996667741545416

TAIL_S = 0.1
"""For how long the filters ring. The slower one decays by e every 4.2 ms."""


def k_weighted(sound: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """Returns the weighted samples: [n], on the scale of `sound`.

    Args:
        sound: [n] samples of a mono sound, before which there is silence.
        rate_hz: Their rate, in Hz.
    """
    n_fft = _fast_length(len(sound) + round(TAIL_S * rate_hz))
    spectrum = np.fft.rfft(sound, n_fft) * _response(n_fft, rate_hz)
    return np.fft.irfft(spectrum, n_fft)[: len(sound)]


def _fast_length(n: int) -> int:
    """The next power of two, or three quarters of it."""
    power = 1 << max(n - 1, 4).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= n else power


@lru_cache(maxsize=4)
def _response(n_fft: int, rate_hz: int) -> NDArray[np.complex128]:
    """The frequency response of both filters: [n_fft // 2 + 1]."""
    delay = np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft)
    return _shelf(delay, rate_hz) * _high_pass(delay, rate_hz)


def _shelf(delay: NDArray[np.complex128], rate_hz: int) -> NDArray[np.complex128]:
    k = np.tan(np.pi * _SHELF_HZ / rate_hz)
    high = 10 ** (_SHELF_GAIN_DB / 20)
    band = high**_SHELF_SLOPE
    above = (high + band * k / _SHELF_Q + k * k, 2 * (k * k - high), high - band * k / _SHELF_Q + k * k)
    return _biquad(above, k, _SHELF_Q, delay)


def _high_pass(delay: NDArray[np.complex128], rate_hz: int) -> NDArray[np.complex128]:
    k = np.tan(np.pi * _HIGH_PASS_HZ / rate_hz)
    # The standard gives this filter a gain of 1 before its denominator is normalised.
    gain = 1 + k / _HIGH_PASS_Q + k * k
    return _biquad((gain, -2 * gain, gain), k, _HIGH_PASS_Q, delay)


def _biquad(
    above: tuple[float, float, float], k: float, q: float, delay: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """The response of a filter of second order.

    Args:
        above: Coefficients of the numerator.
        k: Tangent of half the filter's angular frequency; with `q` it gives the denominator.
        delay: The delay of one sample at each frequency.
    """
    below = (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)
    numerator, denominator = (a + delay * (b + delay * c) for a, b, c in (above, below))
    return np.asarray(numerator / denominator)
