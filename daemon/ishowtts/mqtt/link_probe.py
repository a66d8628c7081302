"""The probe that proves that messages of a connection reach us: when to send it, and when it is overdue."""

from __future__ import annotations

import time
from collections.abc import Callable


class LinkProbe:
    """One probe is in flight at a time. Any other message that arrives on the connection proves the same.

    Not thread-safe: the thread of the connection calls all methods.

    Args:
        interval_s: A probe is due after this time without a message.
        timeout_s: A message must follow the probe within this time.
        clock: Monotonic seconds.
    """

    def __init__(self, interval_s: float, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._due_s = clock()  # a new connection must be proven at once
        self._overdue_s: float | None = None
        self._mid: int | None = None
        self.refusal: str | None = None
        """Why the broker refuses the last probe; `None` if it does not."""

    def due(self) -> bool:
        """Whether to send a probe now. If so, it counts as sent."""
        now_s = self._clock()
        if self._overdue_s is not None or now_s < self._due_s:
            return False
        self._overdue_s = now_s + self._timeout_s
        return True

    def sent(self, mid: int | None) -> None:
        """The probe was published under this mid."""
        self._mid = mid

    def answered(self, mid: int, refusal: str | None) -> bool:
        """The broker answered a publish (PUBACK). Returns whether it was the probe."""
        if mid != self._mid:
            return False
        self.refusal = refusal
        return True

    def hold(self) -> None:
        """We ourselves hold back the next message: a probe in flight does not count and is sent again later."""
        if self._overdue_s is not None:
            self._overdue_s, self._due_s = None, self._clock()

    def arrived(self) -> None:
        """A message came on the connection."""
        self._overdue_s = None
        self._due_s = self._clock() + self._interval_s

    def overdue(self) -> bool:
        """Whether nothing followed the probe in time. If so, the next probe is due after the interval."""
        if self._overdue_s is None or self._clock() < self._overdue_s:
            return False
        self.arrived()
        return True
