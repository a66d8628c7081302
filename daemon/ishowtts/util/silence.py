"""Finds the silence at the ends of a sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ishowtts.model import Samples

_SILENT = 10
"""The highest sample of silence, on the scale of int16: -70 dBFS. No consonant of a voice at -16 LUFS is as soft."""


@dataclass(frozen=True)
class EdgeSilence:
    """Number of silent samples before and after a sound. A sound that is silent has all of its samples in `before`."""

    before: int
    after: int


def edge_silence(samples: Samples) -> EdgeSilence:
    """Returns how long [n] samples are silent at both ends."""
    audible = np.flatnonzero((samples > _SILENT) | (samples < -_SILENT))
    if not len(audible):
        return EdgeSilence(len(samples), 0)
    return EdgeSilence(int(audible[0]), len(samples) - 1 - int(audible[-1]))
