"""All judges at once, over the sounds of several settings that said the same."""

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
class Marks:
    """What the judges say of a set of sounds.

    Args:
        error_rate: of words, or of characters where the text is Mandarin (`words.error_rate`).
        similarity: to the reference clip, mean; `None`: a sound was silent.
        mos: predicted overall opinion, mean; `None`: a sound was silent.
    """

    error_rate: float
    similarity: float | None
    mos: float | None


class AllMetrics:
    """Listener, ear and opinion.

    Args:
        reference: the clip whose voice is to be heard, [samples] of mono sound.
        language: of the texts.
    """

    def __init__(self, reference: FloatSamples, rate_hz: int, language: str, threads: int = 1) -> None:
        """Raises EngineError where a package is missing."""
        self._language = language
        self._listener, self._ear, self._opinion = Asr(threads), SpeakerEncoder(), Dnsmos(threads)
        self._reference = self._ear.embed(reference, rate_hz)

    def marks(self, sets: Sequence[tuple[Sequence[str], Sequence[FloatSamples]]]) -> list[Marks]:
        """Judge each set of sounds, [samples] at 24 kHz, by its texts, as many as there are sounds.

        Words are heard in packs only: where a voice is bad, hearing each sound again would take minutes. A pack never
        holds sounds of two sets: they say the same, and what one of them said would be taken for the other's words.
        """
        return [Marks(self._error_rate(texts, sounds), *self._heard(sounds)) for texts, sounds in sets]

    def _error_rate(self, texts: Sequence[str], sounds: Sequence[FloatSamples]) -> float:
        return error_rate(self._listener.verdicts(sounds, texts, self._language, again=False))

    def _heard(self, sounds: Sequence[FloatSamples]) -> tuple[float | None, float | None]:
        try:
            alike = [similarity(self._reference, self._ear.embed(sound, CLIP_RATE_HZ)) for sound in sounds]
            return statistics.mean(alike), statistics.mean(self._opinion.of(sound, CLIP_RATE_HZ) for sound in sounds)
        except EngineError:  # silence has no voice
            return None, None
