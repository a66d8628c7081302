"""What each segment of a run took of its time. Arithmetic alone."""

from __future__ import annotations

from collections.abc import Sequence


def shared(total_s: float, weights: Sequence[float]) -> list[float]:
    """The seconds of a run shared out by weight; their sum is the total.

    Args:
        weights: of each segment, not negative: seconds of reference and sound. Where all are 0 the shares are equal.
    """
    whole = sum(weights)
    if whole <= 0:
        return [total_s / len(weights) for _ in weights]
    return [total_s * weight / whole for weight in weights]
