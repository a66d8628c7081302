"""Applies the volume in software: the curve from 0..100 to a gain, and gain ramps on blocks of samples.

The player asks `clip_gain` for each block, and `PlaybackBuffer.next_block` applies it with `apply_gain_ramp`. With a
hardware mixer (`hardware_volume`) only the difference to the card's volume is applied here.
"""

from __future__ import annotations

import logging
import re

import numpy as np
from numpy.typing import NDArray

from ishowtts.limits import VOLUME
from ishowtts.model import Samples
from ishowtts.util.samples import to_int16

log = logging.getLogger(__name__)

RANGE_DB = 50.0


def gain_of(volume: int) -> float:
    """Returns the gain factor of a volume of 0 to 100.

    The volume covers 50 dB in equal steps, as loudness is perceived. 0 is silence, 100 is unity.
    """
    if volume <= 0:
        return 0.0
    return float(10 ** (RANGE_DB * (min(volume, 100) / 100 - 1) / 20))


def clip_gain(volume: int, clip_volume: int | None, *, hardware_volume: bool) -> float:
    """Returns the gain factor that software applies to a clip.

    Args:
        volume: Volume of the appliance, 0 to 100. At 0 every clip is silent.
        clip_volume: Volume of the clip, which replaces that of the appliance; `None` if the clip has none.
        hardware_volume: Whether the card already plays at `volume`. A clip cannot be louder than that.
    """
    if volume <= 0:
        return 0.0
    wanted = gain_of(volume if clip_volume is None else clip_volume)
    return min(1.0, wanted / gain_of(volume)) if hardware_volume else wanted


def apply_gain_ramp(block: NDArray[np.float32], start: float, end: float) -> Samples:
    """Scales a block by a factor that changes linearly from `start` to `end`; a jump would be heard as a click.

    A factor of 1 from start to end returns the same sample values.
    """
    if start == end:
        scaled = block if start == 1.0 else block * np.float32(start)
    else:
        scaled = block * np.linspace(start, end, len(block), endpoint=True, dtype=np.float32)
    return to_int16(scaled)


def stored_volume(stored: str | None) -> int | None:
    """The volume that the inbox keeps, in percent; `None` if none was set or the value is damaged."""
    if not stored:
        return None
    if re.fullmatch("[0-9]{1,3}", stored) and int(stored) <= VOLUME[1]:
        return int(stored)
    log.warning("the stored volume cannot be read (%r): audio.volume applies", stored[:40])
    return None
