"""Sample formats and sample rates: resampling, and the conversion of float samples to int16."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from ishowtts.model import Samples

FloatPcm = NDArray[np.float32]
"""Mono float samples on the scale of int16 (full scale is 32768)."""

INT16_FULL_SCALE = 32768.0
"""Full scale of int16. Divide by it to get samples in [-1, 1]."""
_INT16_MAX = 32767


def resample(samples: Samples | FloatPcm, rate_hz: int, to_hz: int) -> Samples | FloatPcm:
    """Converts [n] samples to another rate (soxr, high quality). Returns `samples` itself if the rates are equal."""
    if rate_hz == to_hz:
        return samples
    sound: FloatPcm = soxr.resample(samples.astype(np.float32), rate_hz, to_hz).astype(np.float32)
    return sound


def to_int16(sound: Samples | FloatPcm) -> Samples:
    """Rounds [n] samples on the scale of int16, and clips them at full scale."""
    return np.clip(np.rint(sound), -_INT16_MAX - 1, _INT16_MAX).astype(np.int16)


def unit_to_int16(sound: NDArray[np.float32] | NDArray[np.float64]) -> Samples:
    """Converts [n] samples in [-1, 1] to int16: 1.0 becomes 32767. Louder samples are clipped and do not wrap."""
    samples: Samples = np.rint(np.clip(sound, -1.0, 1.0) * _INT16_MAX).astype(np.int16)
    return samples
