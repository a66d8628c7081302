"""The one way a thread of the pipeline waits: until something rings, or a deadline."""

from __future__ import annotations

import threading


class Bell:
    """Wakes its one owner. Ringing is allowed from any thread and is never lost.

    The owner goes round: `lower`, look at the world, `wait`. What changes after the look rings, so the wait ends.
    """

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """Something changed: the owner looks again."""
        self._rung.set()

    def lower(self) -> None:
        """The owner is about to look."""
        self._rung.clear()

    def wait(self, timeout_s: float) -> None:
        """Sleep until the next ring, or for `timeout_s`."""
        self._rung.wait(timeout_s)
