"""Speech to learn from, and trainings so small that a step clips a blink."""

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

# Without torch, f5-tts and its dictionaries (the suite on Python 3.10) these cannot even be read.
collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """CTranslate2, under Whisper, sets the threads of torch in its process too.

    Two of them on two busy cores wait for one another: a test of a second then clips a minute.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def speech() -> list[NDArray[np.float32]]:
    """Three sentences of espeak-ng, fp32 at 24 kHz; nobody writes into them."""
    lines = (
        "The train to the north leaves at nine.",
        "Please close the window.",
        "Nobody knew why the clock had stopped.",
    )
    return [_spoken(line) for line in lines]


@pytest.fixture
def tiny() -> dict[str, Any]:
    """What a `VocoderRecipe` of a blink is told."""
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


def _spoken(line: str) -> NDArray[np.float32]:
    said = subprocess.run(["espeak-ng", "-v", "en-us", "--stdout", line], capture_output=True, check=True, timeout=20)
    wave, rate_hz = soundfile.read(io.BytesIO(said.stdout), dtype="float32")
    loud = np.flatnonzero(np.abs(wave) > 0.01)
    return np.asarray(soxr.resample(wave[loud[0] : loud[-1]], rate_hz, 24_000), np.float32)
