"""Computed sounds: the default chime, and two notes to test a device.

They are computed and not shipped as files: at any sample rate they are exact, and need no resampling.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ishowtts.model import Samples
from ishowtts.playback.volume_gain import apply_gain_ramp, gain_of
from ishowtts.util.samples import unit_to_int16

_NOTES_HZ = (523.25, 659.26)
_NOTE_S = 0.75
_ATTACK_S = 0.02
_PEAK = 0.3

_CHIME_S = 0.7
_CHIME_PEAK = 10 ** (-6 / 20)
_CHIME_NOTES = ((0.0, 659.26, 0.13), (0.2, 523.25, 0.17))  # start (s), pitch of E5 and C5 (Hz), decay (s)
# Ratio of the pitch, level, ratio of the decay.
_PARTIALS = ((1.0, 1.0, 1.0), (2.0, 0.35, 0.6), (3.01, 0.16, 0.4), (4.2, 0.08, 0.25))
_CHIME_ATTACK_S, _CHIME_RELEASE_S = 0.004, 0.08


def two_notes(rate_hz: int) -> Samples:
    """Returns the notes C and E, each with a soft attack and a decay, 1.5 s in all."""
    time_s = np.arange(int(_NOTE_S * rate_hz)) / rate_hz
    envelope = np.minimum(1.0, np.minimum(time_s, _NOTE_S - time_s) / _ATTACK_S) * np.exp(-3 * time_s)
    notes = [envelope * np.sin(2 * np.pi * note_hz * time_s) for note_hz in _NOTES_HZ]
    return unit_to_int16(np.concatenate(notes) * _PEAK)


def bell_chime(rate_hz: int) -> Samples:
    """Returns the default chime: two notes of a bell, 0.7 s, with a peak of -6 dBFS.

    The first and the last sample are zero.

    Args:
        rate_hz: Sample rate, 8,000 Hz or more.
    """
    samples = np.zeros(round(_CHIME_S * rate_hz))
    for start_s, pitch_hz, decay_s in _CHIME_NOTES:
        first = round(start_s * rate_hz)
        samples[first:] += _bell_note(len(samples) - first, rate_hz, pitch_hz, decay_s)
    fading = round(_CHIME_RELEASE_S * rate_hz)
    samples[-fading:] *= 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fading))
    loudest = float(np.abs(samples).max())
    return unit_to_int16(samples * (_CHIME_PEAK / loudest))


def _bell_note(count: int, rate_hz: int, pitch_hz: float, decay_s: float) -> NDArray[np.float64]:
    """Returns one bell note, [count]. Higher partials decay faster."""
    time_s = np.arange(count) / rate_hz
    note = np.zeros(count)
    for ratio, level, decay_ratio in _PARTIALS:
        if pitch_hz * ratio < 0.45 * rate_hz:
            note += level * np.exp(-time_s / (decay_s * decay_ratio)) * np.sin(2 * np.pi * pitch_hz * ratio * time_s)
    attack = 0.5 - 0.5 * np.cos(np.pi * np.minimum(time_s / _CHIME_ATTACK_S, 1))
    return np.asarray(note * attack)


def blocks(sound: Samples, volume: int, block: int) -> Iterator[Samples]:
    """Cuts a sound into full blocks, at a volume of 0 to 100."""
    gain = gain_of(volume)
    padded = np.pad(sound, (0, -len(sound) % block)).astype(np.float32)
    for part in padded.reshape(-1, block):
        yield apply_gain_ramp(part, gain, gain)
