"""Converts raw sound to the rate that OpenAI's clients expect."""

from __future__ import annotations

from typing import Any

PCM_RATE_HZ = 24_000
"""Of `pcm`, which names no rate. OpenAI's documentation says it, and clients play at it."""
_SAMPLE_BYTES = 2


class PcmRate:
    """Converts signed 16 bit little endian mono sound, piece by piece, to 24 kHz.

    Args:
        rate_hz: What the sound has. At 24 kHz it is passed on as it is.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rest = b""
        self._stream: Any = None
        if rate_hz != PCM_RATE_HZ:
            import soxr  # with numpy it takes 30 MB and 0.2 s, and F5 and hibari speak at 24 kHz

            self._stream = soxr.ResampleStream(rate_hz, PCM_RATE_HZ, 1, dtype="int16")

    def convert(self, piece: bytes, *, last: bool = False) -> bytes:
        """What can be sent after the next piece."""
        if self._stream is None:
            return piece
        import numpy as np

        sound = self._rest + piece
        whole = len(sound) - len(sound) % _SAMPLE_BYTES
        self._rest = sound[whole:]
        return bytes(self._stream.resample_chunk(np.frombuffer(sound[:whole], "<i2"), last=last).tobytes())
