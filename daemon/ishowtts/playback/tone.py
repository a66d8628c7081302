"""A sound to try a device with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ishowtts.playback.levels import gain_of, ramp
from ishowtts.speech import Samples

_NOTES_HZ = (523.25, 659.26)
_NOTE_S = 0.75
_ATTACK_S = 0.02
_PEAK = 0.3


def two_notes(rate_hz: int) -> Samples:
    """C and E, each struck softly and dying away, 1.5 s together."""
    time_s = np.arange(int(_NOTE_S * rate_hz)) / rate_hz
    swell = np.minimum(1.0, np.minimum(time_s, _NOTE_S - time_s) / _ATTACK_S) * np.exp(-3 * time_s)
    notes = [swell * np.sin(2 * np.pi * note_hz * time_s) for note_hz in _NOTES_HZ]
    return np.rint(np.concatenate(notes) * _PEAK * 32767).astype(np.int16)


def blocks(sound: Samples, volume: int, block: int) -> Iterator[Samples]:
    """The sound at a volume of 0 to 100, in full blocks."""
    level = gain_of(volume)
    padded = np.pad(sound, (0, -len(sound) % block)).astype(np.float32)
    for part in padded.reshape(-1, block):
        yield ramp(part, level, level)
