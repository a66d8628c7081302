"""What was said: Whisper base in int8 (MIT), held against what was to be said.

Whisper's encoder costs as much for a word as for 30 s, so that short clips are laid into one window with silence
between, heard at once, and told apart by the references. Whatever was not heard right so is heard again alone, and the
better of the two counts: a clip of one or two words is often misheard for want of context, in a pack or without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ishowtts.text.scripts import base_language
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics import edit_distance
from ishowtts_bench.metrics.mel_16k import RATE_HZ, resampled
from ishowtts_bench.metrics.metric_packages import WHISPER, need, read
from ishowtts_bench.metrics.spelling import tokens

CLIP_RATE_HZ = 24_000
_WINDOW_S = 30.0
_PACK_S = 28.0
_GAP_S = 1.0
_MODEL = WHISPER[1:]
_BEAMS = 5
_MOST_TOKENS = 224  # a window, as OpenAI's own decoder has it: of a hum Whisper would write without end


@dataclass(frozen=True)
class AsrResult:
    """What was heard of one clip.

    Args:
        heard: in the spelling that edits are counted in (`spelling.tokens`).
        edits: words, or Han characters, that are wrong, missing or too many.
        total: words or characters that were to be said.
    """

    heard: str
    edits: int
    total: int


class Asr:
    """Whisper, on so many threads; loading takes two seconds and 200 MB."""

    def __init__(self, threads: int = 1) -> None:
        """Raises EngineError where a package is missing."""
        need(*WHISPER)
        from faster_whisper import WhisperModel

        files = {name: read(_MODEL[1], f"data/{name}") for name in ("config.json", "tokenizer.json", "vocabulary.json")}
        files["model.bin"] = b"".join(read(name, f"data/model.bin.part{part}") for part, name in enumerate(_MODEL, 1))
        files["preprocessor_config.json"] = b"{}"  # else it is looked for in the working directory
        self._model: Any = WhisperModel("base", "cpu", compute_type="int8", cpu_threads=threads, files=files)

    def hear(self, sound: FloatSamples, rate_hz: int, language: str) -> str:
        """Write down [samples] of mono sound of any length, said in `language` (`en`, `zh`, …); silence is empty."""
        heard = resampled(sound, rate_hz)
        if not np.any(heard):
            return ""
        found, _ = self._model.transcribe(
            heard,
            language=base_language(language),
            beam_size=_BEAMS,
            temperature=0.0,
            condition_on_previous_text=False,
            max_new_tokens=_MOST_TOKENS,
            without_timestamps=len(heard) <= _WINDOW_S * RATE_HZ,
        )
        return " ".join(segment.text.strip() for segment in found)

    def verdicts(
        self, sounds: Sequence[FloatSamples], texts: Sequence[str], language: str, *, again: bool = True
    ) -> list[AsrResult]:
        """Judge clips, [samples] at 24 kHz each, by the texts that they were to say, in order.

        Args:
            sounds: as many as `texts`.
            again: hear alone what was not heard right in a pack.
        """
        references = [tokens(text, language) for text in texts]
        found: list[AsrResult] = []
        for pack in _packs(sounds):
            heard = tokens(self.hear(_joined([sounds[i] for i in pack]), CLIP_RATE_HZ, language), language)
            parts = edit_distance.split([references[i] for i in pack], heard)
            for i, part in zip(pack, parts, strict=True):
                verdict = judge(references[i], part)
                if again and verdict.edits and len(pack) > 1:
                    verdict = min(verdict, self._alone(sounds[i], references[i], language), key=lambda one: one.edits)
                found.append(verdict)
        return found

    def _alone(self, sound: FloatSamples, reference: Sequence[str], language: str) -> AsrResult:
        return judge(reference, tokens(self.hear(sound, CLIP_RATE_HZ, language), language))


def judge(reference: Sequence[str], heard: Sequence[str]) -> AsrResult:
    """Hold words against words, both as `spelling.tokens` gives them."""
    return AsrResult(" ".join(heard), edit_distance.count(reference, heard), len(reference))


def error_rate(verdicts: Sequence[AsrResult]) -> float:
    """Edits over all words (or characters) of a set; above 1 where more was heard than was to be said."""
    return sum(one.edits for one in verdicts) / max(1, sum(one.total for one in verdicts))


def _packs(sounds: Sequence[FloatSamples]) -> Iterator[list[int]]:
    """Clips in order, as many as fit into a window; one that does not fit at all is alone."""
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
