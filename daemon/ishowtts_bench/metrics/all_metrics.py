"""All metrics at once, for several sets of sounds of the same texts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ishowtts.errors import EngineError
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics.asr import CLIP_RATE_HZ, Asr, error_rate
from ishowtts_bench.metrics.dnsmos import Dnsmos
from ishowtts_bench.metrics.speaker_encoder import SpeakerEncoder, similarity


@dataclass(frozen=True)
class SpeechScores:
    """The metrics of a set of sounds.

    Args:
        error_rate: Share of wrong words, or of wrong characters if the text is Mandarin (`asr.error_rate`).
        similarity: Mean similarity to the voice of the reference clip; `None` if a sound was silent.
        mos: Mean predicted opinion score; `None` if a sound was silent.
    """

    error_rate: float
    similarity: float | None
    mos: float | None


class AllMetrics:
    """Speech recognition, speaker encoder and DNSMOS.

    Args:
        reference: The clip of the wanted voice, mono samples.
        language: Language of the texts.
    """

    def __init__(self, reference: FloatSamples, rate_hz: int, language: str, threads: int = 1) -> None:
        """Raises EngineError if a package is missing."""
        self._language = language
        self._asr, self._speaker_encoder, self._dnsmos = Asr(threads), SpeakerEncoder(), Dnsmos(threads)
        self._reference = self._speaker_encoder.embed(reference, rate_hz)

    def measure(self, sets: Sequence[tuple[Sequence[str], Sequence[FloatSamples]]]) -> list[SpeechScores]:
        """Measure each set: its texts, and as many sounds, mono samples at 24 kHz.

        Whisper does not hear misheard clips again alone: with a bad voice that would take minutes. A pack never holds
        sounds of two sets. Their texts are the same, so words of one set could count for the other.
        """
        return [SpeechScores(self._error_rate(texts, sounds), *self._voice_scores(sounds)) for texts, sounds in sets]

    def _error_rate(self, texts: Sequence[str], sounds: Sequence[FloatSamples]) -> float:
        return error_rate(self._asr.recognize(sounds, texts, self._language, retry_alone=False))

    def _voice_scores(self, sounds: Sequence[FloatSamples]) -> tuple[float | None, float | None]:
        try:
            embeddings = [self._speaker_encoder.embed(sound, CLIP_RATE_HZ) for sound in sounds]
            similarities = [similarity(self._reference, embedding) for embedding in embeddings]
            opinions = [self._dnsmos.overall(sound, CLIP_RATE_HZ) for sound in sounds]
        except EngineError:  # a silent sound has no voice
            return None, None
        return statistics.mean(similarities), statistics.mean(opinions)
