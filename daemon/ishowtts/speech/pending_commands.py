"""The commands that are not finished yet: bounded, so that a flood of one cannot delay another."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

_MOST_OF_A_KIND = 100

Do = Callable[[], "Future[Any] | None"]
"""Carries out a command. A future is done when the last part of it is; `None`: it is finished on return."""


@dataclass(frozen=True)
class _PendingCommand:
    kind: str
    same: Hashable
    do: Do


class PendingCommands:
    """A bounded queue of functions. Any thread may add; one thread takes.

    Each kind has a bound of its own: while a flood of `pause` is refused, a `stop` is taken. A command counts until
    it is finished, not only until it is taken: what it leaves for the inbox to do is bounded with it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_PendingCommand] = []
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, same: Hashable, do: Do) -> bool:
        """Adds one at the end; False if too many of its kind are unfinished.

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
            self._waiting.append(_PendingCommand(kind, same, do))
            return True

    def take(self) -> list[Callable[[], None]]:
        """All that wait, in order; later ones wait for the next call, so that a flood cannot hold the caller."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return [partial(self._carry_out, order) for order in taken]

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def _carry_out(self, order: _PendingCommand) -> None:
        change = order.do()
        if change is None:
            self._finished(order.kind)
        else:
            change.add_done_callback(lambda _: self._finished(order.kind))

    def _finished(self, kind: str) -> None:
        with self._lock:
            self._counts[kind] -= 1
