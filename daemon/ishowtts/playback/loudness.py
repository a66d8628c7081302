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

from ishowtts.util.samples import INT16_FULL_SCALE

HISTORY_S = 30.0
MAX_GAIN_DB, MIN_GAIN_DB = 24.0, -30.0
_MAX_VOICES = 64
_MAX_LINES = 64

_BLOCK_S, _HOP_S, _MIN_S = 0.4, 0.1, 0.01
_HOPS_AT_ONCE = 40
_SILENCE_LUFS = -70.0
_GATE_LU = -10.0

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
    """

    def __init__(self, target_lufs: float) -> None:
        self.target_lufs = target_lufs
        self._heard: OrderedDict[EngineVoice, deque[float]] = OrderedDict()
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


def prepare() -> None:
    """Loads the meter. The first call takes seconds and blocks other threads."""
    import pyloudnorm  # noqa: F401


def block_levels(sound: NDArray[np.int16] | NDArray[np.float32], rate_hz: int) -> list[float]:
    """Returns the loudness of blocks of 0.4 s, one every 0.1 s, in LUFS. A shorter sound is one block.

    The meter gets a few seconds at a time, so that it blocks other threads only for so long.

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
    hops = int(len(sound) / hop) - round(_BLOCK_S / _HOP_S) + 1
    levels = []
    for first in range(0, hops, _HOPS_AT_ONCE):
        last = min(first + _HOPS_AT_ONCE, hops) - 1
        piece = sound[round(first * hop) : math.ceil(last * hop + rate_hz * _BLOCK_S)]
        levels += _measured(piece, rate_hz, _BLOCK_S)
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


def _measured(sound: NDArray[np.int16] | NDArray[np.float32], rate_hz: int, block_s: float) -> list[float]:
    from pyloudnorm import Meter

    meter = Meter(rate_hz, block_size=block_s)
    meter.integrated_loudness(sound.astype(np.float64) / INT16_FULL_SCALE)
    return [float(level) for level in meter.blockwise_loudness]
