"""Resamples a clip like `torchaudio.transforms.Resample`, without torchaudio.

Upstream resamples the clips of voices with it. soxr, which converts all other sounds here, differs from it by at least
0.4 % of the peak, at every rate and in each of its five qualities.

The method is band-limited interpolation (J. O. Smith, "Digital Audio Resampling"): a sum of input samples, weighted
with a sinc below a Hann window. Output sample i lies at the input position i · from_hz / to_hz. Its fraction repeats
after to_hz / gcd(from_hz, to_hz) samples, so there is one filter for each of these phases.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_ZERO_CROSSINGS = 6  # of the sinc, on each side
_ROLLOFF = 0.99  # the cutoff, as a share of the lower of the two Nyquist frequencies


def resample(audio: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Convert the sample rate.

    Args:
        audio: fp32 [channels, samples] on the CPU.
        from_hz: sample rate of `audio`.
        to_hz: sample rate of the result.

    Returns:
        fp32 [channels, ceil(samples · to_hz / from_hz)].
    """
    common = math.gcd(from_hz, to_hz)
    step, phases = from_hz // common, to_hz // common
    weights, starts = _filters(step, phases)
    taps = weights.shape[1]
    length = -(-audio.shape[-1] * phases // step)
    padded = F.pad(audio, (taps // 2, taps // 2 + step))
    count = -(-length // phases)
    resampled = audio.new_zeros(len(audio), count, phases)
    for phase, (start, row) in enumerate(zip(starts, weights, strict=True)):
        # In pieces of at most `step` taps, whose windows do not overlap: a product of those needs no copy of them.
        for tap, piece in zip(range(start, start + taps, step), row.split(step), strict=True):
            windows = padded[:, tap:].unfold(-1, len(piece), step)[:, :count]
            resampled[:, :, phase] += windows @ piece
    return resampled.flatten(1)[:, :length]


def _filters(step: int, phases: int) -> tuple[Tensor, list[int]]:
    """The filter of each phase, fp32 [phases, taps], and the input sample that is in the middle of its first use.

    That number is also where this use begins in the padded sound. Only the taps below the window are made, so their
    number does not grow with the common period of odd rates.
    """
    cutoff = min(step, phases) * _ROLLOFF
    reach = math.ceil(_ZERO_CROSSINGS * step / cutoff)
    first = [phase * step // phases for phase in range(phases)]
    samples = torch.tensor(first)[:, None] + torch.arange(-reach, reach + 1)
    # Rounded to fp32 as in torchaudio: exact positions make white noise at 44,150 Hz differ by 2e-5 of the peak.
    positions = (torch.arange(phases, dtype=torch.float32) / phases)[:, None]
    crossings = ((samples.double() / step - positions) * cutoff).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(crossings * (math.pi / 2 / _ZERO_CROSSINGS)) ** 2
    return (torch.sinc(crossings) * window * (cutoff / step)).float(), first
