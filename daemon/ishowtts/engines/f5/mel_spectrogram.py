"""Converts sound to the mel spectrogram of F5 and Vocos, and Fourier coefficients back to sound, in fp32."""

from __future__ import annotations

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import HOP, MELS, N_FFT, RATE_HZ

_FLOOR = 1e-5


def log_mel(audio: Tensor) -> Tensor:
    """Convert sound to log mel: fp32 [samples] at 24 kHz to [samples // 256 + 1, 100].

    Equal to upstream's `get_vocos_mel_spectrogram` (torchaudio's MelSpectrogram with power 1, HTK scale, no norm).
    """
    window = torch.hann_window(N_FFT, device=audio.device)
    spectrum = torch.stft(audio, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    return torch.matmul(_mel_filters().to(audio.device).t(), spectrum.abs()).clamp(min=_FLOOR).log().t().contiguous()


def inverse(magnitude: Tensor, phase: Tensor) -> Tensor:
    """Convert magnitude and phase, fp32 [513, frames], to sound [(frames - 1) * 256]: the ISTFT of Vocos' head."""
    window = torch.hann_window(N_FFT, device=magnitude.device)
    return torch.istft(torch.polar(magnitude, phase), N_FFT, HOP, N_FFT, window, center=True)


def _mel_filters() -> Tensor:
    """Triangular filters on the HTK mel scale, [513, 100], like torchaudio's `melscale_fbanks`."""
    bins_hz = torch.linspace(0, RATE_HZ // 2, N_FFT // 2 + 1)
    top = 2595.0 * torch.log10(torch.tensor(1 + RATE_HZ / 2 / 700.0, dtype=torch.float64)).item()
    corners_hz = 700.0 * (10.0 ** (torch.linspace(0.0, top, MELS + 2) / 2595.0) - 1.0)
    widths = corners_hz.diff()
    slopes = corners_hz.unsqueeze(0) - bins_hz.unsqueeze(1)
    rising, falling = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0)
