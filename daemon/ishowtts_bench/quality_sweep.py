"""Evaluations against fidelity and against judges: how fast each setting is, and what its sound is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile
import torch

from ishowtts import text as texts
from ishowtts.engines.f5 import schedule
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.f5_options import Precision
from ishowtts.engines.f5.switches import Switches
from ishowtts.errors import EngineError
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples, join
from ishowtts.util.samples import unit_to_int16
from ishowtts_bench.bench_env import BYTES_PER_S, BenchEnv, settle, text_of
from ishowtts_bench.fidelity import deviation
from ishowtts_bench.metrics.all_metrics import AllMetrics, Marks
from ishowtts_bench.mutations import uniform_steps

STEPS = (5, 6, 7, 8, 10, 12, 16, 24, 32)
_FINEST = 32
_EPSS, _UNIFORM = "EPSS", "uniform"
_SWITCHES = {
    "int8": Switches(int8=True),
    "guidance_skip: plain": Switches(guidance_skip="plain"),
    "guidance_skip: reuse": Switches(guidance_skip="reuse"),
}
_FIRST_S = (None, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Point:
    """One setting.

    Args:
        name: what is unlike the default; empty for a plain NFE.
        steps: `EPSS` or `uniform`.
        deviation: of the sound from that of NFE 32 (`fidelity`); `None`: it says something else.
        marks: of the judges; `None`: nobody judged.
    """

    nfe_step: int
    steps: str
    rtf: float
    deviation: float | None
    name: str = ""
    marks: Marks | None = None


@dataclass(frozen=True)
class Plan:
    """What to sweep.

    Args:
        length_s: of the text whose speed and deviation are measured.
        steps: every NFE.
        nfe_step: at which everything else is compared.
        said: sentences for the judges, in words; none: nobody judges.
        folder: where a sample of each goes, as WAV.
    """

    length_s: float
    steps: Sequence[int]
    nfe_step: int
    said: Sequence[str] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class _Row:
    """A point, its sample, and what judges are to hear of it: a sound for each of `texts`."""

    point: Point
    sample: FloatSamples
    texts: Sequence[str]
    sounds: Sequence[FloatSamples]


def run(setting: BenchEnv, plan: Plan, panel: AllMetrics | None, report: Callable[[Point], None]) -> list[Point]:
    """Speak one text in each setting, and every sentence of the plan where there is a panel.

    Returns:
        Each NFE, the fewest first, EPSS before uniform; then precisions and switches; then, where judges sit, lines of
        two sentences in one segment and with short first ones, whose seams the judges hear.
    """
    rows: list[_Row] = []
    for row in _rows(setting, plan if panel is not None else replace(plan, said=())):
        if plan.folder is not None:
            _keep(plan.folder / _file_of(row.point), row.sample)
        rows.append(row)
        report(row.point)
    points = [row.point for row in rows]
    if panel is not None:
        marks = panel.marks([(row.texts, row.sounds) for row in rows])
        points = [replace(point, marks=one) for point, one in zip(points, marks, strict=True)]
    plain = sorted((one for one in points if not one.name), key=lambda one: (one.nfe_step, one.steps))
    return plain + [one for one in points if one.name]


def _rows(setting: BenchEnv, plan: Plan) -> Iterator[_Row]:
    """The finest first, from which the others deviate."""
    usual, finest = Switches(), None
    steps = sorted({*plan.steps, _FINEST}, reverse=True)
    kinds = {nfe_step: _EPSS if schedule.is_pruned(nfe_step) else _UNIFORM for nfe_step in {*steps, plan.nfe_step}}
    with _engine(setting, usual, plan) as engine:
        for nfe_step in steps:
            row = _spoken(engine, plan, finest, nfe_step, steps=kinds[nfe_step])
            finest = row.sample if finest is None else finest
            yield row
    with uniform_steps(), _engine(setting, usual, plan) as engine:
        for nfe_step in steps:
            if kinds[nfe_step] == _EPSS:
                yield _spoken(engine, plan, finest, nfe_step, steps=_UNIFORM)
    for name, one, switches in _variants(setting):
        with _engine(one, switches, plan) as engine:
            yield _spoken(engine, plan, finest, plan.nfe_step, steps=kinds[plan.nfe_step], name=name)
    if plan.said:
        with _engine(setting, usual, plan) as engine:
            for first_s in _FIRST_S:
                yield _cut_early(engine, plan, first_s, kinds[plan.nfe_step])


def _variants(setting: BenchEnv) -> Iterator[tuple[str, BenchEnv, Switches]]:
    """What is unlike the default: precisions that this machine multiplies, then switches."""
    device = torch.device(setting.device)
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "bf16") if setting.device == "cuda" else ("fp32", "auto")
    others = {choose_dtype(one, device): one for one in precisions}
    others.pop(choose_dtype(setting.precision, device), None)
    for dtype, precision in others.items():
        yield str(dtype).removeprefix("torch."), replace(setting, precision=precision), Switches()
    for name, switches in _SWITCHES.items():
        yield name, setting, switches


@contextmanager
def _engine(setting: BenchEnv, switches: Switches, plan: Plan) -> Iterator[F5Engine]:
    """A loaded and warm engine."""
    engine = setting.engine(switches, nfe_step=plan.nfe_step)
    try:
        _render(engine, text_of(plan.length_s), plan.nfe_step)
        settle(engine)
        yield engine
    finally:
        engine.close()


def _spoken(
    engine: F5Engine, plan: Plan, finest: FloatSamples | None, nfe_step: int, *, steps: str, name: str = ""
) -> _Row:
    """The text, timed, and the sentences."""
    started = time.perf_counter()
    sound = _render(engine, text_of(plan.length_s), nfe_step)
    rtf = (time.perf_counter() - started) / (len(sound) / RATE_HZ)
    point = Point(nfe_step, steps, rtf, deviation(sound, sound if finest is None else finest), name)
    return _Row(point, sound, plan.said, [_render(engine, one, nfe_step) for one in plan.said])


def _cut_early(engine: F5Engine, plan: Plan, first_s: float | None, steps: str) -> _Row:
    """Lines of two sentences, whose first segment ends at the first clause from `first_s` on; `None`: at the last."""
    card = engine.prepare(None)
    first_bytes = None if first_s is None else round(first_s * (card.bytes_per_s or BYTES_PER_S))
    lines = [" ".join(plan.said[i : i + 2]) for i in range(0, len(plan.said), 2)]
    started = time.perf_counter()
    sounds = []
    for line in lines:
        cut = texts.segments(line, card.max_segment_bytes, first_bytes)
        sounds.append(join([_render(engine, one, plan.nfe_step) for one in cut], RATE_HZ))
    rtf = (time.perf_counter() - started) / (sum(len(sound) for sound in sounds) / RATE_HZ)
    name = "lines, whole" if first_s is None else f"lines, first segment from {first_s:g} s"
    return _Row(Point(plan.nfe_step, steps, rtf, None, name), sounds[0], lines, sounds)


def _render(engine: F5Engine, text: str, nfe_step: int) -> FloatSamples:
    return engine.render(Segment("bench", 0, 1, text, nfe_step=nfe_step, seed=0), lambda: False)


def _file_of(point: Point) -> str:
    """`nfe-07-EPSS.wav`, `nfe-07-EPSS-guidance-skip-plain.wav`."""
    words = "".join(c if c.isalnum() else " " for c in point.name).split()
    return "-".join([f"nfe-{point.nfe_step:02}", point.steps, *words]) + ".wav"


def _keep(path: Path, sound: FloatSamples) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, unit_to_int16(sound), RATE_HZ)
    except (OSError, soundfile.SoundFileError) as error:
        raise EngineError(f"{path} cannot be written; name a folder where you may write, with room") from error
