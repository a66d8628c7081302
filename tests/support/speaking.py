"""Makes test speech with espeak-ng, at 24 kHz."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE_HZ = 24_000


def said(text: str, voice: str = "en-us") -> NDArray[np.float32]:
    """Returns the sound of a text, float32 [samples] at 24 kHz."""
    done = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True)
    samples, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    return np.asarray(soxr.resample(samples, rate_hz, RATE_HZ), dtype=np.float32)


def noise(length_s: float) -> NDArray[np.float32]:
    """Returns white noise with a standard deviation of 0.1, float32 [samples] at 24 kHz."""
    return 0.1 * np.random.default_rng(0).standard_normal(round(length_s * RATE_HZ)).astype(np.float32)
