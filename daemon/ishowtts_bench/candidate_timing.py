"""Measures the candidates of `ishowtts bench kernels`, one after the other. `bench_candidates` has them."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from ishowtts.engines.f5 import checkpoint, throughput
from ishowtts.engines.f5.block_kernels import FUSED_INT8
from ishowtts.engines.f5.cuda import kernel_timing
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, TimedRun
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.kernel_choice import choose_kernels
from ishowtts.engines.f5.kernels import ELEMENTWISE
from ishowtts.engines.weights import examine
from ishowtts.errors import first_line
from ishowtts.f5_switches import Switches
from ishowtts_bench.bench_candidates import Groups, Source, chosen_from, compared_with
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.kernel_bench import KernelFigures

MACHINE, CHOICE = "this machine", "choice at load"
"""Names of the groups of one candidate that are not kernels."""

_OWN = ("triton", FUSED_INT8)  # how the names of our own kernels begin
_LONGEST_S = 1.0  # of what cannot be captured
_INPUTS = "inputs"
_MAX_FAULT_CHARS = 160  # torch lists every backend that has an operator


class _DeviceBroken(Exception):
    """The device answers no more. After an illegal access, CUDA refuses everything in its process."""


def measure_all(env: BenchEnv, figures: KernelFigures, report: Callable[[str], None]) -> bool:
    """Measure the candidates that are not known yet. Returns whether the device still works."""
    device = torch.device(env.device)
    source = Source.of(checkpoint.load(examine(env.folder)), device, choose_dtype(env.precision, device))

    def measure(group: str, name: str, run: Callable[[], dict[str, object]], **about_group: object) -> None:
        if figures.is_known(group, name):
            return
        figures.begin(group, name, **about_group)
        try:
            found = run()
        except Exception as error:  # Triton's errors have no common parent
            found = {"fault": first_line(error)[:_MAX_FAULT_CHARS]}
        figures.finish(**found)
        report(_sentence(group, name, found))
        _synchronize(device)

    def measure_groups(title: str, groups: Groups) -> None:
        if figures.is_known(title, _INPUTS):
            return
        try:
            for part, group in groups:
                exact = _exact(group)
                about = {"part": part, "flop": group.flop, "bytes": group.bytes}
                for name, run in group.runs.items():
                    measure(group.name, name, partial(time_and_error, group, name, run, exact, device), **about)
        except _DeviceBroken:
            raise
        except Exception as error:  # the inputs may not fit into memory
            measure(title, _INPUTS, partial(_reraise, error))
        if device.type == "cuda":
            torch.cuda.empty_cache()

    def choose() -> dict[str, object]:
        started = time.perf_counter()
        choice = choose_kernels(source.weights, Switches().on_device(device.type))
        figures.content["chosen"] = asdict(choice)
        return {"spent_s": round(time.perf_counter() - started, 2), "choice": str(choice)}

    try:
        with torch.inference_mode():
            # The first measurement also raises the clocks.
            measure(MACHINE, "large product, copy", lambda: _rates(device.type, source.dtype))
            fused = device.type == "cuda" and throughput.fused_fault("cuda") is None
            own = [name for name in ELEMENTWISE if name != "eager"] if fused else []
            for title, groups in chosen_from(source, own):
                measure_groups(title, groups)
            measure(CHOICE, "choose_kernels", choose)  # now all of them are compiled
            for title, groups in compared_with(source, own):
                measure_groups(title, groups)
    except _DeviceBroken:
        return False
    return True


def compile_share(env: BenchEnv, number: int, count: int) -> None:
    """Run every `count`th of our own kernels once, so that it is compiled. Compiled kernels are kept on the disk."""
    device = torch.device(env.device)
    if device.type != "cuda" or throughput.fused_fault("cuda") is not None:
        return
    source = Source.of(checkpoint.load(examine(env.folder)), device, choose_dtype(env.precision, device))
    own = [name for name in ELEMENTWISE if name != "eager"]
    position = itertools.count()
    with torch.inference_mode():
        for _, groups in itertools.chain(chosen_from(source, own), compared_with(source, own)):
            with suppress(Exception):  # it is reported when it is measured
                for _, group in groups:
                    for name, run in group.runs.items():
                        if name.startswith(_OWN) and next(position) % count == number:
                            with suppress(Exception):
                                run()


def _synchronize(device: torch.device) -> None:
    try:
        if device.type == "cuda":
            torch.cuda.synchronize()
    except RuntimeError as error:
        raise _DeviceBroken from error


def _reraise(error: Exception) -> dict[str, object]:
    raise error


def _rates(device: str, dtype: torch.dtype) -> dict[str, object]:
    found = throughput.measure(device, dtype)
    return {"tflops": round(found.flop_per_s / 1e12, 2), "gb_per_s": round(found.bytes_per_s / 1e9, 1)}


def _exact(group: CandidateGroup) -> Any:
    """What the candidates should compute; `None` if they compute different things, or if that cannot be computed."""
    if group.exact is not None:
        return group.exact
    try:
        return group.runs[group.otherwise]() if group.otherwise in group.runs else None
    except Exception:  # it is reported as a candidate
        return None


def time_and_error(
    group: CandidateGroup, name: str, run: TimedRun, exact: Any, device: torch.device
) -> dict[str, object]:
    """Measure a candidate: its times, its rates, and its relative error against `exact`, unless that is `None`."""
    started = time.perf_counter()
    found = run()
    _synchronize(device)
    first_s = time.perf_counter() - started
    error = None if exact is None else kernel_timing.relative_error(found, exact)
    captured = kernel_timing.times_s({name: run}) if device.type == "cuda" else {}
    # A graph's time counts, if it can be captured.
    eager = {} if captured else throughput.best_times_s({name: run}, device.type, least_s=0.0, most_s=_LONGEST_S)
    spent_s = (captured or eager)[name]
    return {
        "us": round(1e6 * spent_s, 2),
        "tflops": round(group.flop / spent_s / 1e12, 2) if group.flop else None,
        "gb_per_s": round(group.bytes / spent_s / 1e9, 1) if group.bytes else None,
        "error": float(f"{error:.2g}") if error is not None and math.isfinite(error) else None,
        "finite": error is None or math.isfinite(error),
        "captured": name in captured,
        "first_s": round(first_s, 3),  # it compiles the kernel, unless that was done in an earlier start
    }


def _sentence(group: str, name: str, found: dict[str, object]) -> str:
    if "fault" in found:
        return f"{group} | {name}: failed: {found['fault']}"
    return f"{group} | {name}: " + ", ".join(f"{key} {value}" for key, value in found.items() if value is not None)
