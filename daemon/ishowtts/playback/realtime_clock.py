"""Time for what stands in for a device: sound passes at the speed of sound, behind a small buffer."""

from __future__ import annotations

import time

BUFFER_S = 0.03


class RealtimeClock:
    """As a device with a buffer of `BUFFER_S` would: `passed` returns when there is room for the next block."""

    def __init__(self) -> None:
        self._ends_at = 0.0

    def passed(self, duration_s: float) -> None:
        """Take `duration_s` of sound, and wait until no more than the buffer is ahead of time."""
        now = time.monotonic()
        self._ends_at = max(self._ends_at, now) + duration_s
        ahead_s = self._ends_at - now - BUFFER_S
        if ahead_s > 0:
            time.sleep(ahead_s)

    def delay_s(self) -> float:
        """Sound that has not passed yet, in seconds."""
        return max(0.0, self._ends_at - time.monotonic())

    def wait_out(self) -> None:
        """Wait until all has passed."""
        time.sleep(self.delay_s())

    def drop(self) -> None:
        """Nothing is under way any more."""
        self._ends_at = 0.0
