"""Speaker encoder: the weights of Resemblyzer (GE2E, Apache-2.0), applied to our own spectrogram.

The package itself is not imported, because it needs webrtcvad. Here pauses are removed by their loudness.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray

from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics.mel_16k import mel_spectrogram, non_silent
from ishowtts_bench.metrics.metric_packages import RESEMBLYZER, need, read

Embedding = NDArray[np.float32]
"""Shape [256], length 1, no negative value."""

_N_FFT, _HOP, _MELS = 400, 160, 40
_PART_FRAMES, _PART_STEP_FRAMES = 160, 77  # 1.6 s, half overlapping: Resemblyzer's default of 1.3 parts a second
_PART_SAMPLES = _PART_FRAMES * _HOP
_MIN_RMS = 10 ** (-30 / 20)  # quieter sounds are amplified to this
_PAUSE = 10 ** (-35 / 20)  # relative to the loudest window
_WINDOW = 480  # samples, 30 ms
_KEPT_WINDOWS = 3  # before and after speech, 90 ms


class SpeakerEncoder:
    """The encoder, with 1.4 million weights. Loading them does not run code of the file."""

    def __init__(self) -> None:
        """Raises EngineError if the package is missing."""
        need(*RESEMBLYZER)
        file = io.BytesIO(read("resemblyzer", "pretrained.pt"))
        state = torch.load(file, map_location="cpu", weights_only=True)["model_state"]
        self._lstm = torch.nn.LSTM(_MELS, 256, 3, batch_first=True)
        self._linear = torch.nn.Linear(256, 256)
        for module, prefix in ((self._lstm, "lstm."), (self._linear, "linear.")):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})

    def embed(self, sound: FloatSamples, rate_hz: int) -> Embedding:
        """Compute the embedding of the voice in mono samples. Some seconds give a better one than a single word.

        Raises:
            EngineError: The sound is silent.
        """
        speech = _without_pauses(_loud_enough(non_silent(sound, rate_hz)))
        speech = np.pad(speech, (0, max(0, _PART_SAMPLES - len(speech))))
        mel = torch.from_numpy(mel_spectrogram(speech, _N_FFT, _HOP, _MELS).astype(np.float32))
        parts = mel.unfold(0, _PART_FRAMES, _PART_STEP_FRAMES).transpose(1, 2)
        with torch.inference_mode():
            _, (hidden, _) = self._lstm(parts)
            each = torch.nn.functional.normalize(torch.relu(self._linear(hidden[-1])), dim=1)
            found: Embedding = torch.nn.functional.normalize(each.mean(dim=0), dim=0).numpy()
        return found


def similarity(a: Embedding, b: Embedding) -> float:
    """Cosine, 0 to 1. The same voice gives about 0.85 to 0.9, two voices 0.45 to 0.6; 0.7 separates them."""
    return float(a @ b)


def _loud_enough(sound: FloatSamples) -> FloatSamples:
    level = float(np.sqrt(np.mean(sound**2)))
    return (sound * max(1.0, _MIN_RMS / level)).astype(np.float32)


def _without_pauses(sound: FloatSamples) -> FloatSamples:
    """Remove quiet windows of 30 ms. A sound that is shorter than a window stays."""
    windows: FloatSamples = sound[: len(sound) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    if len(windows) == 0:
        return sound
    levels = np.sqrt(np.mean(windows**2, axis=1))
    spoken = np.flatnonzero(levels > _PAUSE * levels.max())
    near = np.abs(np.arange(len(windows))[:, None] - spoken).min(axis=1) <= _KEPT_WINDOWS
    kept: FloatSamples = windows[near].reshape(-1)
    return kept
