"""Measures the loudness of a voice (ITU-R BS.1770-4), and computes the gain that brings it to the target.

The gain belongs to the voice and not to the line, so that a soft line stays softer than a loud one.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ishowtts.playback.k_weighting import TAIL_S, k_weighted
from ishowtts.util.samples import INT16_FULL_SCALE

HISTORY_S = 30.0
MAX_GAIN_DB, MIN_GAIN_DB = 24.0, -30.0
_MAX_VOICES = 64
_MAX_LINES = 64

_BLOCK_S, _HOP_S, _MIN_S = 0.4, 0.1, 0.01
_HOPS_AT_ONCE = 10
_SILENCE_LUFS = -70.0
_GATE_LU = -10.0
_OFFSET_LU = -0.691  # of BS.1770: with it, a sine of 997 Hz at full scale has -3.01 LUFS

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class EngineVoice:
    """A voice of an engine. Two engines may use the same name for different voices."""

    engine: str
    voice: str


class VoiceLevels:
    """The gain of each voice, from its last 30 s of speech without the silence.

    Within a line a voice keeps the gain that it began with, so that the level does not jump between two segments.

    Args:
        target_lufs: Target loudness of every voice.
        former: Levels with another target. What was heard of each voice is shared with them.
    """

    def __init__(self, target_lufs: float, former: VoiceLevels | None = None) -> None:
        self.target_lufs = target_lufs
        self._heard: OrderedDict[EngineVoice, deque[float]] = OrderedDict() if former is None else former._heard
        self._gains_db: OrderedDict[tuple[str, EngineVoice], float] = OrderedDict()

    def gain_db(self, voice: EngineVoice, line_id: str, blocks: list[float]) -> float:
        """Returns the gain for the next segment of a line, in dB; 0 if nothing is known of the voice.

        Args:
            voice: The voice.
            line_id: The line of the segment.
            blocks: Levels of this segment, from `block_levels`.
        """
        begun = self._gains_db.get((line_id, voice))
        if begun is not None:
            return begun
        level = gated_level([*self._heard.get(voice, ()), *blocks])
        return 0.0 if level is None else min(max(self.target_lufs - level, MIN_GAIN_DB), MAX_GAIN_DB)

    def learn(self, voice: EngineVoice, line_id: str, blocks: list[float], gain_db: float) -> None:
        """Stores the levels of a segment before its gain, and keeps the gain for the rest of the line."""
        heard = _get_or_add(self._heard, voice, deque(maxlen=round(HISTORY_S / _HOP_S)), _MAX_VOICES)
        heard.extend(level for level in blocks if level > _SILENCE_LUFS)
        if heard:
            _get_or_add(self._gains_db, (line_id, voice), gain_db, _MAX_LINES)


def _get_or_add(entries: OrderedDict[_Key, _Value], key: _Key, default: _Value, max_entries: int) -> _Value:
    """Returns the value of `key`, or stores `default`. Removes the entry that was not used for the longest time."""
    value = entries.setdefault(key, default)
    entries.move_to_end(key)
    if len(entries) > max_entries:
        entries.popitem(last=False)
    return value


def block_levels(sound: NDArray[np.int16] | NDArray[np.float32], rate_hz: int) -> list[float]:
    """Returns the loudness of blocks of 0.4 s, one every 0.1 s, in LUFS. A shorter sound is one block.

    About a second is measured at a time, so that it takes little memory and other threads wait only for so long.

    Args:
        sound: [n] on the scale of int16.
        rate_hz: Sample rate of `sound`, in Hz.

    Returns:
        A level for each block: -inf for digital silence. Empty for less than 10 ms.
    """
    hop, duration_s = rate_hz * _HOP_S, len(sound) / rate_hz
    if duration_s < _MIN_S:
        return []
    if duration_s < _BLOCK_S:
        # Half a sample less, so that rounding never makes the block longer than the sound.
        return _measured(sound, rate_hz, duration_s - 0.5 / rate_hz)
    before = round(TAIL_S * rate_hz)
    hops = int(len(sound) / hop) - round(_BLOCK_S / _HOP_S) + 1
    levels = []
    for first in range(0, hops, _HOPS_AT_ONCE):
        last = min(first + _HOPS_AT_ONCE, hops) - 1
        start, end = round(first * hop), math.ceil(last * hop + rate_hz * _BLOCK_S)
        skipped = min(start, before)  # weighted too, because the filter still rings
        levels += _measured(sound[start - skipped : end], rate_hz, _BLOCK_S, skipped)
    return levels


def gated_level(levels: list[float]) -> float | None:
    """Returns the loudness of all blocks except silence and pauses, in LUFS; `None` if no block is left.

    A block is a pause if it is 10 LU below the mean of the blocks that are not silent.
    """
    power = np.array([10 ** (level / 10) for level in levels if level > _SILENCE_LUFS])
    if not len(power):
        return None
    gate = np.mean(power) * 10 ** (_GATE_LU / 10)
    return float(10 * np.log10(np.mean(power[power >= gate])))


def _measured(
    sound: NDArray[np.int16] | NDArray[np.float32], rate_hz: int, block_s: float, skipped: int = 0
) -> list[float]:
    """Returns the loudness of every block of this length, except of the first samples, which are skipped."""
    weighted = k_weighted(sound.astype(np.float64) / INT16_FULL_SCALE, rate_hz)[skipped:]
    energy = np.concatenate([[0.0], np.cumsum(np.square(weighted))])
    hop_s = block_s * _HOP_S / _BLOCK_S
    hops = np.arange(round((len(weighted) / rate_hz - block_s) / hop_s) + 1)
    first, last = ((hop_s * hops + offset_s) * rate_hz for offset_s in (0.0, block_s))
    power = energy[np.minimum(last.astype(int), len(weighted))] - energy[first.astype(int)]
    with np.errstate(divide="ignore"):
        return [float(level) for level in _OFFSET_LU + 10 * np.log10(np.maximum(power, 0.0) / (block_s * rate_hz))]
