"""How far one sound is from another."""

from __future__ import annotations

import numpy as np

from ishowtts.seams import Sound


def distance(ours: Sound, theirs: Sound) -> float:
    """Largest difference over the peak of `theirs`; infinite where lengths differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def deviation(ours: Sound, theirs: Sound) -> float:
    """The difference's energy over that of `theirs`, as a root: what is lost in fidelity."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
