"""Measures several segments in one run of the model: the gain, and the share of the machine's product rate."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts_bench import machine
from ishowtts_bench.bench_env import BenchEnv, finish_idle_work, make_text
from ishowtts_bench.machine import ProductRate
from ishowtts_bench.peak_memory import PeakMemory, PeakMemoryMeter
from ishowtts_bench.timers import LOOP, ModelRun, record_runs, synchronized_s, timed

SIZES = (1, 2, 4, 8)
_LOOP = "evaluations"


@dataclass(frozen=True)
class Batch:
    """Runs with this number of segments.

    Args:
        segments: Number of segments in the run.
        synth_s: Time of a run, median over rounds.
        audio_s: Length of the sound of all segments.
        ratio: Throughput relative to single segments, median over rounds.
        share: Share of the measured product rate that the evaluations reach. Padding counts as work.
        padded: Frames of each segment, with reference and padding; `None` if upstream's modules ran.
        peak_mb, reserved_mb, outside_mb: Memory of tensors, of the allocator and outside of it (`PeakMemory`) since the
            engine was loaded; `None` without a GPU.
    """

    segments: int
    synth_s: float
    audio_s: float
    ratio: float
    share: float | None
    padded: int | None
    peak_mb: float | None
    reserved_mb: float | None
    outside_mb: float | None

    @property
    def rtf(self) -> float:
        """Synthesis seconds per second of sound."""
        return self.synth_s / self.audio_s

    @property
    def throughput(self) -> float:
        """Seconds of sound per second of synthesis."""
        return self.audio_s / self.synth_s


def fault(batches: Sequence[Batch]) -> str | None:
    """Why the figures are wrong; `None` if they are plausible."""
    if any(batch.share is not None and batch.share > 1 for batch in batches):
        return (
            "our engine seems to compute faster than the machine can: the rate of the machine was measured too low, "
            "because other programs ran; measure again when it is idle"
        )
    return None


@dataclass
class _Measured:
    synth_s: list[float] = field(default_factory=list)
    loop_s: list[float] = field(default_factory=list)
    audio_s: float = 0.0
    run: ModelRun | None = None
    peak: PeakMemory | None = None


def run(
    env: BenchEnv, length_s: float, rounds: int, nfe_step: int, report: Callable[[str], None]
) -> tuple[list[Batch], machine.Machine]:
    """Measure every size, round by round. The first round only warms up, and its missing CUDA graphs are captured."""
    dtype = choose_dtype(env.precision, torch.device(env.device))
    best = machine.best_of_several(env.device, dtype)
    memory = PeakMemoryMeter(env.device)
    engine = env.engine(Switches(), nfe_step=nfe_step)
    all_segments = [Segment("bench", i, max(SIZES), make_text(length_s, i), seed=i) for i in range(max(SIZES))]
    measured = {count: _Measured() for count in SIZES}
    for round_number in range(rounds + 1):
        for count, result in measured.items():
            name = f"round {round_number} of {rounds}" if round_number else "warms up, is not counted"
            report(f"{name}: {count} at once")
            _measure_batch(engine, all_segments[:count], result, env.device, counted=round_number > 0)
            if round_number == 0:
                result.peak = memory.peak()
        if round_number == 0:
            finish_idle_work(engine)
        best = best.best_of(machine.measure(env.device, dtype))
    engine.close()
    rate = ProductRate(env.dit(), nfe_step, best.flop_per_s)
    return [_batch(count, result, measured[1], rate) for count, result in measured.items()], best


def _measure_batch(
    engine: F5Engine, segments: Sequence[Segment], into: _Measured, device: str, *, counted: bool
) -> None:
    with record_runs() as runs, timed({_LOOP: (LOOP,)}, device) as spent:
        started = synchronized_s(device)
        sounds = engine.render_batch(segments, lambda: False)
        synth_s = synchronized_s(device) - started
    into.audio_s = sum(len(sound) for sound in sounds) / RATE_HZ
    into.run = runs[0] if runs else None
    if counted:
        into.synth_s.append(synth_s)
        into.loop_s.append(spent[_LOOP].seconds)


def _batch(count: int, result: _Measured, single: _Measured, rate: ProductRate) -> Batch:
    alone = [single.audio_s / synth_s for synth_s in single.synth_s]
    together = [result.audio_s / synth_s for synth_s in result.synth_s]
    share = None
    if result.run is not None:
        share = rate.share(count * [result.run.padded], statistics.median(result.loop_s))
    return Batch(
        count,
        statistics.median(result.synth_s),
        result.audio_s,
        statistics.median(many / few for many, few in zip(together, alone, strict=True)),
        share,
        None if result.run is None else result.run.padded,
        result.peak.peak_mb if result.peak else None,
        result.peak.reserved_mb if result.peak else None,
        result.peak.outside_mb if result.peak else None,
    )
