"""Measures kernels on a GPU: which ones compute correctly, and which of those is the fastest.

The time of a kernel is that of a captured graph, as in real runs: launches cost nothing then.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.block_steps import QuantisedRows
from ishowtts.engines.f5.cuda_graphs import CudaCapture
from ishowtts.errors import first_line

log = logging.getLogger(__name__)

KernelOutput: TypeAlias = Tensor | QuantisedRows | tuple[Tensor | QuantisedRows, ...]

TimedRun = Callable[[], KernelOutput]
"""Runs a kernel once on inputs that are made before, and returns its results."""

_REPEATS = 8
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 1.5e-2}
"""Rounding explains up to 1e-3 in fp16 and 8e-3 in bf16. One wrong row of the 2496 that most groups have is 2e-2."""

_MOST_S = 0.6
"""Time after which no new round of a group begins: 5 s of a warm start for the eight groups with the vocoder's."""
_SLOWEST, _SHORT_S = 10.0, 0.02
"""A candidate is not timed if one run takes more than ten times as long as the fastest, and more than 20 ms.

It would run eight times in each round of its group.
"""
_EQUAL = 1.02
"""Times that differ by less are noise: the first of such candidates is used, so that starts agree more often."""


@dataclass(frozen=True)
class CandidateGroup:
    """Kernels that compute the same, for one part of the model at its shapes.

    Attributes:
        runs: by the name of the kernel.
        otherwise: the kernel that is used if no candidate is correct. If it is one of `runs`, the others must agree
            with it, unless there is `exact`.
        exact: what they should compute; `None`: what `otherwise` computes.
        flop, bytes: arithmetic and memory traffic of one run, for benches.
        tolerances: the largest error of a kernel that rounds to eight bits, by its name. The others may be off by what
            the rounding of `dtype` explains.
    """

    name: str
    runs: Mapping[str, TimedRun]
    otherwise: str
    dtype: torch.dtype
    exact: KernelOutput | None = None
    flop: float = 0.0
    bytes: float = 0.0
    tolerances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class KernelTiming:
    """What was measured of a kernel that computes correctly.

    Attributes:
        run_s: time of one run.
        error: relative error against the exact result.
    """

    run_s: float
    error: float


def measure(group: CandidateGroup) -> dict[str, KernelTiming]:
    """Measure every candidate that is correct. The log has the times, and why each of the others is not used."""
    correct = _correct(group)
    longest_s = max(_SHORT_S, _SLOWEST * min((first.run_s for first in correct.values()), default=0.0))
    for name, first in correct.items():
        if first.run_s > longest_s:
            log.info("the kernel %s (%s) is not timed: one run takes %.0f ms", name, group.name, 1e3 * first.run_s)
    spent_s = times_s({name: group.runs[name] for name, first in correct.items() if first.run_s <= longest_s})
    log.info("measured, %s: %s", group.name, ", ".join(f"{name} {1e6 * s:.0f} us" for name, s in spent_s.items()))
    return {name: KernelTiming(s, correct[name].error) for name, s in spent_s.items()}


def fastest(group: CandidateGroup) -> str:
    """The fastest candidate that is correct."""
    return best(measure(group)) or group.otherwise


def best(timings: Mapping[str, KernelTiming]) -> str | None:
    """The name with the shortest time, or the first that is as short but for noise; `None` if there is none."""
    least_s = min((timing.run_s for timing in timings.values()), default=0.0)
    return next((name for name, timing in timings.items() if timing.run_s <= _EQUAL * least_s), None)


def relative_error(found: KernelOutput, exact: KernelOutput) -> float:
    """The largest relative error of the results; infinite if a value is not a number."""
    pairs = zip(_tensors(found), _tensors(exact), strict=True)
    errors = [float((one.float() - other.float()).norm() / other.float().norm()) for one, other in pairs]
    return max(errors) if all(map(math.isfinite, errors)) else math.inf


def result(name: str, run: TimedRun) -> KernelOutput | None:
    """What a candidate computes; `None` if it cannot run here."""
    try:
        found = run()
        torch.cuda.synchronize()
    except Exception as error:  # Triton's errors have no common parent, and any of them means: not this kernel
        log.info("this GPU has no %s: %s", name, first_line(error))
        return None
    return found


def times_s(runs: Mapping[str, TimedRun]) -> dict[str, float]:
    """The best time of each run. One that cannot be captured is left out.

    Rounds are interleaved and go on until no best time moves any more. None begins after 0.6 s.
    """
    capturer = CudaCapture()
    replays: dict[str, Callable[[], None]] = {}
    for name, run in runs.items():
        try:
            replays[name] = capturer.capture(partial(_repeat, run))
        except RuntimeError as error:
            log.warning("the kernel %s cannot be captured and is not used: %s", name, first_line(error))
    best_s = throughput.best_times_s(replays, "cuda", least_s=0.0, most_s=_MOST_S)
    return {name: s / _REPEATS for name, s in best_s.items()}


def _correct(group: CandidateGroup) -> dict[str, KernelTiming]:
    """The candidates that are correct, with the time of their second run: the first one may compile the kernel."""
    exact = group.runs[group.otherwise]() if group.exact is None else group.exact
    correct: dict[str, KernelTiming] = {}
    for name, run in group.runs.items():
        known_as = f"{name} ({group.name})"
        found = result(known_as, run)
        if found is None:
            continue
        error = relative_error(found, exact)
        if not error <= group.tolerances.get(name, _TOLERANCE[group.dtype]):
            log.warning("the kernel %s computes wrong on this GPU (%.1e off) and is not used", known_as, error)
            continue
        started = time.perf_counter()
        if result(known_as, run) is not None:
            correct[name] = KernelTiming(time.perf_counter() - started, error)
    return correct


def _tensors(output: KernelOutput) -> list[Tensor]:
    parts = output if isinstance(output, tuple) else (output,)
    return [part.restored() if isinstance(part, QuantisedRows) else part for part in parts]


def _repeat(run: TimedRun) -> None:
    for _ in range(_REPEATS):
        run()
