"""Samples from one rate to another, and back to whole numbers: what plays sound and what keeps it do alike."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from ishowtts.model import Samples

FloatPcm = NDArray[np.float32]
"""Mono sound in int16's scale."""


def converted(samples: Samples | FloatPcm, rate_hz: int, to_hz: int) -> Samples | FloatPcm:
    """[n] at another rate (soxr, high quality); the very samples where it is the same."""
    if rate_hz == to_hz:
        return samples
    sound: FloatPcm = soxr.resample(samples.astype(np.float32), rate_hz, to_hz).astype(np.float32)
    return sound


def whole(sound: Samples | FloatPcm) -> Samples:
    """[n] as S16: rounded, and clipped at full scale."""
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
