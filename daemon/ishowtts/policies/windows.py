"""How much was taken in the last minute: of all, of each author, of work."""

from __future__ import annotations

import math
from collections import OrderedDict, deque

SPAN_S = 60.0
_MOST_AUTHORS = 4096


class Window:
    """A sliding minute. It keeps what was taken in it, and so no more than `limit` entries."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._taken: deque[tuple[float, int]] = deque()

    def wait_s(self, amount: int, now_s: float) -> float:
        """Seconds until so much fits, 0 where it does now; infinite for more than the limit."""
        self._forget(now_s)
        if amount > self.limit:
            return math.inf
        left = self.total
        for taken_s, taken in self._taken:
            if left + amount <= self.limit:
                break
            left -= taken
            wait_s = SPAN_S - (now_s - taken_s)
        return 0.0 if left == self.total else wait_s

    def take(self, amount: int, now_s: float) -> None:
        """Count it."""
        self._taken.append((now_s, amount))
        self.total += amount

    def _forget(self, now_s: float) -> None:
        while self._taken and now_s - self._taken[0][0] >= SPAN_S:
            self.total -= self._taken.popleft()[1]


class AuthorWindows:
    """A window for each author of the last minute; of a flood of invented ones, for the latest 4096."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._latest: OrderedDict[str, tuple[Window, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._latest)

    def wait_s(self, author: str, now_s: float) -> float:
        """Seconds until this author may have one more line; 0: now."""
        found = self._latest.get(author)
        return 0.0 if found is None else found[0].wait_s(1, now_s)

    def take(self, author: str, now_s: float) -> None:
        """Count one line."""
        window = self._latest[author][0] if author in self._latest else Window(self._limit)
        window.take(1, now_s)
        self._latest[author] = (window, now_s)
        self._latest.move_to_end(author)
        while len(self._latest) > _MOST_AUTHORS or now_s - next(iter(self._latest.values()))[1] >= SPAN_S:
            self._latest.popitem(last=False)
