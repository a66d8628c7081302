"""Our spectrogram is the one that the networks were trained on: librosa's, which torchaudio can make, too."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.errors import EngineError
from ishowtts_bench.metrics.mel_16k import RATE_HZ, at_16_khz, mel_spectrogram
from support.speaking import noise


def test_it_is_librosas() -> None:
    import torch
    from torchaudio.transforms import MelSpectrogram

    sound = noise(0.5)
    theirs = MelSpectrogram(
        RATE_HZ, n_fft=400, hop_length=160, n_mels=40, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )(torch.from_numpy(sound))
    assert np.allclose(mel_spectrogram(sound, 400, 160, 40), theirs.T.numpy(), rtol=1e-3, atol=1e-6)


def test_no_sound_is_told() -> None:
    with pytest.raises(EngineError, match="no sound to judge"):
        at_16_khz(np.zeros(100, dtype=np.float32), RATE_HZ)
