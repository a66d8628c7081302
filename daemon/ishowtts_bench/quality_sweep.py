"""Measures speed, fidelity and automatic speech metrics for several NFE values, precisions and switches.

NFE is the number of function evaluations: how often a run evaluates the transformer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile
import torch

from ishowtts import text as texts
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.f5_options import Precision
from ishowtts.engines.f5.schedule import is_pruned
from ishowtts.errors import EngineError
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples, join
from ishowtts.util.samples import unit_to_int16
from ishowtts_bench.bench_env import BYTES_PER_S, BenchEnv, finish_idle_work, make_text
from ishowtts_bench.fidelity import deviation
from ishowtts_bench.metrics.all_metrics import AllMetrics, SpeechScores
from ishowtts_bench.mutations import uniform_steps

NFE_VALUES = (5, 6, 7, 8, 10, 12, 16, 24, 32)
_FINEST = 32
_EPSS, _UNIFORM = "EPSS", "uniform"
_SWITCHES = {
    "int8": Switches(int8=True),
    "guidance_skip: plain": Switches(guidance_skip="plain"),
    "guidance_skip: reuse": Switches(guidance_skip="reuse"),
}
_FIRST_S = (None, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class SweepPoint:
    """One combination that was measured.

    Args:
        name: Difference from the default; empty if only the NFE differs.
        schedule: `EPSS` or `uniform`.
        deviation: Deviation of the sound from that of NFE 32 (`fidelity`); `None` if the text is another one.
        scores: The metrics; `None` if they were not measured.
    """

    nfe_step: int
    schedule: str
    rtf: float
    deviation: float | None
    name: str = ""
    scores: SpeechScores | None = None


@dataclass(frozen=True)
class SweepPlan:
    """What to measure.

    Args:
        length_s: Length of the text for speed and deviation.
        nfe_values: The NFE values to compare.
        nfe_step: NFE of all other comparisons.
        sentences: Sentences for the metrics; empty to measure no metrics.
        folder: Folder for a WAV file of each point.
    """

    length_s: float
    nfe_values: Sequence[int]
    nfe_step: int
    sentences: Sequence[str] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class _Row:
    """A point, its sample, and the sounds for the metrics, one for each of `texts`."""

    point: SweepPoint
    sample: FloatSamples
    texts: Sequence[str]
    sounds: Sequence[FloatSamples]


def run(
    env: BenchEnv, plan: SweepPlan, metrics: AllMetrics | None, report: Callable[[SweepPoint], None]
) -> list[SweepPoint]:
    """Synthesize one text in each combination and, if there are metrics, every sentence of the plan.

    Returns:
        Each NFE, lowest first, EPSS before uniform; then precisions and switches. With metrics, lines of two sentences
        follow, in one segment and with short first segments, so that the metrics include the crossfades.
    """
    rows: list[_Row] = []
    for row in _rows(env, plan if metrics is not None else replace(plan, sentences=())):
        if plan.folder is not None:
            _write(plan.folder / _file_of(row.point), row.sample)
        rows.append(row)
        report(row.point)
    points = [row.point for row in rows]
    if metrics is not None:
        scores = metrics.measure([(row.texts, row.sounds) for row in rows])
        points = [replace(point, scores=of_point) for point, of_point in zip(points, scores, strict=True)]
    plain = sorted((point for point in points if not point.name), key=lambda point: (point.nfe_step, point.schedule))
    return plain + [point for point in points if point.name]


def points_planned(env: BenchEnv, plan: SweepPlan) -> int:
    """How many points `run` will report."""
    nfe_values = {*plan.nfe_values, _FINEST}
    pruned = sum(map(is_pruned, nfe_values))
    return len(nfe_values) + pruned + len(list(_variants(env))) + (len(_FIRST_S) if plan.sentences else 0)


def _rows(env: BenchEnv, plan: SweepPlan) -> Iterator[_Row]:
    """Measure NFE 32 first, because the others are compared with it."""
    default, finest = Switches(), None
    nfe_values = sorted({*plan.nfe_values, _FINEST}, reverse=True)
    schedules = {nfe_step: _EPSS if is_pruned(nfe_step) else _UNIFORM for nfe_step in {*nfe_values, plan.nfe_step}}
    with _engine(env, default, plan) as engine:
        for nfe_step in nfe_values:
            row = _measure(engine, plan, finest, nfe_step, schedule=schedules[nfe_step])
            finest = row.sample if finest is None else finest
            yield row
    with uniform_steps(), _engine(env, default, plan) as engine:
        for nfe_step in nfe_values:
            if schedules[nfe_step] == _EPSS:
                yield _measure(engine, plan, finest, nfe_step, schedule=_UNIFORM)
    for name, variant_env, switches in _variants(env):
        with _engine(variant_env, switches, plan) as engine:
            yield _measure(engine, plan, finest, plan.nfe_step, schedule=schedules[plan.nfe_step], name=name)
    if plan.sentences:
        with _engine(env, default, plan) as engine:
            for first_s in _FIRST_S:
                yield _measure_first_segment(engine, plan, first_s, schedules[plan.nfe_step])


def _variants(env: BenchEnv) -> Iterator[tuple[str, BenchEnv, Switches]]:
    """List the variants of the default: precisions that this machine supports, then switches."""
    device = torch.device(env.device)
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "bf16") if env.device == "cuda" else ("fp32", "auto")
    others = {choose_dtype(precision, device): precision for precision in precisions}
    others.pop(choose_dtype(env.precision, device), None)
    for dtype, precision in others.items():
        yield str(dtype).removeprefix("torch."), replace(env, precision=precision), Switches()
    for name, switches in _SWITCHES.items():
        yield name, env, switches


@contextmanager
def _engine(env: BenchEnv, switches: Switches, plan: SweepPlan) -> Iterator[F5Engine]:
    """Load an engine and warm it up."""
    engine = env.engine(switches, nfe_step=plan.nfe_step)
    try:
        _render(engine, make_text(plan.length_s), plan.nfe_step)
        finish_idle_work(engine)
        yield engine
    finally:
        engine.close()


def _measure(
    engine: F5Engine, plan: SweepPlan, finest: FloatSamples | None, nfe_step: int, *, schedule: str, name: str = ""
) -> _Row:
    """Synthesize the text, with its time, and the sentences."""
    started = time.perf_counter()
    sound = _render(engine, make_text(plan.length_s), nfe_step)
    rtf = (time.perf_counter() - started) / (len(sound) / RATE_HZ)
    point = SweepPoint(nfe_step, schedule, rtf, deviation(sound, sound if finest is None else finest), name)
    return _Row(point, sound, plan.sentences, [_render(engine, sentence, nfe_step) for sentence in plan.sentences])


def _measure_first_segment(engine: F5Engine, plan: SweepPlan, first_s: float | None, schedule: str) -> _Row:
    """Synthesize lines of two sentences. If `first_s` is given, the first segment ends at the next clause after it."""
    voice = engine.prepare(None)
    first_bytes = None if first_s is None else round(first_s * (voice.bytes_per_s or BYTES_PER_S))
    lines = [" ".join(plan.sentences[i : i + 2]) for i in range(0, len(plan.sentences), 2)]
    started = time.perf_counter()
    sounds = []
    for line in lines:
        segments = texts.segments(line, voice.max_segment_bytes, first_bytes)
        sounds.append(join([_render(engine, segment, plan.nfe_step) for segment in segments], RATE_HZ))
    rtf = (time.perf_counter() - started) / (sum(len(sound) for sound in sounds) / RATE_HZ)
    name = "lines, whole" if first_s is None else f"lines, first segment from {first_s:g} s"
    return _Row(SweepPoint(plan.nfe_step, schedule, rtf, None, name), sounds[0], lines, sounds)


def _render(engine: F5Engine, text: str, nfe_step: int) -> FloatSamples:
    return engine.render(Segment("bench", 0, 1, text, nfe_step=nfe_step, seed=0), lambda: False)


def _file_of(point: SweepPoint) -> str:
    """`nfe-07-EPSS.wav`, `nfe-07-EPSS-guidance-skip-plain.wav`."""
    words = "".join(c if c.isalnum() else " " for c in point.name).split()
    return "-".join([f"nfe-{point.nfe_step:02}", point.schedule, *words]) + ".wav"


def _write(path: Path, sound: FloatSamples) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, unit_to_int16(sound), RATE_HZ)
    except (OSError, soundfile.SoundFileError) as error:
        raise EngineError(f"{path} cannot be written; name a writable folder with enough space") from error
