"""Sounds of our own, computed: the chime, and two notes to try a device with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ishowtts.model import Samples
from ishowtts.playback.volume_gain import gain_of, ramp
from ishowtts.util.samples import unit_to_int16

_NOTES_HZ = (523.25, 659.26)
_NOTE_S = 0.75
_ATTACK_S = 0.02
_PEAK = 0.3

_RING_S = 0.7
_RING_PEAK = 10 ** (-6 / 20)
_RING_NOTES = ((0.0, 659.26, 0.13), (0.2, 523.25, 0.17))  # begins at (s), E5 and C5 (Hz), decays in (s)
_PARTIALS = ((1.0, 1.0, 1.0), (2.0, 0.35, 0.6), (3.01, 0.16, 0.4), (4.2, 0.08, 0.25))  # ratio, level, of the decay
_RING_ATTACK_S, _RING_RELEASE_S = 0.004, 0.08


def two_notes(rate_hz: int) -> Samples:
    """C and E, each struck softly and dying away, 1.5 s together."""
    time_s = np.arange(int(_NOTE_S * rate_hz)) / rate_hz
    swell = np.minimum(1.0, np.minimum(time_s, _NOTE_S - time_s) / _ATTACK_S) * np.exp(-3 * time_s)
    notes = [swell * np.sin(2 * np.pi * note_hz * time_s) for note_hz in _NOTES_HZ]
    return unit_to_int16(np.concatenate(notes) * _PEAK)


def ring(rate_hz: int) -> Samples:
    """Two notes of a struck bell, 0.7 s, with a peak of -6 dBFS; the first and the last sample are silence.

    Args:
        rate_hz: 8,000 or more.
    """
    samples = np.zeros(round(_RING_S * rate_hz))
    for start_s, pitch_hz, decay_s in _RING_NOTES:
        first = round(start_s * rate_hz)
        samples[first:] += _struck(len(samples) - first, rate_hz, pitch_hz, decay_s)
    fading = round(_RING_RELEASE_S * rate_hz)
    samples[-fading:] *= 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fading))
    loudest = float(np.abs(samples).max())
    return unit_to_int16(samples * (_RING_PEAK / loudest))


def _struck(count: int, rate_hz: int, pitch_hz: float, decay_s: float) -> NDArray[np.float64]:
    """One note: the higher a partial, the sooner it is gone."""
    time_s = np.arange(count) / rate_hz
    note = np.zeros(count)
    for ratio, level, lasts in _PARTIALS:
        if pitch_hz * ratio < 0.45 * rate_hz:
            note += level * np.exp(-time_s / (decay_s * lasts)) * np.sin(2 * np.pi * pitch_hz * ratio * time_s)
    attack = 0.5 - 0.5 * np.cos(np.pi * np.minimum(time_s / _RING_ATTACK_S, 1))
    return np.asarray(note * attack)


def blocks(sound: Samples, volume: int, block: int) -> Iterator[Samples]:
    """The sound at a volume of 0 to 100, in full blocks."""
    level = gain_of(volume)
    padded = np.pad(sound, (0, -len(sound) % block)).astype(np.float32)
    for part in padded.reshape(-1, block):
        yield ramp(part, level, level)
