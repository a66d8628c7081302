"""Converts raw sound to another sample rate, piece by piece."""

from __future__ import annotations

from typing import Any

_SAMPLE_BYTES = 2


class PcmRate:
    """Converts signed 16 bit little endian mono sound, piece by piece.

    Args:
        rate_hz: What the sound has.
        to_hz: What is wanted. If it is the same, the sound is passed on as it is.
    """

    def __init__(self, rate_hz: int, to_hz: int) -> None:
        self._rest = b""
        self._stream: Any = None
        if rate_hz != to_hz:
            import soxr  # with numpy it takes 30 MB and 0.2 s, and F5 and hibari speak at 24 kHz

            self._stream = soxr.ResampleStream(rate_hz, to_hz, 1, dtype="int16")

    def convert(self, piece: bytes, *, last: bool = False) -> bytes:
        """What can be sent after the next piece."""
        if self._stream is None:
            return piece
        import numpy as np

        sound = self._rest + piece
        whole = len(sound) - len(sound) % _SAMPLE_BYTES
        self._rest = sound[whole:]
        return bytes(self._stream.resample_chunk(np.frombuffer(sound[:whole], "<i2"), last=last).tobytes())
