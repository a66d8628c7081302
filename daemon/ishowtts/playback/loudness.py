"""How loud a voice is (ITU-R BS.1770-4), and the gain that brings it to the target.

A voice has one gain, not each line: what it says softly stays softer than what it says loudly.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ishowtts.util.samples import INT16_FULL_SCALE

MEMORY_S = 30.0
MOST_GAIN_DB, LEAST_GAIN_DB = 24.0, -30.0
_VOICES = 64
_LINES = 64

_BLOCK_S, _HOP_S, _LEAST_S = 0.4, 0.1, 0.01
_HOPS_AT_ONCE = 40
_SILENCE_LUFS = -70.0
_GATE_LU = -10.0

_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class SpeakingLevel:
    """Whose voice: engines may give the same name to different ones."""

    engine: str
    voice: str


class VoiceLevels:
    """The gain of each voice, from what it said in the last 30 s that were not silent.

    Within a line a voice keeps the gain that it began with, so that no seam between two segments steps.

    Args:
        target_lufs: what every voice is brought to.
    """

    def __init__(self, target_lufs: float) -> None:
        self._target_lufs = target_lufs
        self._heard: OrderedDict[SpeakingLevel, deque[float]] = OrderedDict()
        self._gains_db: OrderedDict[tuple[str, SpeakingLevel], float] = OrderedDict()

    def gain_db(self, who: SpeakingLevel, line_id: str, blocks: list[float]) -> float:
        """What the next segment of a line is to be turned up by, in dB; 0 where the voice was never heard.

        Args:
            blocks: of this segment, as `block_levels` gives them.
        """
        begun = self._gains_db.get((line_id, who))
        if begun is not None:
            return begun
        level = gated_level([*self._heard.get(who, ()), *blocks])
        return 0.0 if level is None else min(max(self._target_lufs - level, LEAST_GAIN_DB), MOST_GAIN_DB)

    def learn(self, who: SpeakingLevel, line_id: str, blocks: list[float], gain_db: float) -> None:
        """Remember how loud a segment was before its gain, and that gain for the rest of the line."""
        heard = _kept(self._heard, who, deque(maxlen=round(MEMORY_S / _HOP_S)), _VOICES)
        heard.extend(level for level in blocks if level > _SILENCE_LUFS)
        if heard:
            _kept(self._gains_db, (line_id, who), gain_db, _LINES)


def _kept(kept: OrderedDict[_Key, _Kept], key: _Key, fresh: _Kept, most: int) -> _Kept:
    """What is kept under `key`, or else `fresh`; what was not asked for longest makes room."""
    value = kept.setdefault(key, fresh)
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
    return value


def prepare() -> None:
    """Load the meter: seconds, in which other threads are held up. Later it is there."""
    import pyloudnorm  # noqa: F401


def block_levels(sound: NDArray[np.int16] | NDArray[np.float32], rate_hz: int) -> list[float]:
    """The loudness of every 0.4 s, each 0.1 s after the one before, in LUFS; a shorter sound is one block.

    The meter is given some seconds at a time: it holds up other threads for no longer than these take.

    Args:
        sound: [n] in int16's scale.

    Returns:
        -inf for digital silence; empty for less than 10 ms.
    """
    hop, duration_s = rate_hz * _HOP_S, len(sound) / rate_hz
    if duration_s < _LEAST_S:
        return []
    if duration_s < _BLOCK_S:
        # Half a sample less, lest rounding makes the block longer than the sound.
        return _measured(sound, rate_hz, duration_s - 0.5 / rate_hz)
    hops = int(len(sound) / hop) - round(_BLOCK_S / _HOP_S) + 1
    levels = []
    for first in range(0, hops, _HOPS_AT_ONCE):
        last = min(first + _HOPS_AT_ONCE, hops) - 1
        piece = sound[round(first * hop) : math.ceil(last * hop + rate_hz * _BLOCK_S)]
        levels += _measured(piece, rate_hz, _BLOCK_S)
    return levels


def gated_level(levels: list[float]) -> float | None:
    """The loudness of all blocks but silence and pauses, in LUFS; `None` where nothing else is left.

    Pauses are blocks 10 LU under what is not silence.
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
