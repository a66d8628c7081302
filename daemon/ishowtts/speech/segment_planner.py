"""How long the first segment of a line is, so that sound starts soon and never runs dry. Arithmetic and policy alone.

Every segment pays for the reference again: L seconds of sound take `cost * (reference_s + L)` seconds to be made. While
one segment is heard the next one is made; where that takes longer than the sound lasts, the loudspeaker falls silent.
So the first segment must be long enough to cover the making of the second, and no longer: it is waited for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from ishowtts import text
from ishowtts.engines import VoiceInfo

_MARGIN = 1.3  # a segment may take so much longer than the last ones did
_SLACK_S = 0.2  # and this much, for what does not grow with it: the socket, resampling, the device's buffer
_LEAST_S = 1.0  # what is shorter than a phrase is spoken without its melody
_LEAST_BYTES = 12
_WORTH_S = 0.25  # a seam within a sentence is heard; an earlier sound by less than this is not


def cut(whole: str, card: VoiceInfo, cost: float | None, speed: float = 1.0) -> list[str]:
    """Cut a text into segments: as long as the voice takes, and a short first one where that gives an earlier sound.

    Args:
        whole: clean text.
        cost: synthesis seconds per second of reference and sound; `None`: not known, so nothing is cut early.
        speed: of the line.

    Raises:
        ValueError: the voice takes less than `text.MIN_SEGMENT_BYTES`.
    """
    max_bytes = longest_bytes(card, speed)
    fewest = text.segments(whole, max_bytes)
    if cost is None or not fewest:
        return fewest
    first_bytes = first_min_bytes(card, cost, speed, len(whole.encode()))
    if first_bytes is None:
        return fewest
    early = text.segments(whole, max_bytes, first_bytes)
    lengths_s, wait_s = sound_s(early, card, speed), sound_s(fewest[:1], card, speed)[0]
    gain_s = cost * (wait_s - lengths_s[0])
    return early if gain_s >= _WORTH_S and keeps_ahead(lengths_s, card, cost) else fewest


def longest_bytes(card: VoiceInfo, speed: float) -> int:
    """The longest segment of a line of this speed: slow speech fills the model's window with less text.

    Fast speech is given no more than the voice takes at speed 1.
    """
    if card.bytes_per_s is None:
        return card.max_segment_bytes
    return max(text.MIN_SEGMENT_BYTES, int(card.max_segment_bytes * min(speed, 1.0)))


def first_min_bytes(card: VoiceInfo, cost: float, speed: float, text_bytes: int) -> int | None:
    """The shortest first segment that covers the making of the second, in bytes; `None`: nothing is to be cut early.

    None is also the answer where no cut keeps ahead (each second of sound takes about a second or more to be made), or
    where the engine has no reference or no even rate: then one segment is as good as any.
    """
    margin = _MARGIN * cost
    if card.reference_s is None or card.bytes_per_s is None or margin >= 1:
        return None
    bytes_per_s = card.bytes_per_s * speed
    text_s = text_bytes / bytes_per_s
    longest_s = longest_bytes(card, speed) / bytes_per_s
    # The second is the rest or the longest there is; of the rest more is left, the shorter the first.
    covers_rest_s = (_spent_s(card) + margin * (card.reference_s + text_s)) / (1 + margin)
    covers_longest_s = _spent_s(card) + margin * (card.reference_s + longest_s)
    first_s = max(_LEAST_S, min(covers_rest_s, covers_longest_s))
    first_bytes = max(_LEAST_BYTES, math.ceil(first_s * bytes_per_s))
    return first_bytes if first_bytes < text_bytes else None


def keeps_ahead(lengths_s: Sequence[float], card: VoiceInfo, cost: float) -> bool:
    """Whether each segment sounds at least as long as the next one takes to be made, with a margin.

    Args:
        lengths_s: how long each segment sounds, in seconds.
    """
    reference_s = card.reference_s or 0.0
    return all(covers(now_s, cost * (reference_s + next_s), card) for now_s, next_s in pairwise(lengths_s))


def covers(sound_s: float, work_s: float, card: VoiceInfo, segments: int = 1) -> bool:
    """Whether so much sound lasts, with a margin, until what takes `work_s` to be made is there.

    Args:
        segments: that are made: each has its slack, for each is resampled and levelled before the first is heard.
    """
    return sound_s >= _spent_s(card) + (segments - 1) * _SLACK_S + _MARGIN * work_s


def sound_s(segments: Sequence[str], card: VoiceInfo, speed: float) -> list[float]:
    """How long segments sound, in seconds; the card must know its rate."""
    if card.bytes_per_s is None:
        raise ValueError(f"the voice {card.name!r} has no even rate")
    return [len(segment.encode()) / (card.bytes_per_s * speed) for segment in segments]


def _spent_s(card: VoiceInfo) -> float:
    """What of a segment's sound does not cover the making of the next: slack, and a seam at either end."""
    return _SLACK_S + 2 * card.seam_s
