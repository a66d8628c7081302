"""The steps of the two calls of `scripts/bench-gpu`, and the imports that they share.

Each step runs in a process that is forked after `preload`, and writes its figures to the file that it is given.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ishowtts_bench.gpu_suite import forked_step
from ishowtts_bench.json_files import write_atomically

NFE = 7
GPU_TESTS = Path(__file__).resolve().parents[3] / "tests" / "engines" / "f5" / "cuda"

_WITH_FAKES = ("test_without_gpu.py", "test_cuda_capture.py", "test_caches.py")
"""Tests that a fake or a compiler serves as well as a GPU."""

_LEAST_S = 10.0
_QUERY = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit"
_PACKAGES = ("torch", "triton", "numpy", "f5-tts", "vocos")
_SHARED = (
    "ishowtts.engines.f5.upstream",
    "ishowtts.engines.f5.engine",
    "ishowtts.engines.f5.cuda.fused_elementwise",
    "ishowtts.engines.f5.cuda.products",
    "ishowtts.engines.f5.cuda.convolution",
    "ishowtts.cli.main",
    "ishowtts_bench.commands.bench_command",
    "ishowtts_bench.ablation",
    "ishowtts_bench.batch_bench",
    "ishowtts_bench.candidate_timing",
    "ishowtts_bench.kernel_bench",
    "ishowtts_bench.parity",
    "ishowtts_bench.profiling",
    "ishowtts_bench.quality_sweep",
    "ishowtts_bench.speed",
    "ishowtts_bench.startup",
    "ishowtts_bench.vocoder_bench",
)
_OF_TRITON = ("cuda.fused_elementwise", "cuda.convolution")


@dataclass(frozen=True)
class SuiteStep:
    """One measurement.

    Args:
        run: takes the file for its figures, and returns the exit status.
        limit_s: it is ended after this time.
        least_s: with less time left it does not start, because it would be ended without figures.
        needs_gpu: whether it cannot run with `--device cpu`.
    """

    name: str
    run: Callable[[Path], int]
    limit_s: float
    least_s: float = _LEAST_S
    needs_gpu: bool = False


@dataclass(frozen=True)
class Plan:
    """What the steps measure.

    Args:
        quick: one round of short texts, without the long steps.
    """

    model: str
    device: str
    quick: bool = False

    @property
    def comparable(self) -> bool:
        """Whether the goals apply."""
        return self.device == "cuda" and self.model == "base" and not self.quick


def first_steps(plan: Plan) -> Iterator[SuiteStep]:
    """Yield the steps of the first call: what shows most faults in the least time."""
    yield from _prepare(plan)
    yield _bench("kernels", plan, limit_s=85)
    yield SuiteStep("gpu-tests", _run_gpu_tests, 45, needs_gpu=True)
    yield _speed(plan, rounds=1, default=False, limit_s=90)


def all_steps(plan: Plan, samples: Path) -> Iterator[SuiteStep]:
    """Yield the steps of the second call, the most important ones first, because the time may run out."""
    rounds = 1 if plan.quick else 3
    length, every_round = ("1" if plan.quick else "8"), ("--rounds", str(rounds))
    yield from _prepare(plan)
    yield _speed(plan, rounds=rounds, default=plan.device == "cuda", limit_s=110)
    yield _bench("profile", plan, "--length", length, limit_s=50)
    if not plan.quick:
        options = ("--lengths", length, "--rounds", "2", "--compiled")
        yield _bench("compiled", plan, *options, what="speed", limit_s=280, least_s=120)
    yield _bench("parity-tiny", plan, what="parity", model="tiny", limit_s=150, least_s=30)
    if not plan.quick:
        yield SuiteStep("starts", lambda figures: _measure_starts(plan, figures), 150, least_s=30)
    yield _bench("batches", plan, *every_round, limit_s=60)
    if not plan.quick:
        yield _bench("parity", plan, limit_s=120, least_s=30)
    yield _bench("ablate", plan, "--length", "1" if plan.quick else "3", *every_round, limit_s=150, least_s=20)
    yield _bench("vocoder", plan, *every_round, limit_s=60)
    if not plan.quick:
        of_voice = ("--wav", str(samples)) if Path(plan.model).is_dir() else ()  # random weights only hum
        yield _bench("sweep", plan, "--sentences", "0", *of_voice, limit_s=100, least_s=20)


def preload(device: str) -> list[str]:
    """Import what the steps share, without touching CUDA. Returns what could not be imported, in words."""
    faults = []
    import torch

    # f5-tts asks for the device while it is imported. A real answer would initialise CUDA in this process.
    with patch.object(torch.cuda, "is_available", lambda: device == "cuda"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _SHARED:
            try:
                importlib.import_module(name)
            except Exception as error:  # the steps that need no such module can run
                if not name.endswith(_OF_TRITON) or importlib.util.find_spec("triton"):
                    faults.append(f"{name} cannot be imported: {error}")
        try:
            from ishowtts_bench.upstream_infer import utils_infer

            utils_infer()
        except Exception as error:
            faults.append(f"f5-tts cannot be imported: {error}")
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        faults.append("an import has initialised CUDA, so that no step can use it")
    return faults


def _prepare(plan: Plan) -> Iterator[SuiteStep]:
    yield SuiteStep("device", lambda figures: _describe_device(plan.device, figures), 30)
    yield SuiteStep("weights", lambda figures: _make_weights(plan, figures), 60)


def _speed(plan: Plan, *, rounds: int, default: bool, limit_s: float) -> SuiteStep:
    options = ("--lengths", "1" if plan.quick else "8", "--rounds", str(rounds))
    return _bench("speed", plan, *options, *(["--default"] if default else []), limit_s=limit_s, least_s=20)


def _bench(
    name: str, plan: Plan, *options: str, limit_s: float, least_s: float = _LEAST_S, what: str | None = None,
    model: str | None = None,
) -> SuiteStep:  # fmt: skip
    words = ["bench", what or name, "--model", model or plan.model, "--device", plan.device, *options]
    return SuiteStep(name, lambda figures: _run_command([*words, "--figures", str(figures)]), limit_s, least_s)


def _run_command(words: list[str]) -> int:
    from ishowtts.cli.main import main

    # The log says which kernels were chosen, and why others were not.
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return main(words)


def _describe_device(device: str, figures: Path) -> int:
    import torch

    from ishowtts.engines.f5.device import cuda_fault

    found: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "cuda": torch.version.cuda,
    }
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    fault = cuda_fault() if device == "cuda" else None
    if device == "cuda" and fault is None:
        of_gpu = torch.cuda.get_device_properties(0)
        free, memory = torch.cuda.mem_get_info()
        found |= {
            "gpu": of_gpu.name, "capability": [of_gpu.major, of_gpu.minor], "sms": of_gpu.multi_processor_count,
            "memory_mb": memory / 1e6, "free_mb": free / 1e6, "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }  # fmt: skip
        if nvidia_smi := shutil.which("nvidia-smi"):
            done = subprocess.run(
                [nvidia_smi, _QUERY, "--format=csv"], capture_output=True, text=True, timeout=10, check=False
            )
            found["nvidia_smi"] = done.stdout.strip()
    print("\n".join(f"{name}: {value}" for name, value in found.items()))
    write_atomically(figures, found)
    if fault is not None:
        print(f"this machine has no GPU that works: {fault}")
    return 0 if fault is None else 1


def _make_weights(plan: Plan, figures: Path) -> int:
    from ishowtts_bench.bench_env import find_weights
    from ishowtts_bench.commands.command_output import cache_dir

    folders = {model: find_weights(model, cache_dir()) for model in dict.fromkeys((plan.model, "tiny"))}
    found = {
        model: round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)
        for model, folder in folders.items()
    }
    for model, size_mb in found.items():
        print(f"{model}: {size_mb} MB in {folders[model]}")
    write_atomically(figures, {"mb": found})
    return 0


def _measure_starts(plan: Plan, figures: Path) -> int:
    """Measure starts as `bench speed --starts` does, without measuring the speed again."""
    from dataclasses import asdict

    from ishowtts_bench.bench_env import find_weights
    from ishowtts_bench.commands.command_output import cache_dir
    from ishowtts_bench.startup import measure_all

    starts = []
    for start in measure_all(find_weights(plan.model, cache_dir()), plan.device, NFE):
        starts.append(asdict(start))
        print(", ".join(f"{name} {value}" for name, value in starts[-1].items()))
        write_atomically(figures, {"starts": starts})
    return 0


def _run_gpu_tests(figures: Path) -> int:
    """Run the tests of our kernels on this GPU, without the suite's own fixtures, which need more packages."""
    import pytest

    counts = {"collected": 0, "run": 0, "failed": 0, "skipped": 0}
    failed: list[str] = []

    class Count:
        def pytest_collection_finish(self, session: pytest.Session) -> None:
            counts["collected"] = len(session.items)

        @pytest.hookimpl(optionalhook=True)
        def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
            counts["collected"] = len(ids)

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            counts["run"] += report.when == "call"
            counts["skipped"] += report.skipped
            if report.failed:
                counts["failed"] += 1
                failed.append(f"{report.nodeid}, {report.when}")
            write_atomically(figures, {**counts, "names": failed})

    options = ["-q", "-p", "no:cacheprovider", "--confcutdir", str(GPU_TESTS), "-o", "filterwarnings="]
    workers = forked_step.side_by_side()
    if workers > 1 and importlib.util.find_spec("xdist"):
        options += ["-n", str(workers)]  # most of the time goes to compiling the kernels, each variant once
    for name in _WITH_FAKES:
        options += ["--ignore", str(GPU_TESTS / name)]
    return int(pytest.main([*options, str(GPU_TESTS)], plugins=[Count()]))
