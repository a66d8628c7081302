"""Measures kernels on a GPU: which ones compute correctly, and which of those is the fastest.

The time of a kernel is that of a captured graph, as in real runs: launches cost nothing then.
"""

from __future__ import annotations

import logging
import math
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
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


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
    exact = group.runs[group.otherwise]() if group.exact is None else group.exact
    errors: dict[str, float] = {}
    for name, run in group.runs.items():
        found = result(f"{name} ({group.name})", run)
        if found is None:
            continue
        error = relative_error(found, exact)
        if error <= group.tolerances.get(name, _TOLERANCE[group.dtype]):
            errors[name] = error
        else:
            log.warning(
                "the kernel %s (%s) computes wrong on this GPU (%.1e off) and is not used", name, group.name, error
            )
    spent_s = times_s({name: group.runs[name] for name in errors})
    log.info("measured, %s: %s", group.name, ", ".join(f"{name} {1e6 * s:.0f} us" for name, s in spent_s.items()))
    return {name: KernelTiming(s, errors[name]) for name, s in spent_s.items()}


def fastest(group: CandidateGroup) -> str:
    """The fastest candidate that is correct."""
    return best(measure(group)) or group.otherwise


def best(timings: Mapping[str, KernelTiming]) -> str | None:
    """The name with the shortest time; `None` if there is none."""
    return min(timings, key=lambda name: timings[name].run_s, default=None)


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

    Rounds are interleaved and go on until no best time moves any more, for 3 s at most.
    """
    capturer = CudaCapture()
    replays: dict[str, Callable[[], None]] = {}
    for name, run in runs.items():
        try:
            replays[name] = capturer.capture(partial(_repeat, run))
        except RuntimeError as error:
            log.warning("the kernel %s cannot be captured and is not used: %s", name, first_line(error))
    best_s = throughput.best_times_s(replays, "cuda", least_s=0.0)
    return {name: s / _REPEATS for name, s in best_s.items()}


def _tensors(output: KernelOutput) -> list[Tensor]:
    parts = output if isinstance(output, tuple) else (output,)
    return [part.restored() if isinstance(part, QuantisedRows) else part for part in parts]


def _repeat(run: TimedRun) -> None:
    for _ in range(_REPEATS):
        run()
