"""Speech for training, and a vocoder recipe so small that a step takes milliseconds."""

from __future__ import annotations

import importlib.util
import io
import subprocess
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

# The suite on Python 3.10 has no torch, f5-tts and dictionaries, so these modules cannot be imported.
collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Restore one thread for PyTorch, because CTranslate2 (Whisper) changes the number for the whole process.

    Two threads on two busy cores wait for each other: a test of one second then takes a minute.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def speech() -> list[NDArray[np.float32]]:
    """Three sentences by espeak-ng, fp32 at 24 kHz. Tests must not modify them."""
    lines = (
        "The train to the north leaves at nine.",
        "Please close the window.",
        "Nobody knew why the clock had stopped.",
    )
    return [_synthesize(line) for line in lines]


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Arguments of a `VocoderRecipe` that trains quickly."""
    return {
        "dim": 32,
        "intermediate_dim": 64,
        "num_layers": 2,
        "batch": 3,
        "crop_frames": 16,
        "steps": 100,
        "pretrain_steps": 100,
        "learning_rate": 2e-3,
        "warmup_steps": 2,
        "stft_windows": (1024, 256),
        "adversaries": {"periods": (2, 5), "period_widths": (4, 8, 8), "windows": (256,), "window_width": 2},
        "log_every": 1,
    }


def _synthesize(line: str) -> NDArray[np.float32]:
    done = subprocess.run(["espeak-ng", "-v", "en-us", "--stdout", line], capture_output=True, check=True, timeout=20)
    wave, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    loud = np.flatnonzero(np.abs(wave) > 0.01)
    return np.asarray(soxr.resample(wave[loud[0] : loud[-1]], rate_hz, 24_000), np.float32)
