"""Arithmetic of durations: how long a sound can plausibly be, and how segments share the time of one run."""

from __future__ import annotations

from collections.abc import Sequence

_PLAUSIBLE_BASE_S = 10.0
_PLAUSIBLE_S_PER_BYTE = 1.0


def longest_plausible_s(text: str, speed: float | None) -> float:
    """Returns the longest duration, in seconds, that the sound of a text can plausibly have.

    Args:
        text: the text of one segment.
        speed: speaking speed; `None` means 1.
    """
    sound_s = _PLAUSIBLE_BASE_S + len(text.encode("utf-8", "replace")) * _PLAUSIBLE_S_PER_BYTE
    return sound_s / min(speed or 1.0, 1.0)


def split_run_time(total_s: float, weights: Sequence[float]) -> list[float]:
    """Splits the time of one run over its segments. The sum of the shares is the total.

    Args:
        total_s: seconds that the run took.
        weights: one per segment, not negative: seconds of reference and sound. If all are 0, the shares are equal.
    """
    total_weight = sum(weights)
    if total_weight <= 0:
        return [total_s / len(weights) for _ in weights]
    return [total_s * weight / total_weight for weight in weights]
