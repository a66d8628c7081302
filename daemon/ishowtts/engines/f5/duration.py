"""Chooses mel length, NFE and padding bucket of a segment. Imports no torch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from ishowtts.engines.f5.architecture import HOP, RATE_HZ, TokenizerName

FRAMES_PER_S = RATE_HZ / HOP
MOST_FRAMES = 8192
"""The text encoder has no more positions than this."""
STEP = 32
"""Lengths that only the vocoder and the text encoder see are padded to a multiple of this."""
BUCKETS = (*range(32, 1473, 32), *range(1536, 2113, 64))
"""Lengths that runs are padded to. Above 384 frames at most a twelfth is padding, above 768 a twenty-fourth. The
longest bucket has 22 s, the longest input that upstream gives the model."""

WINDOW_S = BUCKETS[-1] / FRAMES_PER_S
"""Length of reference and speech in the longest bucket. It is also the limit for all segments of a batch together."""

_COMMON_SPEECH_S = (0.5, 10.0)

_SHORT = 10
_SHORT_SPEED = 0.3
_SHORTEST = 14  # about a second at a calm pace: the time of a word and the silence around it


def text_size(text: str, tokenizer: TokenizerName) -> int:
    """The size of a text, to which its time is proportional: its UTF-8 bytes like upstream, or its characters.

    SILMA's own program, for which the tokens `char` were made, counts characters. By bytes, an Arabic text in the voice
    of an English clip would take twice its time.
    """
    return len(text) if tokenizer == "char" else len(text.encode())


def speech_frames(reference_frames: int, reference_size: int, size: int, speed: float, *, short_text: bool) -> int:
    """The number of frames of a text: its share of the reference's frames by its size (`text_size`), like upstream.

    Upstream speaks fewer than 10 bytes at speed 0.3, whatever was asked for: 9 bytes take the time of 30, and sound
    drawled or have noise after them, while 10 bytes take the time of 10. With `short_text` they take the time of 14
    bytes, at the speed that was asked for. That is enough for a word, and the same for every short text.
    """
    if size < _SHORT:
        if short_text:
            size = _SHORTEST
        else:
            speed = _SHORT_SPEED
    return int(reference_frames / reference_size * size / speed)


def total_frames(reference_frames: int, speech: int, tokens: int) -> int:
    """The frames of both: at least one more than the tokens and than the reference's mel, like upstream."""
    return max(reference_frames + speech, tokens + 1, reference_frames + 2)


def nfe_for(speech: int) -> int:
    """NFE by length, as in a system before this one: short speech gets more, long speech fewer."""
    speech_s = speech / FRAMES_PER_S
    if speech_s < 5.0:
        return 8
    return 7 if speech_s < 15.0 else 6


def bucket(frames: int, buckets: Sequence[int]) -> int | None:
    """The smallest bucket with at least `frames` frames; `None` if there is none."""
    i = bisect_left(buckets, frames)
    return buckets[i] if i < len(buckets) else None


def common_buckets(reference_frames: int, buckets: Sequence[int]) -> tuple[list[int], list[int]]:
    """The buckets that most segments of a voice need, and the others that it can need; the longest first in both.

    Graphs share memory best if the longest is captured first, so the longest bucket always belongs to the common ones.
    """
    possible = [frames for frames in buckets if frames > reference_frames + 1]
    if not possible:
        return [], []
    low, high = (bucket(reference_frames + round(speech_s * FRAMES_PER_S), possible) for speech_s in _COMMON_SPEECH_S)
    wanted = [frames for frames in possible if low is not None and low <= frames <= (high or frames)]
    first = sorted({*wanted, *possible[-1:]}, reverse=True)
    return first, sorted(set(possible) - set(first), reverse=True)


def common_speech() -> list[int]:
    """The padded lengths of the speech of most segments, in frames; the longest first."""
    low, high = (-(-round(speech_s * FRAMES_PER_S) // STEP) * STEP for speech_s in _COMMON_SPEECH_S)
    return list(range(high, low - 1, -STEP))
