"""Measures the speed of our engine and of upstream, and on request of upstream through torch.compile and of our int8.

They take turns in one run, with the same weights, voice, texts and NFE, because the speed of a machine varies. Upstream
at its default NFE is measured last, alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import torch

from ishowtts.engines.f5.architecture import HOP, RATE_HZ
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.f5_switches import Switches
from ishowtts_bench import machine, systems
from ishowtts_bench.bench_env import BenchEnv, make_text
from ishowtts_bench.peak_memory import PeakMemory, PeakMemoryMeter
from ishowtts_bench.startup import Start
from ishowtts_bench.systems import System, title
from ishowtts_bench.timers import LOOP, record_runs, timed

_UPSTREAM_NFE = 32
_INT8 = "ours, int8"
_LOOP = "evaluations"


@dataclass(frozen=True)
class Timing:
    """One text, synthesized once by one system. It is not counted if it only warms up."""

    system: str
    length_s: float
    synth_s: float
    audio_s: float
    ttfa_s: float | None
    counted: bool = True

    @property
    def rtf(self) -> float:
        """Synthesis seconds per second of sound."""
        return self.synth_s / self.audio_s


@dataclass(frozen=True)
class ExtraSystems:
    """Systems that run besides our engine and upstream at equal NFE.

    Args:
        compiled: Upstream through torch.compile.
        int8: Our engine in int8.
        default: Upstream at its default NFE.
    """

    compiled: bool = False
    int8: bool = False
    default: bool = False


@dataclass(frozen=True)
class SpeedRow:
    """One system at one length, over all rounds."""

    system: str
    audio_s: float
    rtf: float
    lowest: float
    highest: float
    ttfa_s: float | None


@dataclass
class SpeedResult:
    """Everything that was measured.

    Args:
        device: Name of the GPU; `None` if there is none.
        shares: Share of the measured product rate that our evaluations reach, for each of our timings.
        warm_s: Time of loading and warming up our engine in this process, without imports.
        peak: Peak memory of our engine alone on a GPU.
        fractions: Minimum time of the arithmetic divided by the time that we took, for each of our timings.
        evaluations: Frames and seconds of our evaluations, for each of our timings.
    """

    machine: machine.Machine
    nfe_step: int
    device: str | None = None
    shares: list[float] = field(default_factory=list)
    warm_s: float | None = None
    peak: PeakMemory | None = None
    timings: list[Timing] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    evaluations: list[tuple[list[int], float]] = field(default_factory=list)

    @property
    def fault(self) -> str | None:
        """Why the comparison with the minimum time is wrong; `None` if it is plausible."""
        if self.fractions and statistics.median(self.fractions) > 1:
            return (
                "our engine seems to need less than the minimum time: the rate of the machine was measured too low, "
                "because other programs ran; measure again when it is idle"
            )
        return None

    def rtfs(self, system: str, length_s: float) -> list[float]:
        """Real-time factors of every round."""
        return [timing.rtf for timing in self.timings if (timing.system, timing.length_s) == (system, length_s)]

    def rows(self) -> list[SpeedRow]:
        """Rows of a table, by length."""
        rows = []
        for system, length_s in dict.fromkeys((timing.system, timing.length_s) for timing in self.timings):
            timings = [timing for timing in self.timings if (timing.system, timing.length_s) == (system, length_s)]
            rtfs = [timing.rtf for timing in timings]
            waits = [timing.ttfa_s for timing in timings if timing.ttfa_s is not None]
            ttfa_s = statistics.median(waits) if waits else None
            rows.append(SpeedRow(system, timings[0].audio_s, statistics.median(rtfs), min(rtfs), max(rtfs), ttfa_s))
        return rows

    def ratio(self, slower: str, faster: str) -> float | None:
        """How many times longer `slower` took than `faster` in the same round: the median over rounds and lengths."""
        ratios = []
        for length_s in sorted({timing.length_s for timing in self.timings}):
            pairs = zip(self.rtfs(slower, length_s), self.rtfs(faster, length_s), strict=False)
            ratios += [slow / fast for slow, fast in pairs]
        return statistics.median(ratios) if ratios else None


def run(
    env: BenchEnv,
    lengths_s: Sequence[float],
    rounds: int,
    *,
    nfe_step: int,
    extra: ExtraSystems,
    report: Callable[[Timing], None],
) -> SpeedResult:
    """Measure every system at every length, round by round. The first round of each text only warms up."""
    dtype = choose_dtype(env.precision, torch.device(env.device))
    name = torch.cuda.get_device_name() if env.device == "cuda" else None
    result = SpeedResult(machine.measure(env.device, dtype), nfe_step, name)
    ours = _ours_alone(env, lengths_s, result)
    all_systems = [systems.upstream(env, nfe_step)]
    all_systems += [systems.compiled(env, nfe_step)] if extra.compiled else []
    all_systems += [ours]
    all_systems += [systems.ours(env, nfe_step, Switches(int8=True), _INT8)] if extra.int8 else []
    for length_s in lengths_s:
        text = make_text(length_s)
        for round_number in range(rounds + 1):
            for system in all_systems:
                with _evaluations(env, result, count=system is ours and round_number > 0):
                    timing = _time_once(system, text, length_s, first=round_number > 0)
                report(timing)
                if round_number > 0:
                    result.timings.append(timing)
            if round_number > 0:
                # Between the rounds, because the speed of a machine varies: the best of all is its rate.
                result.machine = result.machine.best_of(machine.measure(env.device, dtype))
    if extra.default:
        shortest = min(lengths_s)
        upstream_default = systems.upstream(env, _UPSTREAM_NFE)
        # Each run takes minutes on a CPU. Only a GPU needs a run that warms up.
        warming, counted = (1, rounds) if env.device == "cuda" else (0, 1)
        for round_number in range(warming + counted):
            timing = _time_once(upstream_default, make_text(shortest), shortest, first=False)
            timing = replace(timing, counted=round_number >= warming)
            report(timing)
            if timing.counted:
                result.timings.append(timing)
    _compare_with_rates(env, result)
    return result


def timings_planned(device: str, lengths: int, rounds: int, extra: ExtraSystems) -> int:
    """How many timings `run` will report."""
    alone = 0 if not extra.default else rounds + 1 if device == "cuda" else 1
    return lengths * (rounds + 1) * (2 + extra.compiled + extra.int8) + alone


def _ours_alone(env: BenchEnv, lengths_s: Sequence[float], result: SpeedResult) -> System:
    """Make our engine before the other systems exist, so that its memory on a GPU can be measured."""
    memory = PeakMemoryMeter(env.device)
    ours = systems.ours(env, result.nfe_step, Switches())
    if env.device == "cuda":
        for length_s in lengths_s:
            ours.synthesize(make_text(length_s))
    result.warm_s, result.peak = ours.warm_s, memory.peak()
    return ours


@contextmanager
def _evaluations(env: BenchEnv, result: SpeedResult, *, count: bool) -> Iterator[None]:
    """Store frames and time of the evaluations. Padding does not count as work."""
    if not count:
        yield
        return
    with record_runs() as runs, timed({_LOOP: (LOOP,)}, env.device) as spent:
        yield
    frames = [count for run in runs for count in run.frames]
    if frames:  # upstream's modules are not counted
        result.evaluations.append((frames, spent[_LOOP].seconds))


def _time_once(system: System, text: str, length_s: float, *, first: bool) -> Timing:
    started = time.perf_counter()
    sound = system.synthesize(text)
    synth_s = ttfa_s = time.perf_counter() - started
    part = system.first_segment(text)
    if first and part != text:
        started = time.perf_counter()
        system.synthesize(part)
        ttfa_s = time.perf_counter() - started
    return Timing(system.name, length_s, synth_s, len(sound) / RATE_HZ, ttfa_s if first else None, counted=first)


def _compare_with_rates(env: BenchEnv, result: SpeedResult) -> None:
    """Compare each of our timings with the rate of products, and with the minimum time of its arithmetic."""
    dit = env.dit()
    rate = machine.ProductRate(dit, result.nfe_step, result.machine.flop_per_s)
    result.shares += [rate.share(frames, spent_s) for frames, spent_s in result.evaluations]
    clip = env.reference_clip()
    reference_frames = clip.audio.shape[-1] * RATE_HZ // clip.rate_hz // HOP
    dtype = getattr(torch, result.machine.dtype)
    for timing in result.timings:
        if timing.system == title("ours", result.nfe_step):
            frames = reference_frames + round(timing.audio_s * RATE_HZ / HOP)
            minimum_s = result.machine.minimum_s(dit, frames, result.nfe_step, machine.loop_bytes(dit, dtype))
            result.fractions.append(minimum_s / timing.synth_s)


def summary(result: SpeedResult, model: str) -> dict[str, object]:
    """The figures for the line of JSON. `docs/f5.md` documents its keys."""
    nfe = result.nfe_step
    ours = title("ours", nfe)
    timings = [timing for timing in result.timings if timing.system == ours]
    waits = [timing.ttfa_s for timing in timings if timing.ttfa_s is not None]
    return {
        "model": model,
        "precision": result.machine.dtype,
        "nfe_step": nfe,
        "ratio_equal_nfe": _rounded(result.ratio(title("upstream", nfe), ours)),
        "ratio_default": _rounded(result.ratio(title("upstream", _UPSTREAM_NFE), ours)),
        "ratio_compiled": _rounded(result.ratio(title("torch.compile", nfe), ours)),
        "ratio_int8": _rounded(result.ratio(title("upstream", nfe), title(_INT8, nfe))),
        "rtf": _rounded(statistics.median(timing.rtf for timing in timings)),
        "ttfa_s": _rounded(statistics.median(waits)) if waits else None,
        "fraction_of_floor": _rounded(statistics.median(result.fractions)),
        "measure_fault": result.fault,
        "gflop_per_s": round(result.machine.flop_per_s / 1e9, 1),
        "gb_per_s": round(result.machine.bytes_per_s / 1e9, 1),
        "device": result.device,
        "share_of_products": _rounded(statistics.median(result.shares)) if result.shares else None,
        "warm_s": _rounded(result.warm_s),
        "peak_mb": _rounded(result.peak.peak_mb if result.peak else None),
        "reserved_mb": _rounded(result.peak.reserved_mb if result.peak else None),
        "threads": result.machine.threads,
        "starts": [asdict(start) for start in result.starts],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
