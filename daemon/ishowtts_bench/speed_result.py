"""The figures of `bench speed`: timings of each system, their ratios, and the comparison with the machine's rates."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from ishowtts.engines.f5.architecture import HOP, RATE_HZ, DitConfig
from ishowtts.engines.f5.kernels import KernelChoice
from ishowtts_bench import machine
from ishowtts_bench.peak_memory import PeakMemory
from ishowtts_bench.startup import Start
from ishowtts_bench.systems import COMPILED, DEFAULT_NFE, INT8, OURS, UPSTREAM, title

NEW_LENGTH = "ours, new length each round"


@dataclass(frozen=True)
class Timing:
    """One text, synthesized once by one system.

    Args:
        counted: Whether it is one of the figures. Runs that warm up or have timers inside are not.
    """

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
        shares: Share of the measured product rate that our evaluations reach, for each of their timings.
        warm_s: Time of loading and warming up our engine in this process, without imports.
        peak: Memory of our engine alone on a GPU.
        kernels: The kernels that our engine chose; `None` if upstream's modules ran instead of it.
        fractions: Minimum time of the arithmetic divided by the time that we took, for each of our timings.
        evaluations: Frames and seconds of our evaluations, in runs with timers inside.
        compiled_fault: Why upstream through torch.compile was given up; `None` if it was not.
        new_length_s: How much longer a text takes at a length that was never spoken, for each round.
    """

    machine: machine.Machine
    nfe_step: int
    device: str | None = None
    shares: list[float] = field(default_factory=list)
    warm_s: float | None = None
    peak: PeakMemory | None = None
    kernels: KernelChoice | None = None
    timings: list[Timing] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    evaluations: list[tuple[list[int], float]] = field(default_factory=list)
    new_length_s: list[float] = field(default_factory=list)
    compiled_fault: str | None = None

    @property
    def fault(self) -> str | None:
        """Why the comparison with the minimum time is wrong; `None` if it is plausible."""
        if self.fractions and statistics.median(self.fractions) > 1:
            return (
                "our engine seems to need less than the minimum time: the rate of the machine was measured too low, "
                "because other programs ran; measure again when it is idle"
            )
        return None

    def of(self, system: str, length_s: float | None = None) -> list[Timing]:
        """The timings of a system, at one length or at all."""
        return [one for one in self.timings if one.system == system and length_s in (None, one.length_s)]

    def rows(self) -> list[SpeedRow]:
        """Rows of a table, by length."""
        rows = []
        for system, length_s in dict.fromkeys((timing.system, timing.length_s) for timing in self.timings):
            timings = self.of(system, length_s)
            rtfs = [timing.rtf for timing in timings]
            waits = [timing.ttfa_s for timing in timings if timing.ttfa_s is not None]
            rows.append(
                SpeedRow(system, timings[0].audio_s, statistics.median(rtfs), min(rtfs), max(rtfs), _median(waits))
            )
        return rows

    def ratio(self, slower: str, faster: str) -> float | None:
        """How many times longer `slower` took than `faster` in the same round: the median over rounds and lengths."""
        ratios = []
        for length_s in sorted({timing.length_s for timing in self.timings}):
            pairs = zip(self.of(slower, length_s), self.of(faster, length_s), strict=False)
            ratios += [slow.rtf / fast.rtf for slow, fast in pairs]
        return _median(ratios)

    def compare_with_machine(self, dit: DitConfig, reference_frames: int, loop_bytes: int) -> None:
        """Compare our timings with the rate of products, and with the minimum time of their arithmetic.

        Args:
            loop_bytes: Bytes of weights that every evaluation reads.
        """
        rate = machine.ProductRate(dit, self.nfe_step, self.machine.flop_per_s)
        self.shares += [rate.share(frames, spent_s) for frames, spent_s in self.evaluations]
        for timing in self.of(title(OURS, self.nfe_step)):
            frames = reference_frames + round(timing.audio_s * RATE_HZ / HOP)
            self.fractions.append(self.machine.minimum_s(dit, frames, self.nfe_step, loop_bytes) / timing.synth_s)


def summary(result: SpeedResult, model: str) -> dict[str, object]:
    """The figures for the line of JSON. `docs/f5.md` documents its keys."""
    nfe = result.nfe_step
    ours = title(OURS, nfe)
    timings = result.of(ours)
    new_length_s, peak = _median(result.new_length_s), result.peak
    return {
        "model": model,
        "precision": result.machine.dtype,
        "nfe_step": nfe,
        "ratio_equal_nfe": _rounded(result.ratio(title(UPSTREAM, nfe), ours)),
        "ratio_default": _rounded(result.ratio(title(UPSTREAM, DEFAULT_NFE), ours)),
        "ratio_compiled": _rounded(result.ratio(title(COMPILED, nfe), ours)),
        "compiled_fault": result.compiled_fault,
        "ratio_int8": _rounded(result.ratio(title(UPSTREAM, nfe), title(INT8, nfe))),
        "rtf": _rounded(_median([timing.rtf for timing in timings])),
        "ttfa_s": _rounded(_median([timing.ttfa_s for timing in timings if timing.ttfa_s is not None])),
        "new_length_ms": None if new_length_s is None else round(1000 * new_length_s, 2),
        "fraction_of_floor": _rounded(_median(result.fractions)),
        "measure_fault": result.fault,
        "gflop_per_s": round(result.machine.flop_per_s / 1e9, 1),
        "gb_per_s": round(result.machine.bytes_per_s / 1e9, 1),
        "device": result.device,
        "kernel_choice": asdict(result.kernels) if result.kernels is not None else None,
        "share_of_products": _rounded(_median(result.shares)),
        "warm_s": _rounded(result.warm_s),
        **{name: _rounded(getattr(peak, name, None)) for name in PeakMemory.__dataclass_fields__},
        "threads": result.machine.threads,
        "starts": [asdict(start) for start in result.starts],
    }


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
