"""The times at which the flow is evaluated, and the guidance of each evaluation."""

from __future__ import annotations

import math
from enum import Enum

import torch
from torch import Tensor

SWAY = -1.0

# Empirically pruned steps (Fast F5-TTS, EPSS) in thirty-seconds of the way, like upstream's `get_epss_timesteps`.
_EPSS: dict[int, list[int]] = {
    5: [0, 2, 4, 8, 16, 32],
    6: [0, 2, 4, 6, 8, 16, 32],
    7: [0, 2, 4, 6, 8, 16, 24, 32],
    10: [0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32],
    12: [0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32],
    16: [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32],
}
_EARLY = 0.08  # of the way. At NFE 7 these are the first four steps, together less than a twelfth of the way


class Guidance(Enum):
    """The classifier-free guidance of one evaluation."""

    FULL = "both branches"
    REUSE = "the conditional branch, and the last difference between the two"
    NONE = "the conditional branch alone"


def times(nfe_step: int) -> Tensor:
    """The times of the evaluations and the end, fp32 [nfe_step + 1], from 0 to 1.

    EPSS if it is defined for this number, else uniform; then sway sampling (F5-TTS, equation 7), like upstream's
    `CFM.sample`.
    """
    pruned = _EPSS.get(nfe_step)
    t = torch.linspace(0, 1, nfe_step + 1) if pruned is None else torch.tensor(pruned) * (1 / 32)
    return t + SWAY * (torch.cos(torch.pi / 2 * t) - 1 + t)


def guidance(nfe_step: int, skip: str | None) -> list[Guidance]:
    """The guidance of each evaluation.

    The last steps are nine tenths of the way, so guidance is only left out in the first ones.

    Args:
        skip: `None`: all are guided; `plain`: the first ones are not; `reuse`: they reuse the first difference.
    """
    if skip is None:
        return [Guidance.FULL] * nfe_step
    early = [bool(end <= _EARLY) for end in times(nfe_step)[1:]]
    if skip == "plain":
        return [Guidance.NONE if is_early else Guidance.FULL for is_early in early]
    return [Guidance.REUSE if is_early and i > 0 else Guidance.FULL for i, is_early in enumerate(early)]


def time_features(t: Tensor) -> Tensor:
    """The sinusoids of the times: fp32 [steps] to [steps, 256], like upstream's `SinusPositionEmbedding(256)`."""
    half = 128
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10_000) / (half - 1)))
    angles = 1000 * t.float().unsqueeze(1) * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def is_pruned(nfe_step: int) -> bool:
    """Whether EPSS is defined for this number of evaluations."""
    return nfe_step in _EPSS
