"""A speaker for machines without a sound device, and the clock that paces it in real time."""

from __future__ import annotations

import time

from ishowtts.model import Samples

BUFFER_S = 0.03


class RealtimeClock:
    """Makes a sink without hardware consume audio in real time.

    Args:
        buffer_s: Seconds of sound that may be ahead of real time.
    """

    def __init__(self, buffer_s: float = BUFFER_S) -> None:
        self._buffer_s = buffer_s
        self._ends_at = 0.0

    def consume(self, duration_s: float) -> None:
        """Takes `duration_s` of sound. Waits until no more than the buffer is ahead of real time."""
        now = time.monotonic()
        self._ends_at = max(self._ends_at, now) + duration_s
        ahead_s = self._ends_at - now - self._buffer_s
        if ahead_s > 0:
            time.sleep(ahead_s)

    def delay_s(self) -> float:
        """Seconds of sound that were taken and not played yet."""
        return max(0.0, self._ends_at - time.monotonic())

    def drain(self) -> None:
        """Waits until everything has been played."""
        time.sleep(self.delay_s())

    def drop(self) -> None:
        """Discards what was not played yet."""
        self._ends_at = 0.0


class SilentSpeaker:
    """Plays nothing, and takes as long as a device would."""

    name = "silent"
    underruns = 0

    def __init__(self) -> None:
        self._clock = RealtimeClock()
        self._rate_hz = 0

    def open(self, rate_hz: int) -> None:
        """Stores the rate; there is no device to open."""
        self._rate_hz = rate_hz

    def write(self, block: Samples) -> None:
        """Waits as a device would."""
        self._clock.consume(len(block) / self._rate_hz)

    def flush(self) -> None:
        """Does nothing: no samples are held back."""

    def delay_s(self) -> float:
        """Seconds that a device would still have to play."""
        return self._clock.delay_s()

    def drain(self) -> None:
        """Waits until a device would have played everything."""
        self._clock.drain()

    def drop(self) -> None:
        """Discards what a device would still have to play."""
        self._clock.drop()

    def away(self) -> str | None:
        """Returns `None`: this speaker is always available."""
        return None

    def close(self) -> None:
        """Does nothing: there is no device to close."""
