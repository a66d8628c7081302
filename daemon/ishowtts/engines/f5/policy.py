"""How long a text sounds, in how many evaluations, padded to what: decisions, no tensors. Imports no torch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from ishowtts.engines.f5.architecture import HOP, RATE_HZ

FRAMES_PER_S = RATE_HZ / HOP
MOST_FRAMES = 8192
"""The text encoder has no more positions."""
BUCKETS = (*range(64, 1025, 64), *range(1152, 2561, 128))
"""Lengths that runs are padded to: at most an eighth of waste above 512 frames, and few enough to warm them all."""

_SHORT_BYTES = 10
_SHORT_SPEED = 0.3
_SHORTEST_BYTES = 14  # about a second at a calm pace: what a word and the silence around it take


def speech_frames(reference_frames: int, reference_text: str, text: str, speed: float, *, short_text: bool) -> int:
    """Frames that a text takes: its share of the reference's, by UTF-8 bytes, as upstream has it.

    Upstream speaks fewer than 10 bytes at speed 0.3 whatever was asked for: 9 bytes take the time of 30 and come out
    drawled or with noise behind them, 10 take that of 10. With `short_text` they take the time of 14 instead, at the
    speed that was asked for: enough for a word, and the same time for every short one.
    """
    size = len(text.encode())
    if size < _SHORT_BYTES:
        if short_text:
            size = _SHORTEST_BYTES
        else:
            speed = _SHORT_SPEED
    return int(reference_frames / len(reference_text.encode()) * size / speed)


def total_frames(reference_frames: int, speech: int, tokens: int) -> int:
    """Reference and speech; at least one more than the tokens and than the reference's mel, as upstream has it."""
    return max(reference_frames + speech, tokens + 1, reference_frames + 2)


def nfe_for(speech: int) -> int:
    """Evaluations by length, as the system before this one proposed: short speech gets more, long speech less."""
    speech_s = speech / FRAMES_PER_S
    if speech_s < 5.0:
        return 8
    return 7 if speech_s < 15.0 else 6


def bucket(frames: int, buckets: Sequence[int]) -> int | None:
    """The smallest bucket that holds so many frames; `None` where none does."""
    i = bisect_left(buckets, frames)
    return buckets[i] if i < len(buckets) else None
