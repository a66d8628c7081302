"""From one rate to another, block by block, for devices that refuse the engine's."""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

_MARGIN = 80
_LONGEST_UNIT = 2400


class StreamResampler:
    """soxr at its high quality, a block with some samples of what stands on either side of it at a time.

    soxr's own stream holds up to 38 ms back, and a stop would be heard that much later. Here 80 samples are held back
    (3 ms at 24 kHz); the sound differs from one that is converted whole by one step of 16 bits at most.

    Args:
        rate_hz, to_hz: in and out.

    Raises:
        ValueError: no whole numbers of samples of the two last as long as each other, nearly.
    """

    def __init__(self, rate_hz: int, to_hz: int) -> None:
        # So many samples last as long as a whole number of the others: a window begins and ends there.
        self._unit = rate_hz // math.gcd(rate_hz, to_hz)
        if self._unit > _LONGEST_UNIT:
            raise ValueError(f"{rate_hz} and {to_hz} Hz have too little in common")
        self._margin = -(-_MARGIN // self._unit) * self._unit
        self._rate_hz, self._to_hz = rate_hz, to_hz
        self.clear()

    def clear(self) -> None:
        """Forget what is held, and what it follows."""
        self._before = np.zeros(self._margin, np.float32)
        self._held = np.zeros(0, np.float32)

    @property
    def held_s(self) -> float:
        """Sound that was taken and not yet given, in seconds."""
        return len(self._held) / self._rate_hz

    def convert(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """What can be given of this block and of what was held."""
        self._held = np.concatenate([self._held, block])
        ready = max(0, len(self._held) - self._margin) // self._unit * self._unit
        if not ready:
            return np.zeros(0, np.float32)
        window = np.concatenate([self._before, self._held[: ready + self._margin]])
        self._before, self._held = window[ready : ready + self._margin], self._held[ready:]
        converted = soxr.resample(window, self._rate_hz, self._to_hz, quality="HQ")
        given: NDArray[np.float32] = converted[self._converted(self._margin) : self._converted(self._margin + ready)]
        return given

    def flush(self) -> NDArray[np.float32]:
        """What is still held: nothing follows it."""
        count = self._converted(len(self._held))
        rest = self.convert(np.zeros(self._margin + self._unit, np.float32))[:count]
        self.clear()
        return rest

    def _converted(self, count: int) -> int:
        return -(-count * self._to_hz // self._rate_hz)
