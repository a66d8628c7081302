"""Limits how many things of one kind are reported one by one; the others are counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

FLOOD_S = 10.0


class RateLimit:
    """Lets the first few in 10 s through and counts the others. Thread-safe.

    Args:
        first: How many are let through in each 10 s.
        now_s: Returns monotonic seconds.
    """

    def __init__(self, first: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._first = first
        self._now_s = now_s
        self._lock = threading.Lock()
        self._ends_s = 0.0
        self._seen = 0
        self._held_back: Counter[str] = Counter()

    def allows(self, kind: str = "") -> bool:
        """Returns whether one more is let through. If not, it is counted under `kind` until `held_back` returns it."""
        with self._lock:
            if self._now_s() >= self._ends_s:
                self._ends_s = self._now_s() + FLOOD_S
                self._seen = 0
            self._seen += 1
            if self._seen > self._first:
                self._held_back[kind] += 1
            return self._seen <= self._first

    def held_back(self, *, last: bool = False) -> Counter[str]:
        """Returns and clears the counts of what was not let through. Empty until the 10 s are over.

        Args:
            last: Return the counts now.
        """
        with self._lock:
            if not last and self._now_s() < self._ends_s:
                return Counter()
            counts, self._held_back = self._held_back, Counter()
            return counts
