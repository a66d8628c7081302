"""Finds when an appliance was silent although it should have spoken."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[float, float]
"""Begin and end, in monotonic seconds."""


@dataclass(frozen=True)
class Silence:
    """Nothing was audible from `began_s` for `length_s`; `causes` are the faults of then."""

    began_s: float
    length_s: float
    causes: tuple[str, ...] = ()


def union(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, without overlaps."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif begin < end:
            found.append((begin, end))
    return found


def common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """What two lists of `union` have in common."""
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        begin, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if begin < end:
            found.append((begin, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


def silences(due: Iterable[Span], audible_s: Sequence[float], least_s: float) -> list[Silence]:
    """The silences of at least `least_s` within the spans in which sound was due.

    Args:
        audible_s: The moments at which sound was heard, in order.
    """
    found = []
    for begin, end in due:
        heard = audible_s[bisect_left(audible_s, begin) : bisect_right(audible_s, end)]
        moments = [begin, *heard, end]
        found += [Silence(a, b - a) for a, b in pairwise(moments) if b - a >= least_s]
    return found
