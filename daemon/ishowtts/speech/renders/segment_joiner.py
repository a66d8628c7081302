"""Joins the segments of a line to one sound as they come, with the cross-fades that the player makes."""

from __future__ import annotations

import numpy as np

from ishowtts.util.crossfade import cross_fade, raised_cosine
from ishowtts.util.samples import FloatPcm


class SegmentJoiner:
    """Holds back the end of a segment until it is known what follows."""

    def __init__(self) -> None:
        self._held: FloatPcm = np.zeros(0, np.float32)
        self._length_before = 0  # of the segment before, without what was mixed into the one before that

    def add(self, sound: FloatPcm, overlap: int, hold: int, fade_out: int = 0) -> FloatPcm:
        """Returns the samples that nothing changes any more, after the next segment.

        Args:
            sound: [n] The segment.
            overlap: Samples of the cross-fade with the segment before: at most half of either segment is mixed.
            hold: Samples at its end that the next segment may change; 0 for the last segment.
            fade_out: Samples at the end of the segment before that fade out if there is no cross-fade.
        """
        before = self._held
        mixed = min(overlap, len(before), self._length_before // 2, len(sound) // 2)
        if mixed > 0:
            before[-mixed:] = cross_fade(before[-mixed:], sound[:mixed])
            sound = sound[mixed:]
        elif fade_out > 0 and len(before):
            end = before[-fade_out:]
            end *= raised_cosine(len(end))[::-1]
        self._length_before = len(sound)
        ready = len(sound) - min(hold, len(sound))
        self._held = sound[ready:].copy()
        return np.concatenate([before, sound[:ready]])
