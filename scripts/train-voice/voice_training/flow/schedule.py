"""How large a step is, and how long a sample, as training goes on."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear up to `peak`, then half a cosine down to a hundredth of it at the last step."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def longest(step: int, steps: int, short: float, final: float, growing: float) -> float:
    """From `short` to `final` over the first share `growing` of all steps."""
    done = 1.0 if growing == 0 else min(1.0, step / (growing * steps))
    return short + (final - short) * done
