"""One part tells others that something changed, without knowing them."""

from __future__ import annotations

from collections.abc import Callable


class ChangeSignal:
    """Calls its listeners, on the caller's thread. They only ring bells, so nobody is held up."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[], None], ...] = ()

    def connect(self, *listeners: Callable[[], None]) -> None:
        """Have these called from now on."""
        self._listeners += listeners

    def __call__(self) -> None:
        """Something changed."""
        for listener in self._listeners:
            listener()
