"""The last hand that is laid on what an engine made: even loudness, and no peak above the ceiling."""

from __future__ import annotations

import threading

import numpy as np

from ishowtts.model import Samples, Utterance
from ishowtts.playback import loudness
from ishowtts.playback.limiter import limited
from ishowtts.playback.loudness import SpeakingLevel, VoiceLevels, block_levels
from ishowtts.util.samples import FloatPcm, resample


class PostProcessor:
    """Brings every voice to one rate and one loudness, and holds it under a true-peak ceiling. Of any threads.

    Args:
        rate_hz: of what is played; `None`: each as it comes.
        loudness_lufs: what voices are brought to; `None`: each is as loud as it comes.
        peak_dbtp: what no true peak exceeds; `None`: what exceeds full scale is clipped by the player.
    """

    def __init__(self, *, rate_hz: int | None = None, loudness_lufs: float | None, peak_dbtp: float | None) -> None:
        self._rate_hz = rate_hz
        self._levels = None if loudness_lufs is None else VoiceLevels(loudness_lufs)
        self._peak_dbtp = peak_dbtp
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Load what is needed: seconds in which other threads are held up, so it is called before anything plays."""
        if self._levels is not None:
            loudness.prepare()

    def finished(self, utterance: Utterance, line_id: str) -> Samples | FloatPcm:
        """The sound of a segment as it is to be played.

        Args:
            line_id: the line that it is a segment of; a voice keeps its gain within a line.

        Returns:
            [n] in int16's scale; the very samples where nothing is to be done.
        """
        rate_hz = self._rate_hz or utterance.rate_hz
        samples = resample(utterance.samples, utterance.rate_hz, rate_hz)
        if self._levels is None:
            return samples if self._peak_dbtp is None else self._at(samples, rate_hz, 0.0)[0]
        # The meter changes the process's filter of warnings for a moment: one at a time.
        with self._lock:
            return self._evened(samples, rate_hz, SpeakingLevel(utterance.engine, utterance.voice), line_id)

    def _evened(self, samples: Samples | FloatPcm, rate_hz: int, who: SpeakingLevel, line_id: str) -> FloatPcm:
        assert self._levels is not None  # noqa: S101  asked by the caller
        blocks = block_levels(samples, rate_hz)
        gain_db = self._levels.gain_db(who, line_id, blocks)
        sound, cut = self._at(samples, rate_hz, gain_db)
        if cut:
            # What the limiter takes is given back, else a voice with high peaks would stay softer than the others.
            blocks = [level - gain_db for level in block_levels(sound, rate_hz)]
            before_db, gain_db = gain_db, self._levels.gain_db(who, line_id, blocks)
            if gain_db != before_db:
                sound, _ = self._at(samples, rate_hz, gain_db)
        self._levels.learn(who, line_id, blocks, gain_db)
        return sound

    def _at(self, samples: Samples | FloatPcm, rate_hz: int, gain_db: float) -> tuple[FloatPcm, bool]:
        """The sound at a gain, and whether the limiter had to touch it."""
        loud = samples.astype(np.float32) * np.float32(10 ** (gain_db / 20))
        if self._peak_dbtp is None:
            return loud, False
        sound = limited(loud, rate_hz, self._peak_dbtp)
        return sound, sound is not loud
