"""Several lines in one run of the model: what that is worth, and how near it comes to the machine's products."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.switches import Switches
from ishowtts.model import Segment
from ishowtts_bench import machine
from ishowtts_bench.bench_env import BenchEnv, settle, text_of
from ishowtts_bench.machine import Rate
from ishowtts_bench.peak_memory import Watch
from ishowtts_bench.timers import LOOP, TimedSegment, now_s, timed, watched

SIZES = (1, 2, 4, 8)
_LOOP = "evaluations"


@dataclass(frozen=True)
class Batch:
    """Runs of so many lines.

    Args:
        synth_s: of a run, median over rounds.
        audio_s: of all its lines.
        ratio: seconds of sound made in a second, as many times as with single lines; median over rounds.
        share: of the measured product rate, that the evaluations reach, padding counted as work.
        padded: frames of each line, reference and padding included; `None`: upstream's modules ran.
        peak_mb, reserved_mb: of tensors and of the allocator on a GPU, from the engine's loading on; else `None`.
    """

    lines: int
    synth_s: float
    audio_s: float
    ratio: float
    share: float | None
    padded: int | None
    peak_mb: float | None
    reserved_mb: float | None

    @property
    def rtf(self) -> float:
        """Synthesis seconds per second of sound."""
        return self.synth_s / self.audio_s

    @property
    def throughput(self) -> float:
        """Seconds of sound made in a second."""
        return self.audio_s / self.synth_s


@dataclass
class _Taken:
    synth_s: list[float] = field(default_factory=list)
    loop_s: list[float] = field(default_factory=list)
    audio_s: float = 0.0
    run: TimedSegment | None = None
    peak_mb: float | None = None
    reserved_mb: float | None = None


def run(
    setting: BenchEnv, length_s: float, rounds: int, nfe_step: int, report: Callable[[str], None]
) -> tuple[list[Batch], machine.Machine]:
    """Every size, round by round; the first round only warms, and what it lacked is recorded then."""
    best = machine.measure(setting.device, choose_dtype(setting.precision, torch.device(setting.device)))
    watch = Watch(setting.device)
    engine = setting.engine(Switches(), nfe_step=nfe_step)
    segments = [Segment("bench", i, max(SIZES), text_of(length_s, i), seed=i) for i in range(max(SIZES))]
    taken = {lines: _Taken() for lines in SIZES}
    for turn in range(rounds + 1):
        for lines, one in taken.items():
            report(f"round {turn} of {rounds}: {lines} at once")
            _take(engine, segments[:lines], one, setting.device, count=turn > 0)
            if turn == 0 and (peak := watch.peak()):
                one.peak_mb, one.reserved_mb = peak.peak_mb, peak.reserved_mb
        if turn == 0:
            settle(engine)
    engine.close()
    rate = Rate(setting.dit(), nfe_step, best.flop_per_s)
    return [_batch(lines, one, taken[1], rate) for lines, one in taken.items()], best


def _take(engine: F5Engine, segments: Sequence[Segment], into: _Taken, device: str, *, count: bool) -> None:
    with watched() as runs, timed({_LOOP: (LOOP,)}, device) as spent:
        started = now_s(device)
        sounds = engine.render_batch(segments, lambda: False)
        synth_s = now_s(device) - started
    into.audio_s = sum(len(sound) for sound in sounds) / RATE_HZ
    into.run = runs[0] if runs else None
    if count:
        into.synth_s.append(synth_s)
        into.loop_s.append(spent[_LOOP].seconds)


def _batch(lines: int, one: _Taken, single: _Taken, rate: Rate) -> Batch:
    alone = [single.audio_s / synth_s for synth_s in single.synth_s]
    together = [one.audio_s / synth_s for synth_s in one.synth_s]
    share = None
    if one.run is not None:
        share = rate.share(lines * [one.run.padded], statistics.median(one.loop_s))
    return Batch(
        lines,
        statistics.median(one.synth_s),
        one.audio_s,
        statistics.median(many / few for many, few in zip(together, alone, strict=True)),
        share,
        None if one.run is None else one.run.padded,
        one.peak_mb,
        one.reserved_mb,
    )
