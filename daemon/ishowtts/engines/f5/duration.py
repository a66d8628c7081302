"""How long a text sounds, in how many evaluations, padded to what: decisions, no tensors. Imports no torch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from ishowtts.engines.f5.architecture import HOP, RATE_HZ

FRAMES_PER_S = RATE_HZ / HOP
MOST_FRAMES = 8192
"""The text encoder has no more positions."""
BUCKETS = (*range(32, 705, 32), *range(768, 2113, 64))
"""Lengths that runs are padded to: at most a twelfth of waste above 384 frames. The longest holds what upstream gives
the model in one go, 22 s."""

WINDOW_S = BUCKETS[-1] / FRAMES_PER_S
"""Of reference and speech in the longest bucket, and so in all lines of a batch together."""
MOST_LINES = 8
"""In one run."""

_USUAL_SPEECH_S = (0.5, 10.0)

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


def usual(reference_frames: int, buckets: Sequence[int]) -> tuple[list[int], list[int]]:
    """Buckets that most lines of a voice take, and the others that it can take; the longest first in both.

    Graphs share memory best when the longest is recorded first, so that the longest bucket is always a usual one.
    """
    possible = [frames for frames in buckets if frames > reference_frames + 1]
    if not possible:
        return [], []
    low, high = (bucket(reference_frames + round(speech_s * FRAMES_PER_S), possible) for speech_s in _USUAL_SPEECH_S)
    wanted = [frames for frames in possible if low is not None and low <= frames <= (high or frames)]
    first = sorted({*wanted, *possible[-1:]}, reverse=True)
    return first, sorted(set(possible) - set(first), reverse=True)
