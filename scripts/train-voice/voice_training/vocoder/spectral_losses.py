"""The distance between two sounds: by log mel spectrogram, and by spectra at several resolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from ishowtts.engines.f5.architecture import HOP, MELS, N_FFT, RATE_HZ

_MEL_FLOOR = 1e-5
_FLOOR = 1e-3  # below the rounding of 16-bit sound a magnitude carries no information


class LogMel(nn.Module):
    """Log mel spectrograms of a batch, with gradients. Equals `ishowtts.engines.f5.mel_spectrogram` bit for bit."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT))
        filters = torchaudio.functional.melscale_fbanks(N_FFT // 2 + 1, 0.0, RATE_HZ / 2, MELS, RATE_HZ)
        self.register_buffer("filters", filters)

    def forward(self, audio: Tensor) -> Tensor:
        """Convert fp32 [batch, samples] at 24 kHz to [batch, 100, samples // 256 + 1]."""
        spectrum = torch.stft(audio, N_FFT, HOP, window=self.window, pad_mode="reflect", return_complex=True)
        return torch.matmul(self.filters.t(), spectrum.abs()).clamp(min=_MEL_FLOOR).log()


class MultiResolutionStftLoss(nn.Module):
    """The multi-resolution STFT loss of Parallel WaveGAN: spectral convergence and L1 of log magnitudes.

    A mel spectrogram does not constrain the phase. Magnitudes at several window lengths do, because windows overlap:
    short windows see single pulses of the voice, long windows its harmonics.

    Args:
        windows: lengths in samples. The hop is a quarter of the length.
    """

    def __init__(self, windows: Sequence[int]) -> None:
        super().__init__()
        self._windows = tuple(windows)
        for length in self._windows:
            self.register_buffer(f"window_{length}", torch.hann_window(length))

    def forward(self, generated: Tensor, real: Tensor) -> Tensor:
        """The loss of a batch, fp32 [batch, samples] each; a scalar."""
        losses = []
        for length in self._windows:
            ours, theirs = self._magnitudes(generated, length), self._magnitudes(real, length)
            convergence = (theirs - ours).norm() / theirs.norm().clamp(min=_FLOOR)
            logs = F.l1_loss(ours.clamp(min=_FLOOR).log(), theirs.clamp(min=_FLOOR).log())
            losses.append(convergence + logs)
        return torch.stack(losses).mean()

    def _magnitudes(self, audio: Tensor, length: int) -> Tensor:
        window = self.get_buffer(f"window_{length}")
        return torch.stft(audio, length, length // 4, window=window, pad_mode="reflect", return_complex=True).abs()
