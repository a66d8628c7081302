"""Whose voice it is: Resemblyzer's speaker encoder (GE2E, Apache-2.0) over our own spectrogram.

Nothing of the package is imported: it wants webrtcvad, for which pauses are cut out by loudness here.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray

from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics.mel_16k import at_16_khz, mel_spectrogram
from ishowtts_bench.metrics.metric_packages import RESEMBLYZER, need, read

Embedding = NDArray[np.float32]
"""[256], of length 1, nowhere negative."""

_N_FFT, _HOP, _MELS = 400, 160, 40
_PART_FRAMES, _STRIDE_FRAMES = 160, 77  # 1.6 s, each about half over the next, as Resemblyzer's default of 1.3 a second
_PART = _PART_FRAMES * _HOP
_QUIETEST = 10 ** (-30 / 20)  # what is quieter is raised to this, as root mean square
_PAUSE = 10 ** (-35 / 20)  # of the loudest window
_WINDOW = 480
_KEPT_WINDOWS = 3  # on both sides of speech: 90 ms


class SpeakerEncoder:
    """The encoder: 1.4 million weights, loaded without running anything that the file might say."""

    def __init__(self) -> None:
        """Raises EngineError where the package is missing."""
        need(*RESEMBLYZER)
        file = io.BytesIO(read("resemblyzer", "pretrained.pt"))
        state = torch.load(file, map_location="cpu", weights_only=True)["model_state"]
        self._lstm = torch.nn.LSTM(_MELS, 256, 3, batch_first=True)
        self._linear = torch.nn.Linear(256, 256)
        for module, prefix in ((self._lstm, "lstm."), (self._linear, "linear.")):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})

    def embed(self, sound: FloatSamples, rate_hz: int) -> Embedding:
        """The voice in [samples] of mono sound; seconds of it make a better one than a word.

        Raises:
            EngineError: it is silent.
        """
        speech = _without_pauses(_loud_enough(at_16_khz(sound, rate_hz)))
        speech = np.pad(speech, (0, max(0, _PART - len(speech))))
        mel = torch.from_numpy(mel_spectrogram(speech, _N_FFT, _HOP, _MELS).astype(np.float32))
        parts = mel.unfold(0, _PART_FRAMES, _STRIDE_FRAMES).transpose(1, 2)
        with torch.inference_mode():
            _, (hidden, _) = self._lstm(parts)
            each = torch.nn.functional.normalize(torch.relu(self._linear(hidden[-1])), dim=1)
            found: Embedding = torch.nn.functional.normalize(each.mean(dim=0), dim=0).numpy()
        return found


def similarity(a: Embedding, b: Embedding) -> float:
    """Cosine, 0 to 1: one voice has some 0.85 to 0.9, two have some 0.45 to 0.6; 0.7 lies between."""
    return float(a @ b)


def _loud_enough(sound: FloatSamples) -> FloatSamples:
    level = float(np.sqrt(np.mean(sound**2)))
    return (sound * max(1.0, _QUIETEST / level)).astype(np.float32)


def _without_pauses(sound: FloatSamples) -> FloatSamples:
    """What is left of whole windows of 30 ms; a sound shorter than one stays."""
    windows: FloatSamples = sound[: len(sound) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    if len(windows) == 0:
        return sound
    levels = np.sqrt(np.mean(windows**2, axis=1))
    spoken = np.flatnonzero(levels > _PAUSE * levels.max())
    near = np.abs(np.arange(len(windows))[:, None] - spoken).min(axis=1) <= _KEPT_WINDOWS
    kept: FloatSamples = windows[near].reshape(-1)
    return kept
