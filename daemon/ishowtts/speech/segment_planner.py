"""Decides how a line is split into segments and how many of them are synthesised in one run. No I/O, no threads.

Every segment pays for the reference clip again: L seconds of sound take `cost * (reference_s + L)` seconds to
synthesise. While one segment plays, the next one is synthesised; if that takes longer than the sound lasts, the
loudspeaker falls silent. So the first segment must be long enough to cover the synthesis of the second. It should not
be longer, because the listener waits for it.

A run of several segments keeps a large GPU busier than a single one. But nothing of a run is heard before all of it is
made, and it may have to be thrown away. So a run is only made while enough sound is left to play, and only so much.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from statistics import median_high

from ishowtts import text
from ishowtts.engines import MAX_BATCH, VoiceInfo
from ishowtts.model import Segment, Utterance

MARGIN = 1.3
"""A segment may take so much longer than the last ones did."""
_SLACK_S = 0.2  # and takes this much more, for what does not grow with it: the socket, resampling, the device's buffer
_MIN_FIRST_S = 1.0  # what is shorter than a phrase is spoken without its melody
_MIN_FIRST_BYTES = 12
_MIN_GAIN_S = 0.25  # a seam within a sentence is heard; sound that starts earlier by less than this is not noticed
_MAX_UNPLAYED_S = 120.0  # synthesised but unplayed sound; costs 240 KB a second with the player's copy
_COSTS_KEPT = 9


class CostModel:
    """Learns what synthesis costs on this machine. One thread at a time may use it.

    The cost is synthesis seconds per second of reference and sound, for each engine and number of evaluations. It is
    the median of the last 9 segments: one that hit a cold cache or a busy machine does not count.
    """

    def __init__(self) -> None:
        self._costs: dict[tuple[str, int | None], deque[float]] = {}

    def learn(self, engine: str, nfe_step: int | None, utterance: Utterance, voice: VoiceInfo) -> None:
        """Count a segment that was made alone.

        Args:
            nfe_step: The number of evaluations that the line asked for.
        """
        if voice.reference_s is None:
            return
        costs = self._costs.setdefault((engine, nfe_step), deque(maxlen=_COSTS_KEPT))
        costs.append(utterance.synth_s / (voice.reference_s + utterance.audio_s))

    def learn_late(self, engine: str, run: Sequence[Segment], took_s: float, voice: VoiceInfo) -> None:
        """Count a call that was given up after `took_s`: it costs at least so much."""
        if voice.reference_s is None or voice.bytes_per_s is None:
            return
        lengths_s = sound_s([segment.text for segment in run], voice, run[0].speed or voice.speed)
        costs = self._costs.setdefault((engine, run[0].nfe_step or voice.nfe_step), deque(maxlen=_COSTS_KEPT))
        costs.append(took_s / sum(voice.reference_s + length_s for length_s in lengths_s))

    def estimate(self, engine: str, nfe_step: int | None, voice: VoiceInfo) -> float | None:
        """Cost of the next segment; `None` if nothing is known yet.

        Args:
            nfe_step: The number of evaluations that the line asks for; `None` is the engine's own number, for which
                the voice brings a measured cost.
        """
        costs = list(self._costs.get((engine, nfe_step), ()))
        if voice.cost is not None and nfe_step is None and len(costs) < _COSTS_KEPT:
            costs.append(voice.cost)
        return median_high(costs) if costs else None

    def synthesis_s(self, engine: str, segment: Segment, voice: VoiceInfo) -> float | None:
        """How long the synthesis of a segment should take if it is made alone, in seconds; `None` if unknown."""
        nfe_step = segment.nfe_step or voice.nfe_step
        cost = self.estimate(engine, nfe_step, voice)
        if cost is None and voice.cost is not None and nfe_step is not None and voice.cost_nfe_step is not None:
            # At most so much: some of the work is the same for every number of evaluations.
            cost = voice.cost * max(1.0, nfe_step / voice.cost_nfe_step)
        if cost is None or voice.reference_s is None or voice.bytes_per_s is None:
            return None
        (length_s,) = sound_s([segment.text], voice, segment.speed or voice.speed)
        return cost * (voice.reference_s + length_s)


def split(whole: str, voice: VoiceInfo, cost: float | None, speed: float = 1.0) -> list[str]:
    """Split a text into segments as long as the voice allows; the first one is short if sound then starts earlier.

    Args:
        whole: Clean text.
        cost: Synthesis seconds per second of reference and sound. `None` is unknown: the first segment is not short.
        speed: Speed of the line.

    Raises:
        ValueError: The voice takes less than `text.MIN_SEGMENT_BYTES`.
    """
    max_bytes = longest_bytes(voice, speed)
    fewest = text.segments(whole, max_bytes)
    if cost is None or not fewest:
        return fewest
    first_bytes = first_min_bytes(voice, cost, speed, len(whole.encode()))
    if first_bytes is None:
        return fewest
    early = text.segments(whole, max_bytes, first_bytes)
    lengths_s, wait_s = sound_s(early, voice, speed), sound_s(fewest[:1], voice, speed)[0]
    gain_s = cost * (wait_s - lengths_s[0])
    return early if gain_s >= _MIN_GAIN_S and keeps_ahead(lengths_s, voice, cost) else fewest


def longest_bytes(voice: VoiceInfo, speed: float) -> int:
    """Longest segment of a line of this speed, in bytes. Slow speech fills the model's window with less text.

    Fast speech gets no more than the voice takes at speed 1.
    """
    if voice.bytes_per_s is None:
        return voice.max_segment_bytes
    return max(text.MIN_SEGMENT_BYTES, int(voice.max_segment_bytes * min(speed, 1.0)))


def first_min_bytes(voice: VoiceInfo, cost: float, speed: float, text_bytes: int) -> int | None:
    """Shortest first segment that covers the synthesis of the second, in bytes; `None` if none should be short.

    The result is also `None` if no split keeps ahead (each second of sound takes about a second or more to make), and
    if the engine has no reference clip or no even speech rate: then one segment is as good as several.
    """
    margin = MARGIN * cost
    if voice.reference_s is None or voice.bytes_per_s is None or margin >= 1:
        return None
    bytes_per_s = voice.bytes_per_s * speed
    text_s = text_bytes / bytes_per_s
    longest_s = longest_bytes(voice, speed) / bytes_per_s
    # The second segment is the rest of the text, or the longest allowed. A shorter first one leaves a longer rest.
    covers_rest_s = (_overhead_s(voice) + margin * (voice.reference_s + text_s)) / (1 + margin)
    covers_longest_s = _overhead_s(voice) + margin * (voice.reference_s + longest_s)
    first_s = max(_MIN_FIRST_S, min(covers_rest_s, covers_longest_s))
    first_bytes = max(_MIN_FIRST_BYTES, math.ceil(first_s * bytes_per_s))
    return first_bytes if first_bytes < text_bytes else None


def batch_size(lengths_s: Sequence[float], voice: VoiceInfo, cost: float | None, unplayed_s: float) -> int:
    """How many of the next segments go into one run: 1 to `MAX_BATCH`.

    If nothing plays, nothing covers the time of a longer run: the first segment of a line is made alone.

    Args:
        lengths_s: How long each of the next segments sounds, in order, in seconds.
        cost: Synthesis seconds per second of reference and sound for a segment that is made alone. A segment in a run
            does not cost more. `None` is unknown: each segment is made alone.
        unplayed_s: Seconds of sound that is made and not yet heard.
    """
    if cost is None or voice.reference_s is None:
        return 1
    count = 1
    for n in range(2, min(MAX_BATCH, len(lengths_s)) + 1):
        run_s = n * (voice.reference_s + max(lengths_s[:n]))
        fits = run_s <= voice.batch_s and unplayed_s + sum(lengths_s[:n]) <= _MAX_UNPLAYED_S
        if not fits or not covers(unplayed_s, cost * run_s, voice, n):
            break
        count = n
    return count


def keeps_ahead(lengths_s: Sequence[float], voice: VoiceInfo, cost: float) -> bool:
    """Whether each segment sounds at least as long as the next one takes to synthesise, with a margin.

    Args:
        lengths_s: How long each segment sounds, in seconds.
    """
    reference_s = voice.reference_s or 0.0
    return all(covers(now_s, cost * (reference_s + next_s), voice) for now_s, next_s in pairwise(lengths_s))


def covers(unplayed_s: float, synth_s: float, voice: VoiceInfo, segments: int = 1) -> bool:
    """Whether this much sound lasts, with a margin, until a synthesis of `synth_s` is done.

    Args:
        segments: How many are made. Each has its slack: each is resampled and levelled before the first is heard.
    """
    return unplayed_s >= _overhead_s(voice) + (segments - 1) * _SLACK_S + MARGIN * synth_s


def sound_s(segments: Sequence[str], voice: VoiceInfo, speed: float) -> list[float]:
    """How long segments sound, in seconds.

    Raises:
        ValueError: The voice has no even speech rate.
    """
    if voice.bytes_per_s is None:
        raise ValueError(f"the voice {voice.name!r} has no even rate")
    return [len(segment.encode()) / (voice.bytes_per_s * speed) for segment in segments]


def _overhead_s(voice: VoiceInfo) -> float:
    """The part of a segment's sound that does not cover the next synthesis: slack, and a seam at either end."""
    return _SLACK_S + 2 * voice.seam_s
