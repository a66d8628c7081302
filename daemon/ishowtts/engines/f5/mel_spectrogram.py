"""Converts sound to the mel spectrogram of F5 and Vocos, and Fourier coefficients back to sound, in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.architecture import HOP, MELS, N_FFT, RATE_HZ

_FLOOR = 1e-5
_OVERLAP = N_FFT // HOP  # frames that share each sample


def log_mel(audio: Tensor) -> Tensor:
    """Convert sound to log mel: fp32 [samples] at 24 kHz to [samples // 256 + 1, 100].

    Equal to upstream's `get_vocos_mel_spectrogram` (torchaudio's MelSpectrogram with power 1, HTK scale, no norm).
    """
    window = _window(audio.device)
    spectrum = torch.stft(audio, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    return torch.matmul(_mel_filters().to(audio.device).t(), spectrum.abs()).clamp(min=_FLOOR).log().t().contiguous()


def inverse(magnitude: Tensor, phase: Tensor, frames: Sequence[int]) -> list[Tensor]:
    """Convert magnitude and phase, fp32 [batch, longest, 513], to sounds of [(frames[i] - 1) * 256] each.

    Each equals `torch.istft(center=True)` of its own frames, which is the head of Vocos. That function checks the
    window on the host, so it waits for the device; this one does not.
    """
    window = _window(magnitude.device)
    waves = torch.fft.irfft(torch.polar(magnitude, phase), N_FFT) * window
    return [_overlap_add(wave[:count], window) for wave, count in zip(waves, frames, strict=True)]


def _overlap_add(waves: Tensor, window: Tensor) -> Tensor:
    """Add windowed frames, [frames, 1024], 256 samples apart: [(frames - 1) * 256].

    As with `center=True`, half a frame is cut off at each end, and the sum is divided by that of the squared windows.
    """
    blocks = len(waves) - 1
    # A frame of zeros at each end: the first and the last block of the sound have one frame less than the others.
    parts = F.pad(waves.view(-1, _OVERLAP, HOP), (0, 0, 0, 0, 1, 1))
    total = sum(parts[_OVERLAP - 1 - k :][:blocks, k] for k in range(_OVERLAP))
    squares = window.square().view(_OVERLAP, HOP)
    envelope = squares.sum(0).repeat(blocks, 1)
    envelope[:1] -= squares[-1]
    envelope[-1:] -= squares[0]
    return (total / envelope).flatten()


@lru_cache(2)
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(N_FFT, device=device)


def _mel_filters() -> Tensor:
    """Triangular filters on the HTK mel scale, [513, 100], like torchaudio's `melscale_fbanks`."""
    bins_hz = torch.linspace(0, RATE_HZ // 2, N_FFT // 2 + 1)
    top = 2595.0 * torch.log10(torch.tensor(1 + RATE_HZ / 2 / 700.0, dtype=torch.float64)).item()
    corners_hz = 700.0 * (10.0 ** (torch.linspace(0.0, top, MELS + 2) / 2595.0) - 1.0)
    widths = corners_hz.diff()
    slopes = corners_hz.unsqueeze(0) - bins_hz.unsqueeze(1)
    rising, falling = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0)
