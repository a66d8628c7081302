"""From samples to the sound device. This package's face holds the contract that every speaker keeps."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ishowtts.model import Samples


@runtime_checkable
class Speaker(Protocol):
    """A sound device, or what stands for one. One thread, the player's, calls it."""

    @property
    def name(self) -> str:
        """What telemetry shows as `audio.device`."""

    @property
    def underruns(self) -> int:
        """How often the device ran out of sound in the middle of some."""

    def open(self, rate_hz: int) -> None:
        """Make ready for mono S16 at this rate. Raises SpeakerError."""

    def write(self, block: Samples) -> None:
        """Hand over one short block; returns when the device has room for the next. Raises SpeakerError."""

    def flush(self) -> None:
        """Nothing follows for now: hand the device what a converter still holds. Raises SpeakerError."""

    def delay_s(self) -> float:
        """Seconds of sound that were written and are not yet heard, in a converter as well."""

    def drain(self) -> None:
        """Wait until all that was written has been heard. Raises SpeakerError."""

    def drop(self) -> None:
        """Forget what was written and not yet heard."""

    def close(self) -> None:
        """Let go of the device. Idempotent."""

    def away(self) -> str | None:
        """A sentence where the device is seen at a glance to have gone, open or closed; else None."""
