"""How long a segment takes on a board that is not at hand: the greater of arithmetic and memory, and the launches.

Time of a kernel = max(operations / (efficiency x rate x filling), bytes / (share x bandwidth)) + gap, where filling is
the part of the processors that its last wave of tiles keeps busy. A kernel outside a graph takes no less than the
processor needs to launch it. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal

from ishowtts.board.gpu_specs import LARGE_COPY_SHARE, LARGE_PRODUCT_SHARE, GpuSpec
from ishowtts.engines.f5.architecture import DitConfig
from ishowtts_bench.workload import KernelWork, Recipe, Work, kernels

Bound = Literal["arithmetic", "memory", "launches"]

WINDOW_S: Final = 22.0
"""Reference and speech of one run, at most: upstream's."""


@dataclass(frozen=True)
class Assumptions:
    """What share of a data sheet's rate each kind of kernel reaches.

    Args:
        products: in fp16 on tensor cores, where tiles fill the GPU.
        single: products in fp32 without tensor cores.
        memory: of the bandwidth, by whatever is elementwise.
        large_product, large_copy: what the measurement of `engines.f5.rates` reaches, so that a measured rate can be
            compared with a data sheet's.
        host_launches: what the processor does for a line (tokens, calls, copies), in launches of the board.
    """

    name: str
    products: float
    attention: float
    convolution: float
    single: float
    memory: float
    large_product: float
    large_copy: float
    host_launches: int


LOW: Final = Assumptions("low", 0.50, 0.30, 0.05, 0.50, 0.60, 0.75, 0.70, 2000)
LIKELY: Final = Assumptions("likely", 0.70, 0.45, 0.20, 0.65, 0.75, LARGE_PRODUCT_SHARE, LARGE_COPY_SHARE, 700)
HIGH: Final = Assumptions("high", 0.85, 0.65, 0.50, 0.80, 0.85, 0.92, 0.90, 250)
ASSUMPTIONS: Final = (LOW, LIKELY, HIGH)
"""Chosen before they were held against any published figure, and not touched since; `docs/performance.md` says why."""

_FINEST = 1e-4


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
    """A whole line."""

    speech_s: float
    total_s: float
    stages: tuple[PredictedStage, ...]

    @property
    def rtf(self) -> float:
        """Synthesis seconds per second of speech."""
        return self.total_s / self.speech_s


def segment(dit: DitConfig, work: Work, recipe: Recipe, board: GpuSpec, given: Assumptions) -> Estimate:
    """One run of the model; the speech of all lines of a batch counts."""
    stages: dict[str, list[tuple[KernelWork, _Parts]]] = {}
    for kernel in kernels(dit, work, recipe):
        stages.setdefault(kernel.name, []).append((kernel, _parts(kernel, board, given)))
    host_s = given.host_launches * board.dispatch_s * work.batch
    total_s = host_s + sum(kernel.calls * part.total_s for found in stages.values() for kernel, part in found)
    rows = [_stage(name, found, total_s) for name, found in stages.items()]
    rows.append(PredictedStage("on the processor", work.batch, host_s, host_s / total_s, "launches"))
    return Estimate(work.speech_s * work.batch, total_s, tuple(rows))


def line(dit: DitConfig, work: Work, recipe: Recipe, board: GpuSpec, given: Assumptions) -> Estimate:
    """A line of any length: as many segments of one length as the window asks for, one after another."""
    count = chunks(work)
    one = segment(dit, replace(work, speech_s=work.speech_s / count), recipe, board, given)
    stages = tuple(replace(stage, calls=count * stage.calls, spent_s=count * stage.spent_s) for stage in one.stages)
    return Estimate(count * one.speech_s, count * one.total_s, stages)


def arithmetic_rtf(dit: DitConfig, work: Work, recipe: Recipe, board: GpuSpec) -> float:
    """RTF were every operation of the step loop done at the full rate, and nothing else."""
    count = chunks(work)
    one = replace(work, speech_s=work.speech_s / count)
    loop = [kernel for kernel in kernels(dit, one, recipe) if kernel.in_loop]
    return sum(kernel.calls * kernel.flop for kernel in loop) / board.half_flop_per_s / (one.speech_s * one.batch)


def chunks(work: Work) -> int:
    """How many runs a line takes."""
    return max(1, ceil(work.speech_s / (WINDOW_S - work.reference_s)))


def implied_products(
    dit: DitConfig, work: Work, recipe: Recipe, board: GpuSpec, given: Assumptions, *, rtf: float
) -> float | None:
    """The efficiency of products (fp32 ones for a recipe without fp16) at which a published RTF is met.

    `None`: with everything else as assumed, no efficiency up to 1 meets it.
    """

    def at(efficiency: float) -> float:
        changed = replace(given, products=efficiency) if recipe.half else replace(given, single=efficiency)
        return line(dit, work, recipe, board, changed).rtf

    return _root(at, rtf)


def efficiency(kernel: KernelWork, given: Assumptions) -> float:
    """The share of the arithmetic rate that a kernel reaches where it fills the GPU."""
    if kernel.kind == "products":
        return given.products if kernel.half else given.single
    if kernel.kind == "attention":
        return given.attention
    return given.convolution


def filling(kernel: KernelWork, sms: int) -> float:
    """The part of a GPU's processors that the waves of a kernel's tiles keep busy."""
    return 1.0 if kernel.tiles is None else kernel.tiles / (ceil(kernel.tiles / sms) * sms)


@dataclass(frozen=True)
class _Parts:
    """Of one call; the greatest of the first three hides the others."""

    arithmetic_s: float
    memory_s: float
    dispatch_s: float
    gap_s: float

    @property
    def total_s(self) -> float:
        return max(self.arithmetic_s, self.memory_s, self.dispatch_s) + self.gap_s

    @property
    def bound(self) -> Bound:
        work_s = max(self.arithmetic_s, self.memory_s)
        if self.dispatch_s + self.gap_s > work_s:
            return "launches"
        return "arithmetic" if self.arithmetic_s == work_s else "memory"


def _parts(kernel: KernelWork, board: GpuSpec, given: Assumptions) -> _Parts:
    rate = board.half_flop_per_s if kernel.half else board.single_flop_per_s
    return _Parts(
        kernel.flop / (efficiency(kernel, given) * rate * filling(kernel, board.sms)),
        kernel.bytes / (given.memory * board.bytes_per_s),
        0.0 if kernel.captured else board.dispatch_s,
        board.gap_s,
    )


def _stage(name: str, found: Sequence[tuple[KernelWork, _Parts]], total_s: float) -> PredictedStage:
    """Bound by what most of its time is bound by."""
    spent: dict[Bound, float] = {}
    for kernel, part in found:
        spent[part.bound] = spent.get(part.bound, 0.0) + kernel.calls * part.total_s
    whole_s = sum(spent.values())
    calls = sum(kernel.calls for kernel, _ in found)
    return PredictedStage(name, calls, whole_s, whole_s / total_s, max(spent, key=lambda bound: spent[bound]))


def _root(falling: Callable[[float], float], wanted: float) -> float | None:
    """Where a falling function meets a value, between 0 and 1."""
    low, high = _FINEST, 1.0
    if falling(high) > wanted or falling(low) < wanted:
        return None
    while high - low > _FINEST:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > wanted else (low, middle)
    return high
