"""Speech recognition: Whisper base in int8 (MIT) transcribes sounds, and the transcripts are compared with the texts.

Whisper's encoder costs as much for one word as for 30 s. So several short clips are packed into one window, with
silence between them, and the transcript is split by the reference texts. A clip that is misheard in a pack is
transcribed again alone, and the better result counts: Whisper often mishears one or two words that lack context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ishowtts.engines.voices import whisper_model
from ishowtts.text.scripts import base_language
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics import edit_distance
from ishowtts_bench.metrics.mel_16k import RATE_HZ, resampled
from ishowtts_bench.metrics.metric_packages import WHISPER, need
from ishowtts_bench.metrics.spelling import tokens

CLIP_RATE_HZ = 24_000
_WINDOW_S = 30.0
_PACK_S = 28.0
_GAP_S = 1.0
_BEAMS = 5
_MAX_TOKENS = 224  # per window, as in OpenAI's decoder; without a limit Whisper writes endlessly about a hum


@dataclass(frozen=True)
class AsrResult:
    """The transcript of one clip, compared with its text.

    Args:
        transcript: In the common spelling (`spelling.tokens`).
        edits: Number of words, or Han characters, that are wrong, missing or extra.
        total: Number of words or characters of the text.
    """

    transcript: str
    edits: int
    total: int


class Asr:
    """Whisper. Loading it takes two seconds and 200 MB."""

    def __init__(self, threads: int = 1) -> None:
        """Raises EngineError if a package is missing."""
        need(*WHISPER)
        torch_threads = torch.get_num_threads()
        self._model: Any = whisper_model.load(threads)
        # CTranslate2 sets the thread count of OpenMP, which torch uses too. The bench measures the speed of torch.
        torch.set_num_threads(torch_threads)

    def transcribe(self, sound: FloatSamples, rate_hz: int, language: str) -> str:
        """Transcribe mono samples of any length. `language` is `en`, `zh`, …. Silence gives an empty text."""
        samples = resampled(sound, rate_hz)
        if not np.any(samples):
            return ""
        found, _ = self._model.transcribe(
            samples,
            language=base_language(language),
            beam_size=_BEAMS,
            temperature=0.0,
            condition_on_previous_text=False,
            max_new_tokens=_MAX_TOKENS,
            without_timestamps=len(samples) <= _WINDOW_S * RATE_HZ,
        )
        return " ".join(segment.text.strip() for segment in found)

    def recognize(
        self, sounds: Sequence[FloatSamples], texts: Sequence[str], language: str, *, retry_alone: bool = True
    ) -> list[AsrResult]:
        """Transcribe clips and compare each with its text, in order.

        Args:
            sounds: Mono samples at 24 kHz, one array for each text.
            retry_alone: Whether to transcribe a clip again alone if it was misheard in a pack.
        """
        references = [tokens(text, language) for text in texts]
        found: list[AsrResult] = []
        for pack in _packs(sounds):
            transcript = tokens(self.transcribe(_joined([sounds[i] for i in pack]), CLIP_RATE_HZ, language), language)
            parts = edit_distance.split([references[i] for i in pack], transcript)
            for i, part in zip(pack, parts, strict=True):
                result = compare(references[i], part)
                if retry_alone and result.edits and len(pack) > 1:
                    result = min(
                        result, self._alone(sounds[i], references[i], language), key=lambda attempt: attempt.edits
                    )
                found.append(result)
        return found

    def _alone(self, sound: FloatSamples, reference: Sequence[str], language: str) -> AsrResult:
        return compare(reference, tokens(self.transcribe(sound, CLIP_RATE_HZ, language), language))


def compare(reference: Sequence[str], transcript: Sequence[str]) -> AsrResult:
    """Compare two lists of tokens (`spelling.tokens`)."""
    return AsrResult(" ".join(transcript), edit_distance.count(reference, transcript), len(reference))


def error_rate(results: Sequence[AsrResult]) -> float:
    """Edits divided by the words (or characters) of all texts; above 1 if the transcripts are much longer."""
    return sum(result.edits for result in results) / max(1, sum(result.total for result in results))


def _packs(sounds: Sequence[FloatSamples]) -> Iterator[list[int]]:
    """Group the clips in order, as many as fit into a window. A clip that is too long gets a group of its own."""
    pack: list[int] = []
    length_s = 0.0
    for i, sound in enumerate(sounds):
        clip_s = len(sound) / CLIP_RATE_HZ + _GAP_S
        if pack and length_s + clip_s > _PACK_S:
            yield pack
            pack, length_s = [], 0.0
        pack.append(i)
        length_s += clip_s
    if pack:
        yield pack


def _joined(sounds: Sequence[FloatSamples]) -> FloatSamples:
    gap = np.zeros(round(_GAP_S * CLIP_RATE_HZ), dtype=np.float32)
    return np.concatenate([part for sound in sounds for part in (sound, gap)][:-1])
