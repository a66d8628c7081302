"""Measures kernels on a GPU: which ones compute correctly, and which of those is the fastest.

The time of a kernel is that of a captured graph, as in real runs: launches cost nothing then.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ishowtts.engines.f5.cuda_graphs import CudaCapture
from ishowtts.errors import first_line

log = logging.getLogger(__name__)

TimedRun = Callable[[], Tensor]
"""Runs a kernel once on inputs that are made before, and returns its result."""

_ROUNDS, _REPEATS = 4, 8
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
    """

    name: str
    runs: Mapping[str, TimedRun]
    otherwise: str
    dtype: torch.dtype
    exact: Tensor | None = None
    flop: float = 0.0
    bytes: float = 0.0


def fastest(group: CandidateGroup) -> str:
    """The fastest candidate that is correct."""
    exact = group.runs[group.otherwise]() if group.exact is None else group.exact
    correct: dict[str, TimedRun] = {}
    for name, run in group.runs.items():
        found = result(name, run)
        if found is None:
            continue
        error = relative_error(found, exact)
        if error <= _TOLERANCE[group.dtype]:
            correct[name] = run
        else:
            log.warning(
                "the kernel %s (%s) computes wrong on this GPU (%.1e off) and is not used", name, group.name, error
            )
    spent_s = times_s(correct)
    log.info("measured, %s: %s", group.name, ", ".join(f"{name} {1e6 * s:.0f} us" for name, s in spent_s.items()))
    return min(spent_s, key=lambda name: spent_s[name], default=group.otherwise)


def relative_error(found: Tensor, exact: Tensor) -> float:
    """The relative error; infinite if a value is not a number."""
    error = float((found.float() - exact.float()).norm() / exact.float().norm())
    return error if math.isfinite(error) else math.inf


def result(name: str, run: TimedRun) -> Tensor | None:
    """What a candidate computes; `None` if it cannot run here."""
    try:
        found = run()
        torch.cuda.synchronize()
    except Exception as error:  # Triton's errors have no common parent, and any of them means: not this kernel
        log.info("this GPU has no %s: %s", name, first_line(error))
        return None
    return found


def times_s(runs: Mapping[str, TimedRun]) -> dict[str, float]:
    """The best of a few interleaved rounds for each run. One that cannot be captured is left out."""
    capturer = CudaCapture()
    replays: dict[str, Callable[[], None]] = {}
    for name, run in runs.items():
        try:
            replays[name] = capturer.capture(partial(_repeat, run))
        except RuntimeError as error:
            log.warning("the kernel %s cannot be captured and is not used: %s", name, first_line(error))
    best_s = dict.fromkeys(replays, float("inf"))
    for _ in range(_ROUNDS):
        for name, replay in replays.items():
            torch.cuda.synchronize()
            started = time.perf_counter()
            replay()
            torch.cuda.synchronize()
            best_s[name] = min(best_s[name], (time.perf_counter() - started) / _REPEATS)
    return best_s


def _repeat(run: TimedRun) -> None:
    for _ in range(_REPEATS):
        run()
