"""Evaluates the voice: the engine speaks held-out sentences, and models of the bench measure the result.

Kokoro, in the same voices, and espeak-ng speak the same sentences. Their results show how much the metrics themselves
mishear.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.f5_options import F5Options
from ishowtts.engines.voices.voice_library import CLIPS, TEXT
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics.all_metrics import AllMetrics
from voice_training.dataset.kokoro import Kokoro
from voice_training.dataset.phonemes import phonemes
from voice_training.dataset.speakers import Speaker
from voice_training.texts import Language

_ESPEAK: dict[Language, str] = {"en": "en-us", "zh": "cmn"}


@dataclass(frozen=True)
class EvaluationPlan:
    """The conditions of an evaluation.

    Attributes:
        weights: the checkpoint folder.
        voices_dir: folder for the reference clip of each speaker, spoken by Kokoro.
        reference: the text of the reference clips.
        texts: sentences that the training never used.
        speakers: the speakers that the voice imitates.
        nfe_steps: numbers of function evaluations to try.
    """

    weights: Path
    voices_dir: Path
    language: Language
    reference: str
    texts: Sequence[str]
    speakers: Sequence[Speaker]
    nfe_steps: Sequence[int]


@dataclass(frozen=True)
class EvaluationRow:
    """The result for one speaker and one engine. As text, a line of a table.

    Attributes:
        source: `f5 at 7`, `kokoro` or `espeak`.
        error_rate, similarity, mos: `metrics.all_metrics.SpeechScores`.
        rtf: real-time factor of F5, synthesis time by audio duration; `None` for the others.
    """

    language: Language
    speaker: str
    source: str
    error_rate: float
    similarity: float | None
    mos: float | None
    rtf: float | None

    def __str__(self) -> str:
        figures = {"error": self.error_rate, "similarity": self.similarity, "mos": self.mos, "rtf": self.rtf}
        shown = "  ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)
        return f"{self.language}  {self.speaker:12}  {self.source:8}  {shown}"


def evaluate(plan: EvaluationPlan, report: Callable[[EvaluationRow], None], threads: int) -> list[EvaluationRow]:
    """Synthesize every sentence for every speaker and every number of evaluations, and measure it.

    Args:
        report: called with each row.
        threads: number of threads of Kokoro and of the metrics.

    Raises:
        EngineError: the packages of the metrics or the weights are missing.
    """
    kokoro = Kokoro(threads)
    for speaker in plan.speakers:
        _write_reference(
            plan.voices_dir / speaker.name, _kokoro_sounds(kokoro, speaker, [plan.reference])[0], plan.reference
        )
    rows: list[EvaluationRow] = []
    with closing(F5Engine(F5Options(weights=str(plan.weights), voices_dir=str(plan.voices_dir)))) as engine:
        engine.load(lambda _: None)
        for speaker in plan.speakers:
            sets: list[tuple[str, list[FloatSamples], float | None]] = [
                (f"f5 at {steps}", *_f5_sounds(engine, speaker.name, plan.texts, steps)) for steps in plan.nfe_steps
            ]
            sets += [("kokoro", _kokoro_sounds(kokoro, speaker, plan.texts), None)]
            sets += [("espeak", _espeak_sounds(plan.language, plan.texts), None)]
            reference, rate_hz = soundfile.read(plan.voices_dir / speaker.name / CLIPS[0], dtype="float32")
            metrics = AllMetrics(reference, rate_hz, plan.language, threads)
            scores = metrics.measure([(plan.texts, sounds) for _, sounds, _ in sets])
            for (source, _, rtf), one in zip(sets, scores, strict=True):
                rows.append(
                    EvaluationRow(plan.language, speaker.name, source, one.error_rate, one.similarity, one.mos, rtf)
                )
                report(rows[-1])
    return rows


def _write_reference(folder: Path, sound: FloatSamples, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / CLIPS[0], sound, RATE_HZ)
    (folder / TEXT).write_text(text + "\n", encoding="utf-8")


def _f5_sounds(engine: F5Engine, voice: str, texts: Sequence[str], steps: int) -> tuple[list[FloatSamples], float]:
    engine.render(Segment("evaluation", 0, 1, texts[0], voice=voice, seed=0, nfe_step=steps), lambda: False)  # warm-up
    started = time.perf_counter()
    sounds = [
        engine.render(Segment("evaluation", 0, 1, text, voice=voice, seed=i, nfe_step=steps), lambda: False)
        for i, text in enumerate(texts)
    ]
    spoken_s = sum(len(sound) for sound in sounds) / RATE_HZ
    return sounds, (time.perf_counter() - started) / spoken_s


def _kokoro_sounds(kokoro: Kokoro, speaker: Speaker, texts: Sequence[str]) -> list[FloatSamples]:
    return [kokoro.synthesize(phoneme_text, speaker) for phoneme_text in phonemes(list(texts))]


def _espeak_sounds(language: Language, texts: Sequence[str]) -> list[FloatSamples]:
    engine = EspeakEngine(_ESPEAK[language])
    engine.load(lambda _: None)
    spoken = [engine.synthesize(Segment("evaluation", 0, 1, text), lambda: False) for text in texts]
    return [soxr.resample(one.samples.astype(np.float32) / 32768, one.rate_hz, RATE_HZ) for one in spoken]
