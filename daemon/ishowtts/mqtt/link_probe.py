"""When to send the probe that proves that messages of the lines connection reach us, and when it is overdue."""

from __future__ import annotations

import time
from collections.abc import Callable


class LinkProbe:
    """One probe is on its way at a time. Whatever else arrives on the connection is as good a proof.

    Not thread-safe: the thread of the connection calls all methods.

    Args:
        interval_s: a probe is due after so long without an arrival.
        timeout_s: an arrival must follow it within this time.
        clock: monotonic seconds.
    """

    def __init__(self, interval_s: float, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._due_s = clock()  # a new connection is to be proven at once
        self._overdue_s: float | None = None

    def due(self) -> bool:
        """Whether a probe is to be sent now; then it counts as sent."""
        now_s = self._clock()
        if self._overdue_s is not None or now_s < self._due_s:
            return False
        self._overdue_s = now_s + self._timeout_s
        return True

    def hold(self) -> None:
        """It is we who hold the next message back: a probe that is on its way is sent again later."""
        if self._overdue_s is not None:
            self._overdue_s, self._due_s = None, self._clock()

    def arrived(self) -> None:
        """A message came on the connection."""
        self._overdue_s = None
        self._due_s = self._clock() + self._interval_s

    def overdue(self) -> bool:
        """Whether nothing has followed the probe in time; the next one is due after the interval."""
        if self._overdue_s is None or self._clock() < self._overdue_s:
            return False
        self.arrived()
        return True
