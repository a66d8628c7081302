"""Euler's method through the flow, with classifier-free guidance: everything here is fp32 except inside the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ishowtts.engines import Cancelled, IsCancelled
from ishowtts.engines.f5.schedule import Guidance

Velocity = Callable[[int, Tensor, bool], Tensor]
"""Evaluation `i` at `y` [B, N, 100], guided or not: [2B or B, N, 100], conditional branches first."""


def integrate(
    y: Tensor,
    times: Tensor,
    plan: Sequence[Guidance],
    velocity: Velocity,
    *,
    cfg_strength: float,
    cancelled: IsCancelled,
) -> Tensor:
    """From noise to mel, [B, N, 100].

    Raises:
        Cancelled: `cancelled()` turned true; it is asked before every evaluation.
    """
    steps = times.diff().tolist()
    difference: Tensor | None = None
    for i, (dt, guidance) in enumerate(zip(steps, plan, strict=True)):
        if cancelled():
            raise Cancelled
        if guidance is Guidance.FULL:
            flow, without = velocity(i, y, True).chunk(2)
            difference = flow - without
        else:
            flow = velocity(i, y, False)
        if guidance is not Guidance.NONE and difference is not None:
            flow = flow + difference * cfg_strength
        y = y + dt * flow
    return y
