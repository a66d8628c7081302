"""Differences between two sounds."""

from __future__ import annotations

import numpy as np

from ishowtts.util.crossfade import FloatSamples


def distance(ours: FloatSamples, theirs: FloatSamples) -> float:
    """Largest difference, relative to the peak of `theirs`; infinite if the lengths differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def deviation(ours: FloatSamples, theirs: FloatSamples) -> float:
    """Root of the energy of the difference relative to the energy of `theirs`: the loss of fidelity."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
