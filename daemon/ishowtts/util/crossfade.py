"""Joins sounds with a cross-fade, as F5-TTS does in `infer_batch_process`, and fades the edges of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FADE_S = 0.15

FloatSamples = NDArray[np.float32]


def cross_fade(before: FloatSamples, after: FloatSamples) -> FloatSamples:
    """Mixes two sounds of equal length, [samples]: `before` fades out linearly while `after` fades in."""
    mixed = before * np.linspace(1, 0, len(before)) + after * np.linspace(0, 1, len(after))
    return mixed.astype(np.float32)


def raised_cosine(count: int) -> FloatSamples:
    """Returns the factors of a fade-in over [count] samples. The first one is 0. Reversed they are a fade-out."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(count) / max(1, count))).astype(np.float32)


def join(sounds: Sequence[FloatSamples], rate_hz: int) -> FloatSamples:
    """Joins sounds, [samples] each, to one. Each seam is cross-faded over 0.15 s, or over the shorter sound."""
    joined = sounds[0]
    for sound in sounds[1:]:
        overlap = min(int(FADE_S * rate_hz), len(joined), len(sound))
        seam = len(joined) - overlap
        joined = np.concatenate([joined[:seam], cross_fade(joined[seam:], sound[:overlap]), sound[overlap:]])
    return joined
