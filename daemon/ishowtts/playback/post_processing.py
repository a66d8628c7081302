"""Post-processing of engine output: resampling, loudness normalisation and true-peak limiting."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import numpy as np

from ishowtts.model import Samples, Utterance
from ishowtts.playback.limiter import limited
from ishowtts.playback.loudness import EngineVoice, VoiceLevels, block_levels
from ishowtts.util.samples import FloatPcm, resample

_OTHER_RATE_HZ = 22_050  # that of espeak-ng, which is resampled


class PostProcessor:
    """Brings every voice to one rate and one loudness, below a true-peak ceiling. Any thread may call it.

    Args:
        rate_hz: Sample rate of the output, in Hz; `None` keeps that of each utterance.
        loudness_lufs: Target loudness of all voices; `None` leaves each voice as it is.
        peak_dbtp: Ceiling of the true peaks; `None` means no limiter, so the player clips what exceeds full scale.
        voice_gain_db: Returns the gain of a voice, in dB, from the names of its engine and of itself. It is applied
            after the normalisation, which would cancel it, and before the limiter.
    """

    def __init__(
        self,
        *,
        rate_hz: int | None = None,
        loudness_lufs: float | None,
        peak_dbtp: float | None,
        voice_gain_db: Callable[[str, str], float] = lambda _engine, _voice: 0.0,
    ) -> None:
        self._rate_hz = rate_hz
        self._levels = None if loudness_lufs is None else VoiceLevels(loudness_lufs)
        self._peak_dbtp = peak_dbtp
        self._voice_gain_db = voice_gain_db
        self._lock = threading.Lock()

    def changed(self, loudness_lufs: float | None, peak_dbtp: float | None) -> PostProcessor:
        """Another post-processor for later lines. It shares what is known of each voice, and the lock for that."""
        other = copy.copy(self)
        other._levels = None if loudness_lufs is None else VoiceLevels(loudness_lufs, self._levels)
        other._peak_dbtp = peak_dbtp
        return other

    def prepare(self) -> None:
        """Processes a sound that nobody hears, so that the first line finds resampler, meter and limiter loaded."""
        target_lufs = None if self._levels is None else self._levels.target_lufs
        scratch = PostProcessor(rate_hz=self._rate_hz, loudness_lufs=target_lufs, peak_dbtp=self._peak_dbtp)
        clipped = np.tile(np.array([32_767, -32_768], np.int16).repeat(25), 441)  # a second, which the limiter changes
        scratch.process(Utterance(clipped, _OTHER_RATE_HZ, 0.0, "", ""), "")

    def process(self, utterance: Utterance, line_id: str) -> Samples | FloatPcm:
        """Returns the samples of a segment as they are to be played.

        Args:
            utterance: The engine's output for the segment.
            line_id: The line of the segment. A voice keeps its gain within a line.

        Returns:
            [n] on the scale of int16. The samples of the utterance themselves if there is nothing to change.
        """
        rate_hz = self._rate_hz or utterance.rate_hz
        sound = self._levelled(resample(utterance.samples, utterance.rate_hz, rate_hz), rate_hz, utterance, line_id)
        gain_db = self._voice_gain_db(utterance.engine, utterance.voice)
        return sound if gain_db == 0 else self._at_gain(sound, rate_hz, gain_db)[0]

    def _levelled(
        self, samples: Samples | FloatPcm, rate_hz: int, utterance: Utterance, line_id: str
    ) -> Samples | FloatPcm:
        """Returns the samples at the loudness of all voices, and limited."""
        if self._levels is None:
            return samples if self._peak_dbtp is None else self._at_gain(samples, rate_hz, 0.0)[0]
        with self._lock:
            return self._normalised(samples, rate_hz, EngineVoice(utterance.engine, utterance.voice), line_id)

    def _normalised(self, samples: Samples | FloatPcm, rate_hz: int, voice: EngineVoice, line_id: str) -> FloatPcm:
        assert self._levels is not None  # noqa: S101  the caller has checked it
        blocks = block_levels(samples, rate_hz)
        gain_db = self._levels.gain_db(voice, line_id, blocks)
        sound, limiter_used = self._at_gain(samples, rate_hz, gain_db)
        if limiter_used:
            # The gain makes up for what the limiter takes; else a voice with high peaks would stay softer than others.
            blocks = [level - gain_db for level in block_levels(sound, rate_hz)]
            before_db, gain_db = gain_db, self._levels.gain_db(voice, line_id, blocks)
            if gain_db != before_db:
                sound, _ = self._at_gain(samples, rate_hz, gain_db)
        self._levels.learn(voice, line_id, blocks, gain_db)
        return sound

    def _at_gain(self, samples: Samples | FloatPcm, rate_hz: int, gain_db: float) -> tuple[FloatPcm, bool]:
        """Returns the samples with the gain applied, limited to the ceiling, and whether the limiter changed them."""
        scaled = samples.astype(np.float32) * np.float32(10 ** (gain_db / 20))
        if self._peak_dbtp is None:
            return scaled, False
        sound = limited(scaled, rate_hz, self._peak_dbtp)
        return sound, sound is not scaled
