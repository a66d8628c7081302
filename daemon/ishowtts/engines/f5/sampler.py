"""Euler's method through the flow, with classifier-free guidance: everything here is fp32 except inside the model."""

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
    """What one evaluation reads and writes, for B lines.

    Attributes:
        y: the state, fp32 [B, N, 100]; zero behind the end of a line.
        difference: between the branches at the last guided evaluation, fp32 [B, N, 100].
        given: of both branches.
        at: AdaLN at the evaluation's time.
        dt: to the next time, fp32 scalar.
    """

    y: Tensor
    difference: Tensor
    given: Condition
    at: Modulation
    dt: Tensor


def step(model: Dit, stage: StaticBuffers, guidance: Guidance, cfg_strength: float) -> None:
    """One evaluation and one step of Euler's method: `stage.y` moves on."""
    guided = guidance is Guidance.FULL
    lines = len(stage.y)
    flow = dit.velocity(model, stage.y, stage.given.branches(2 * lines if guided else lines), stage.at)
    lengths = stage.given.lengths
    model.elementwise.advance(
        stage.y, flow, stage.dt, stage.difference,
        strength=0.0 if guidance is Guidance.NONE else cfg_strength,
        guided=guided,
        keep=None if lengths is None else lengths.keep[:lines],
    )  # fmt: skip


def integrate(plan: Sequence[Guidance], advance: Callable[[int, Guidance], None], cancelled: IsCancelled) -> None:
    """Every evaluation in turn.

    Args:
        advance: does evaluation `i`.

    Raises:
        Cancelled: `cancelled()` turned true; it is asked before every evaluation.
    """
    for i, guidance in enumerate(plan):
        if cancelled():
            raise Cancelled
        advance(i, guidance)


def new_state(noise: Sequence[Tensor], padded: int) -> tuple[Tensor, Tensor]:
    """`y` and `difference` at the beginning, from noise [frames, mels] for each line."""
    y = torch.empty(len(noise), padded, noise[0].shape[1], device=noise[0].device)
    start(y, noise)
    return y, torch.zeros_like(y)


def start(y: Tensor, noise: Sequence[Tensor]) -> None:
    """Overwrite a state, fp32 [B, N, mels], with noise [frames, mels] for each line, and zeros behind it."""
    y.zero_()
    for row, drawn in zip(y, noise, strict=True):
        row[: len(drawn)] = drawn
