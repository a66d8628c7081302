"""Euler's method along the flow, with classifier-free guidance. Everything is fp32 except inside the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ishowtts.engines.f5 import dit
from ishowtts.engines.f5.dit import Condition, Dit, Modulation
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.errors import Cancelled
from ishowtts.model import IsCancelled


@dataclass(frozen=True)
class StaticBuffers:
    """The tensors that one evaluation reads and writes, for B segments.

    Attributes:
        y: the state, fp32 [B, N, 100]; zero after the end of a segment.
        difference: conditional minus unconditional flow of the last guided evaluation, fp32 [B, N, 100].
        condition: the condition of both branches.
        at: AdaLN at the time of the evaluation.
        dt: the time step to the next evaluation, fp32 scalar.
    """

    y: Tensor
    difference: Tensor
    condition: Condition
    at: Modulation
    dt: Tensor


def step(model: Dit, buffers: StaticBuffers, guidance: Guidance, cfg_strength: float) -> None:
    """Do one evaluation and one step of Euler's method on `buffers.y`, in place."""
    guided = guidance is Guidance.FULL
    segments = len(buffers.y)
    flow = dit.velocity(model, buffers.y, buffers.condition.branches(2 * segments if guided else segments), buffers.at)
    lengths = buffers.condition.lengths
    model.elementwise.advance(
        buffers.y, flow, buffers.dt, buffers.difference,
        strength=0.0 if guidance is Guidance.NONE else cfg_strength,
        guided=guided,
        keep=None if lengths is None else lengths.keep[:segments],
    )  # fmt: skip


def integrate(plan: Sequence[Guidance], advance: Callable[[int, Guidance], None], cancelled: IsCancelled) -> None:
    """Do every evaluation of a plan.

    Args:
        advance: does evaluation `i` with this guidance.

    Raises:
        Cancelled: `cancelled()` turned true; it is asked before every evaluation.
    """
    for i, guidance in enumerate(plan):
        if cancelled():
            raise Cancelled
        advance(i, guidance)


def new_state(noise: Sequence[Tensor], padded: int) -> tuple[Tensor, Tensor]:
    """The first `y` and `difference`, from the noise [frames, mels] of each segment."""
    y = torch.empty(len(noise), padded, noise[0].shape[1], device=noise[0].device)
    start(y, noise)
    return y, torch.zeros_like(y)


def start(y: Tensor, noise: Sequence[Tensor]) -> None:
    """Overwrite a state, fp32 [B, N, mels], with the noise [frames, mels] of each segment and zeros after it."""
    y.zero_()
    for row, drawn in zip(y, noise, strict=True):
        row[: len(drawn)] = drawn
