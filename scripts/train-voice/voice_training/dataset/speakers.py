"""The speakers: voices of Kokoro, unchanged or mixed and shifted in pitch."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voice_training.texts.seeded_random import seeded_random

VOICES = ("jf_alpha", "jm_kumo", "jf_tebukuro", "jf_gongitsune", "jf_nezumi")
MAX_SHIFT_SEMITONES = 3.0
_MIN_DISTANCE = 0.35  # a quarter of the mix, or one semitone, sounds like another person


@dataclass(frozen=True)
class Speaker:
    """One speaker.

    Attributes:
        name: letters, digits and dashes.
        mix: voices of Kokoro and their weights, which add up to one.
        shift_semitones: shift of pitch and formants.
    """

    name: str
    mix: tuple[tuple[str, float], ...]
    shift_semitones: float = 0.0

    def style(self, voices: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """The weighted mean of the style tables of the voices, float32 [rows, 256]."""
        mean: npt.NDArray[np.float32] = sum(
            (np.float32(weight) * voices[voice] for voice, weight in self.mix), start=np.float32(0)
        )
        return mean


HELD_OUT_SPEAKERS = (
    Speaker("unseen-1", (("jf_nezumi", 0.5), ("jm_kumo", 0.5)), -1.0),
    Speaker("unseen-2", (("jf_alpha", 0.6), ("jf_tebukuro", 0.4)), 1.5),
    Speaker("unseen-3", (("jf_gongitsune", 0.6), ("jm_kumo", 0.4)), 0.5),
    Speaker("unseen-4", (("jm_kumo", 1.0),), -2.5),
)
"""Reserved for evaluation: `training_speakers` returns no speaker that is close to one of them."""


def training_speakers(seed: int, count: int) -> tuple[Speaker, ...]:
    """Speakers of the training: first the five voices unchanged, then shifted mixes of up to three voices."""
    rng = seeded_random(f"cast {seed}")
    speakers = [Speaker(voice.replace("_", "-"), ((voice, 1.0),)) for voice in VOICES][:count]
    while len(speakers) < count:
        candidate = _random_speaker(rng, f"mixed-{seed}-{len(speakers) + 1}")
        if min(_distance(candidate, reserved) for reserved in HELD_OUT_SPEAKERS) >= _MIN_DISTANCE:
            speakers.append(candidate)
    return tuple(speakers)


def _random_speaker(rng: random.Random, name: str) -> Speaker:
    voices = rng.sample(VOICES, rng.choice((1, 2, 2, 3)))
    shares = [rng.uniform(0.2, 1.0) for _ in voices]
    weights = [round(share / sum(shares), 3) for share in shares]
    weights[0] = round(1.0 - sum(weights[1:]), 3)
    shift = round(rng.uniform(-MAX_SHIFT_SEMITONES, MAX_SHIFT_SEMITONES), 1)
    return Speaker(name, tuple(zip(voices, weights, strict=True)), shift)


def _distance(one: Speaker, other: Speaker) -> float:
    """The share of the mix that differs, plus an equivalent for each semitone of difference."""
    first, second = dict(one.mix), dict(other.mix)
    mix = sum(abs(first.get(voice, 0.0) - second.get(voice, 0.0)) for voice in VOICES) / 2
    return mix + _MIN_DISTANCE * abs(one.shift_semitones - other.shift_semitones)
