"""Audio playback, from samples to the sound device. This module holds the interface that every speaker implements.

Where to look: `player` is the thread, `playback_buffer` cuts clips into blocks, `volume_gain` applies the volume in
software, `hardware_volume` applies it through the card's mixer, `output_device` opens the device and handles its loss.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ishowtts.model import Samples


@runtime_checkable
class Speaker(Protocol):
    """A sound device, or a replacement for one. Only the player's thread calls it."""

    @property
    def name(self) -> str:
        """Name of the device, as telemetry shows it in `audio.device`."""

    @property
    def underruns(self) -> int:
        """How often the device ran out of samples while it was playing."""

    def open(self, rate_hz: int) -> None:
        """Opens the device for mono int16 samples at this rate. Raises SpeakerError."""

    def write(self, block: Samples) -> None:
        """Hands over one short block. Returns when the device has room for the next one. Raises SpeakerError."""

    def flush(self) -> None:
        """Hands over the samples that a converter still holds, because nothing follows for now. Raises SpeakerError."""

    def delay_s(self) -> float:
        """Seconds of sound that were written and not heard yet, including those in a converter."""

    def drain(self) -> None:
        """Waits until everything that was written has been heard. Raises SpeakerError."""

    def drop(self) -> None:
        """Discards the samples that were written and not heard yet."""

    def close(self) -> None:
        """Closes the device. Idempotent."""

    def away(self) -> str | None:
        """A sentence if the device is known to be gone, whether it is open or closed; else `None`. Fast."""
