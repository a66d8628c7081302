"""A bounded queue of the commands that are not finished yet: a flood of one kind cannot crowd out another."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

_MAX_OF_A_KIND = 100

Execute = Callable[[], "Future[Any] | None"]
"""Executes a command. It returns a future that is done with the last part of it, or `None` if it is finished."""


@dataclass(frozen=True)
class _PendingCommand:
    kind: str
    same: Hashable
    execute: Execute


class PendingCommands:
    """Any thread may add commands; one thread takes them.

    Each kind has a limit of its own: while a flood of `pause` is refused, a `stop` is accepted. A command counts until
    it is finished, not only until it is taken. So the work that it leaves to the inbox is bounded too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_PendingCommand] = []
        self._unfinished: Counter[str] = Counter()

    def add(self, kind: str, same: Hashable, execute: Execute) -> bool:
        """Add a command at the end; `False` if too many of its kind are unfinished.

        Args:
            kind: The name of the command.
            same: Equal for two commands that mean the same. If it equals that of the last one waiting, one is enough.
            execute: Executes the command.
        """
        with self._lock:
            if self._waiting and (self._waiting[-1].kind, self._waiting[-1].same) == (kind, same):
                return True
            if self._unfinished[kind] >= _MAX_OF_A_KIND:
                return False
            self._unfinished[kind] += 1
            self._waiting.append(_PendingCommand(kind, same, execute))
            return True

    def take(self) -> list[Callable[[], None]]:
        """All that wait, in order. Later ones wait for the next call, so that a flood cannot hold up the caller."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return [partial(self._execute, command) for command in taken]

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def _execute(self, command: _PendingCommand) -> None:
        change = command.execute()
        if change is None:
            self._finished(command.kind)
        else:
            change.add_done_callback(lambda _: self._finished(command.kind))

    def _finished(self, kind: str) -> None:
        with self._lock:
            self._unfinished[kind] -= 1
