"""Draws series of values as one row of block characters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_UNKNOWN = " "

Values = Sequence["float | None"]


def sparkline(values: Values, low: float, high: float) -> str:
    """One character for each value: the lowest block for `low` and below, the full one for `high` and above.

    An unknown value is a space.
    """
    span = high - low if high > low else 1.0
    return "".join(_UNKNOWN if value is None else _LEVELS[_level((value - low) / span)] for value in values)


def progress_bar(share: float, width: int) -> tuple[str, str]:
    """The done part and the other part of a bar of this width."""
    done = round(min(1.0, max(0.0, share)) * width)
    return "█" * done, "░" * (width - done)


def by_time(points: Iterable[tuple[float, float | None]], now_s: float, step_s: float, count: int) -> Values:
    """The mean value of each of the last `count` steps of time; `None` if a step has none.

    The steps begin at multiples of `step_s`, so that a picture moves by whole characters. One empty step between two
    readings has the value of the earlier one, since readings do not come exactly in time.

    Args:
        points: Time and value; an unknown value is left out.
    """
    newest = math.floor(now_s / step_s)
    sums: list[list[float]] = [[] for _ in range(count)]
    for at_s, value in points:
        position = count - 1 - (newest - math.floor(at_s / step_s))
        if value is not None and 0 <= position < count:
            sums[position].append(value)
    means = [sum(found) / len(found) if found else None for found in sums]
    return [
        means[i - 1] if mean is None and i > 0 and (i == count - 1 or means[i + 1] is not None) else mean
        for i, mean in enumerate(means)
    ]


def _level(share: float) -> int:
    return min(len(_LEVELS) - 1, max(0, round(share * (len(_LEVELS) - 1))))
