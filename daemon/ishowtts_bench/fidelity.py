"""How far one sound is from another."""

from __future__ import annotations

import numpy as np

from ishowtts.util.crossfade import FloatSamples


def distance(ours: FloatSamples, theirs: FloatSamples) -> float:
    """Largest difference over the peak of `theirs`; infinite where lengths differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def deviation(ours: FloatSamples, theirs: FloatSamples) -> float:
    """The difference's energy over that of `theirs`, as a root: what is lost in fidelity."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
