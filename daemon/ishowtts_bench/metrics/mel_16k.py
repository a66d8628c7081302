"""Input of the metrics: sound at 16 kHz, and mel spectrograms as librosa computes them (librosa loads for seconds)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import soxr
from numpy.typing import NDArray

from ishowtts.errors import EngineError
from ishowtts.util.crossfade import FloatSamples

RATE_HZ = 16_000
_LINEAR_HZ = 1000.0  # Slaney's scale: 15 mel up to here, logarithmic above
_LINEAR_MELS = 15.0
_LOG_STEP = np.log(6.4) / 27


def resampled(sound: FloatSamples, rate_hz: int) -> FloatSamples:
    """Resample mono samples to the rate of every metric, 16 kHz."""
    return np.asarray(soxr.resample(sound, rate_hz, RATE_HZ), dtype=np.float32)


def non_silent(sound: FloatSamples, rate_hz: int) -> FloatSamples:
    """Resample like `resampled`, for metrics that cannot measure silence.

    Raises:
        EngineError: The sound is empty or silent.
    """
    samples = resampled(sound, rate_hz)
    if not np.any(samples):
        raise EngineError("there is no sound to measure: it is empty or silent")
    return samples


def mel_spectrogram(sound: NDArray[np.floating], n_fft: int, hop: int, mels: int) -> NDArray[np.float64]:
    """Compute the energy in mel bands, [frames, mels], from samples at 16 kHz. `hop` is the distance of two frames."""
    padded = np.pad(sound.astype(np.float64), n_fft // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop] * window
    energies: NDArray[np.float64] = np.abs(np.fft.rfft(frames, axis=1)) ** 2 @ _bank(n_fft, mels)
    return energies


@lru_cache(maxsize=4)
def _bank(n_fft: int, mels: int) -> NDArray[np.float64]:
    """The filters, [frequencies, mels]: triangles of equal area."""
    frequencies = np.fft.rfftfreq(n_fft, 1 / RATE_HZ)
    corners = _to_hz(np.linspace(0, _to_mel(RATE_HZ / 2), mels + 2))
    widths = np.diff(corners)
    rising = (frequencies[:, None] - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - frequencies[:, None]) / widths[1:]
    bank: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * 2 / (corners[2:] - corners[:-2])
    return bank


def _to_mel(hz: float) -> float:
    return float(_LINEAR_MELS + np.log(hz / _LINEAR_HZ) / _LOG_STEP)


def _to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mels * _LINEAR_HZ / _LINEAR_MELS
    above = _LINEAR_HZ * np.exp(_LOG_STEP * (mels - _LINEAR_MELS))
    return np.where(mels < _LINEAR_MELS, linear, above)
