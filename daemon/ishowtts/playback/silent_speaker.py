"""Paced silence: for a machine without a sound device."""

from __future__ import annotations

from ishowtts.model import Samples
from ishowtts.playback.realtime_clock import RealtimeClock


class SilentSpeaker:
    """Takes as long as a device would, and is not heard."""

    name = "silent"
    underruns = 0

    def __init__(self) -> None:
        self._pace = RealtimeClock()
        self._rate_hz = 0

    def open(self, rate_hz: int) -> None:
        """Nothing to open."""
        self._rate_hz = rate_hz

    def write(self, block: Samples) -> None:
        """Let the time of the block pass."""
        self._pace.passed(len(block) / self._rate_hz)

    def flush(self) -> None:
        """Nothing is held back."""

    def delay_s(self) -> float:
        """Seconds that a device would still have to play."""
        return self._pace.delay_s()

    def drain(self) -> None:
        """Let that time pass."""
        self._pace.wait_out()

    def drop(self) -> None:
        """Forget it."""
        self._pace.drop()

    def away(self) -> str | None:
        """It is always there."""
        return None

    def close(self) -> None:
        """Nothing to close."""
