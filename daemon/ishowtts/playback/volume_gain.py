"""Volume and the ramps between levels: arithmetic on samples, no device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ishowtts.model import Samples
from ishowtts.util.samples import to_int16

RANGE_DB = 50.0


def gain_of(volume: int) -> float:
    """The factor for a volume of 0 to 100: 50 dB in equal steps, as loudness is heard; 0 is silence, 100 unity."""
    if volume <= 0:
        return 0.0
    return float(10 ** (RANGE_DB * (min(volume, 100) / 100 - 1) / 20))


def level(volume: int, own: int | None, *, by_card: bool) -> float:
    """The factor in software for a sound.

    Args:
        volume: of the appliance, 0 to 100; at 0 all is silent.
        own: of the sound itself, which takes its place; `None`: it has none.
        by_card: whether the card plays at `volume` already; then a sound cannot be louder than that.
    """
    if volume <= 0:
        return 0.0
    wanted = gain_of(volume if own is None else own)
    return min(1.0, wanted / gain_of(volume)) if by_card else wanted


def ramp(block: NDArray[np.float32], start: float, end: float) -> Samples:
    """Scale a block by a factor that goes evenly from `start` to `end`; a jump would be heard as a click.

    Unity from start to end gives the very samples that went in.
    """
    if start == end:
        scaled = block if start == 1.0 else block * np.float32(start)
    else:
        scaled = block * np.linspace(start, end, len(block), endpoint=True, dtype=np.float32)
    return to_int16(scaled)
