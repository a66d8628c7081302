"""Streaming resampler, block by block, for devices that refuse the engine's sample rate."""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

_CONTEXT = 80
_LONGEST_UNIT = 2400


class StreamResampler:
    """Converts blocks with soxr at high quality, each with some samples of context on either side.

    soxr's own stream holds up to 38 ms back, which would delay a stop by so much. This class holds 80 samples back
    (3 ms at 24 kHz). Its output differs from a conversion in one piece by at most one step of 16 bits.

    Args:
        rate_hz: Sample rate of the input, in Hz.
        to_hz: Sample rate of the output, in Hz.

    Raises:
        ValueError: The two rates have no common period that is short enough.
    """

    def __init__(self, rate_hz: int, to_hz: int) -> None:
        # This many input samples last as long as a whole number of output samples, so windows begin and end there.
        self._unit = rate_hz // math.gcd(rate_hz, to_hz)
        if self._unit > _LONGEST_UNIT:
            raise ValueError(f"{rate_hz} and {to_hz} Hz have too little in common")
        self._context = -(-_CONTEXT // self._unit) * self._unit
        self._rate_hz, self._to_hz = rate_hz, to_hz
        self.clear()

    def clear(self) -> None:
        """Discards the samples that are held back, and the context before them."""
        self._before = np.zeros(self._context, np.float32)
        self._held = np.zeros(0, np.float32)

    @property
    def held_s(self) -> float:
        """Seconds of input that are held back."""
        return len(self._held) / self._rate_hz

    def convert(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Converts this block and what was held back, as far as the context after it is known."""
        self._held = np.concatenate([self._held, block])
        ready = max(0, len(self._held) - self._context) // self._unit * self._unit
        if not ready:
            return np.zeros(0, np.float32)
        window = np.concatenate([self._before, self._held[: ready + self._context]])
        self._before, self._held = window[ready : ready + self._context], self._held[ready:]
        converted = soxr.resample(window, self._rate_hz, self._to_hz, quality="HQ")
        output: NDArray[np.float32] = converted[self._converted(self._context) : self._converted(self._context + ready)]
        return output

    def flush(self) -> NDArray[np.float32]:
        """Converts the samples that are held back, as if silence followed, and clears the resampler."""
        count = self._converted(len(self._held))
        rest = self.convert(np.zeros(self._context + self._unit, np.float32))[:count]
        self.clear()
        return rest

    def _converted(self, count: int) -> int:
        return -(-count * self._to_hz // self._rate_hz)
