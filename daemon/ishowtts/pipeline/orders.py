"""The commands that wait for the scheduler thread: bounded, so that a flood of one cannot delay another."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_MOST_OF_A_KIND = 100


@dataclass(frozen=True)
class _Order:
    kind: str
    same: Hashable
    do: Callable[[], None]


class Orders:
    """A bounded queue of functions. Any thread may add; one thread takes.

    Each kind has a bound of its own: while a flood of `pause` is refused, a `stop` is taken.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Order] = []
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, same: Hashable, do: Callable[[], None]) -> bool:
        """Adds one at the end; False if too many of its kind wait already.

        Args:
            kind: the command's word.
            same: equal for two orders that mean the same; one that equals the last one waiting is folded into it.
            do: carries it out.
        """
        with self._lock:
            if self._waiting and (self._waiting[-1].kind, self._waiting[-1].same) == (kind, same):
                return True
            if self._counts[kind] >= _MOST_OF_A_KIND:
                return False
            self._counts[kind] += 1
            self._waiting.append(_Order(kind, same, do))
            return True

    def take(self) -> list[Callable[[], None]]:
        """All that wait, in order; later ones wait for the next call, so that a flood cannot hold the caller."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._counts.clear()
        return [order.do for order in taken]

    def __bool__(self) -> bool:
        return bool(self._waiting)
