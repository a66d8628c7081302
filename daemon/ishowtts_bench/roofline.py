"""Roofline model: predicts the time of a segment on a board from arithmetic, memory and kernel launches.

Time of a kernel = max(operations / (efficiency x rate x filling), bytes / (share x bandwidth)) + epilogue + gap, where
epilogue = its bytes / (share x bandwidth). Filling is the share of the SMs that the waves of its tiles keep busy. A
kernel outside a CUDA graph takes at least the time of its launch. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal

from ishowtts.board.gpu_specs import UNKNOWN, GpuSpec, ReachedShares
from ishowtts.engines.f5.architecture import DitConfig
from ishowtts_bench.workload import Implementation, KernelWork, Work, kernels

Bound = Literal["arithmetic", "memory", "launches"]

WINDOW_S: Final = 22.0
"""Longest reference and speech of one run, as in upstream."""


@dataclass(frozen=True)
class Assumptions:
    """Share of the data sheet's rate that each kind of kernel reaches.

    Args:
        products: fp16 products on tensor cores, if their tiles fill the GPU.
        eight_bit: The same in int8 or fp8.
        single: fp32 products without tensor cores.
        memory: Share of the bandwidth that elementwise kernels reach.
        large_product, large_copy: Shares that `engines.f5.throughput` measures. They convert a measured rate to the
            rate of a data sheet.
        host_launches: CPU work for one segment (tokens, calls, copies), as a number of kernel launches on the board.
    """

    name: str
    products: float
    eight_bit: float
    attention: float
    convolution: float
    single: float
    memory: float
    large_product: float
    large_copy: float
    host_launches: int


NAMES: Final = ("low", "likely", "high")
_CONVOLUTION, _SINGLE, _HOST_LAUNCHES = (0.05, 0.20, 0.50), (0.50, 0.65, 0.80), (2000, 700, 250)
"""Nobody published a measurement of these. `docs/performance.md` has the reasons."""


def _assumptions(reached: ReachedShares) -> tuple[Assumptions, ...]:
    return tuple(
        Assumptions(
            name, reached.products[i], reached.eight_bit[i], reached.attention[i], _CONVOLUTION[i], _SINGLE[i],
            reached.memory[i], reached.large_product, reached.large_copy, _HOST_LAUNCHES[i],
        )
        for i, name in enumerate(NAMES)
    )  # fmt: skip


LOW, LIKELY, HIGH = ASSUMPTIONS = _assumptions(UNKNOWN)
"""For a GPU that nobody measured. Chosen before any comparison with published figures, and not changed since."""


def assumptions(board: GpuSpec) -> tuple[Assumptions, ...]:
    """The low, likely and high assumptions for a board: what others measured on it, or on one like it."""
    return _assumptions(board.reached)


def likely(board: GpuSpec) -> Assumptions:
    """The likely assumptions for a board."""
    return assumptions(board)[NAMES.index("likely")]


_ROOT_PRECISION = 1e-4


@dataclass(frozen=True)
class PredictedStage:
    """All kernels of one name."""

    name: str
    calls: int
    spent_s: float
    share: float
    bound: Bound


@dataclass(frozen=True)
class Estimate:
    """The predicted time of a whole line."""

    speech_s: float
    total_s: float
    stages: tuple[PredictedStage, ...]

    @property
    def rtf(self) -> float:
        """Synthesis seconds per second of speech."""
        return self.total_s / self.speech_s


def segment(
    dit: DitConfig, work: Work, implementation: Implementation, board: GpuSpec, assumptions: Assumptions
) -> Estimate:
    """Predict one run of the model. The speech of all segments of a batch counts."""
    stages: dict[str, list[tuple[KernelWork, _CallTimes]]] = {}
    for kernel in kernels(dit, work, implementation):
        stages.setdefault(kernel.name, []).append((kernel, _call_times(kernel, board, assumptions)))
    host_s = assumptions.host_launches * board.dispatch_s * work.batch
    total_s = host_s + sum(kernel.calls * part.total_s for found in stages.values() for kernel, part in found)
    rows = [_stage(name, found, total_s) for name, found in stages.items()]
    rows.append(PredictedStage("on the CPU", work.batch, host_s, host_s / total_s, "launches"))
    return Estimate(work.speech_s * work.batch, total_s, tuple(rows))


def line(
    dit: DitConfig, work: Work, implementation: Implementation, board: GpuSpec, assumptions: Assumptions
) -> Estimate:
    """Predict a line of any length. A line that is longer than the window is several runs of equal length."""
    count = chunks(work)
    run = segment(dit, replace(work, speech_s=work.speech_s / count), implementation, board, assumptions)
    stages = tuple(replace(stage, calls=count * stage.calls, spent_s=count * stage.spent_s) for stage in run.stages)
    return Estimate(count * run.speech_s, count * run.total_s, stages)


def arithmetic_rtf(dit: DitConfig, work: Work, implementation: Implementation, board: GpuSpec) -> float:
    """RTF if the step loop ran at the full rate of fp16 without padding, and everything else took no time."""
    count = chunks(work)
    run = replace(work, speech_s=work.speech_s / count)
    unpadded = replace(implementation, frame_step=1)
    loop = [kernel for kernel in kernels(dit, run, unpadded) if kernel.in_loop]
    return sum(kernel.calls * kernel.flop for kernel in loop) / board.half_flop_per_s / (run.speech_s * run.batch)


def chunks(work: Work) -> int:
    """Number of runs that a line takes."""
    return max(1, ceil(work.speech_s / (WINDOW_S - work.reference_s)))


def implied_products(
    dit: DitConfig, work: Work, implementation: Implementation, board: GpuSpec, assumptions: Assumptions, *, rtf: float
) -> float | None:
    """Find the efficiency of products that gives a published RTF; of fp32 products for an implementation without fp16.

    `None` means that no efficiency up to 1 gives this RTF while the other assumptions stay.
    """

    def at(efficiency: float) -> float:
        changed = (
            replace(assumptions, products=efficiency)
            if implementation.half
            else replace(assumptions, single=efficiency)
        )
        return line(dit, work, implementation, board, changed).rtf

    return _root(at, rtf)


def efficiency(kernel: KernelWork, assumptions: Assumptions) -> float:
    """Share of the arithmetic rate that a kernel reaches if it fills the GPU."""
    if kernel.eight_bit:
        return assumptions.eight_bit
    if kernel.kind == "products":
        return assumptions.products if kernel.half else assumptions.single
    if kernel.kind == "attention":
        return assumptions.attention
    return assumptions.convolution


def filling(kernel: KernelWork, sms: int) -> float:
    """Share of the SMs of a GPU that the waves of a kernel's tiles keep busy."""
    return 1.0 if kernel.tiles is None else kernel.tiles / (ceil(kernel.tiles / sms) * sms)


@dataclass(frozen=True)
class _CallTimes:
    """Times of one call. Arithmetic and memory hide each other; neither hides the epilogue, which comes last."""

    arithmetic_s: float
    memory_s: float
    dispatch_s: float
    epilogue_s: float
    gap_s: float

    @property
    def total_s(self) -> float:
        return max(max(self.arithmetic_s, self.memory_s) + self.epilogue_s, self.dispatch_s) + self.gap_s

    @property
    def bound(self) -> Bound:
        work_s = max(self.arithmetic_s, self.memory_s)
        if self.dispatch_s + self.gap_s > work_s:
            return "launches"
        return "arithmetic" if self.arithmetic_s == work_s else "memory"


def _call_times(kernel: KernelWork, board: GpuSpec, assumptions: Assumptions) -> _CallTimes:
    rate = board.half_flop_per_s if kernel.half else board.single_flop_per_s
    rate = board.int8_op_per_s if kernel.eight_bit else rate
    return _CallTimes(
        kernel.flop / (efficiency(kernel, assumptions) * rate * filling(kernel, board.sms)),
        kernel.bytes / (assumptions.memory * board.bytes_per_s),
        0.0 if kernel.captured else board.dispatch_s,
        kernel.epilogue_bytes / (assumptions.memory * board.bytes_per_s),
        board.gap_s,
    )


def _stage(name: str, found: Sequence[tuple[KernelWork, _CallTimes]], total_s: float) -> PredictedStage:
    """Sum up the kernels of one name. Its bound is the one of most of its time."""
    spent: dict[Bound, float] = {}
    for kernel, part in found:
        spent[part.bound] = spent.get(part.bound, 0.0) + kernel.calls * part.total_s
    whole_s = sum(spent.values())
    calls = sum(kernel.calls for kernel, _ in found)
    return PredictedStage(name, calls, whole_s, whole_s / total_s, max(spent, key=lambda bound: spent[bound]))


def _root(falling: Callable[[float], float], wanted: float) -> float | None:
    """Find where a falling function has this value, between 0 and 1."""
    low, high = _ROOT_PRECISION, 1.0
    if falling(high) > wanted or falling(low) < wanted:
        return None
    while high - low > _ROOT_PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > wanted else (low, middle)
    return high
