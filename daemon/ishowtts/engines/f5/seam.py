"""Sounds one behind the other, cross-faded as upstream's `infer_batch_process` does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ishowtts.engines.f5.architecture import RATE_HZ

FADE_S = 0.15


def join(sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """[samples] each to one, [samples]; linear fades over 0.15 s, or over the shorter sound."""
    joined = sounds[0]
    for sound in sounds[1:]:
        overlap = min(int(FADE_S * RATE_HZ), len(joined), len(sound))
        fade = np.linspace(0, 1, overlap, dtype=np.float32)
        mixed = joined[len(joined) - overlap :] * (1 - fade) + sound[:overlap] * fade
        joined = np.concatenate([joined[: len(joined) - overlap], mixed, sound[overlap:]])
    return joined
