"""Our mel spectrogram equals librosa's, which the networks were trained on. torchaudio computes the same one."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.errors import EngineError
from ishowtts_bench.metrics.mel_16k import RATE_HZ, mel_spectrogram, non_silent
from support.speaking import noise


def test_the_spectrogram_is_that_of_librosa() -> None:
    import torch
    from torchaudio.transforms import MelSpectrogram

    sound = noise(0.5)
    theirs = MelSpectrogram(
        RATE_HZ, n_fft=400, hop_length=160, n_mels=40, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )(torch.from_numpy(sound))
    assert np.allclose(mel_spectrogram(sound, 400, 160, 40), theirs.T.numpy(), rtol=1e-3, atol=1e-6)


def test_silence_is_refused() -> None:
    with pytest.raises(EngineError, match="no sound to measure"):
        non_silent(np.zeros(100, dtype=np.float32), RATE_HZ)
