"""Speech to judge: espeak-ng, at the rate of every engine's sound."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE_HZ = 24_000


def said(text: str, voice: str = "en-us") -> NDArray[np.float32]:
    """Float32 [samples] at 24 kHz."""
    done = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True)
    samples, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    return np.asarray(soxr.resample(samples, rate_hz, RATE_HZ), dtype=np.float32)


def noise(length_s: float) -> NDArray[np.float32]:
    """White, a tenth of the peak."""
    return 0.1 * np.random.default_rng(0).standard_normal(round(length_s * RATE_HZ)).astype(np.float32)
