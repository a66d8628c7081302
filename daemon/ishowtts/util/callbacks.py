"""Callbacks without arguments: the default that does nothing, and one signal for many listeners."""

from __future__ import annotations

from collections.abc import Callable


def no_op() -> None:
    """Does nothing. The default of an optional callback."""


class ChangeSignal:
    """Calls its listeners when something changes, on the caller's thread. A listener only wakes its own thread.

    The caller does not need to know the listeners, and no listener delays it.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[], None], ...] = ()

    def connect(self, *listeners: Callable[[], None]) -> None:
        """Adds listeners for all later changes."""
        self._listeners += listeners

    def __call__(self) -> None:
        """Calls every listener."""
        for listener in self._listeners:
            listener()
