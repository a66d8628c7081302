"""Tests the kernels without a GPU: they compile, and their results under the interpreter are correct.

Both run in child processes: Triton decides at its import whether it interprets or compiles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton")

pytestmark = [
    pytest.mark.f5,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("kernels-without-gpu"),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="this is the interpreted run"),
]

HERE = Path(__file__).parent
ORIN, HOPPER, THOR = 87, 90, 101
"""Thor is 11.0 in CUDA 13 and 10.1 in CUDA 12, whose assembler this Triton brings."""

WIDE_LOADS = {"_norm": 3, "_gate_norm": 5, "_rotate": 3, "_activate_first_conv": 2, "_activate_second_conv": 3,
              "_advance": 2, "_convolve": 4, "_quantise": 2, "_finish": 5}  # fmt: skip
"""Loads of 16 bytes: a row of 1024 has narrower loads only for scalars and masks."""

LONGEST_S = 240


def child(command: list[str | Path], **environment: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TRITON"))}
    return subprocess.Popen(
        [sys.executable, *command],
        env=inherited | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The child processes. They run in parallel, because each takes many seconds of one core."""
    cache = str(tmp_path_factory.mktemp("triton"))
    pytest_options = ["-q", "-x", "-p", "no:cacheprovider", "--confcutdir", HERE]
    for name in ("test_caches.py", "test_cuda_capture.py"):  # these have no kernels, and run in this process anyway
        pytest_options += ["--ignore", HERE / name]
    architectures = [str(architecture) for architecture in (ORIN, HOPPER, THOR)]
    made = {
        "interpreted": child(["-m", "pytest", *pytest_options, HERE], TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES=""),
        "compiled": child([HERE / "compile_ahead.py", *architectures], TRITON_CACHE_DIR=cache),
    }
    yield made
    for process in made.values():
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def compiled(children: dict[str, subprocess.Popen[str]]) -> dict[str, list[dict[str, Any]]]:
    out, err = children["compiled"].communicate(timeout=LONGEST_S)
    assert children["compiled"].returncode == 0, err
    found: dict[str, list[dict[str, Any]]] = json.loads(out)
    return found


def test_every_kernel_computes_the_same_as_plain_torch(children: dict[str, subprocess.Popen[str]]) -> None:
    out, err = children["interpreted"].communicate(timeout=LONGEST_S)
    assert children["interpreted"].returncode == 0, out + err


def test_one_binary_serves_all_numbers_of_lines_and_frames(compiled: dict[str, list[dict[str, Any]]]) -> None:
    counts = Counter((kernel["kernel"], kernel["architecture"]) for kernel in compiled["half"])
    assert {architecture for _, architecture in counts} == {ORIN, HOPPER, THOR}
    # Rows are quantised to s8 everywhere, and to e4m3 on GPUs that have it.
    assert counts.pop(("_quantise", ORIN)) == 1
    assert {counts.pop(("_quantise", HOPPER)), counts.pop(("_quantise", THOR))} == {2}
    assert set(counts.values()) == {1}
    assert len(counts) == 3 * 8


def test_no_kernel_spills_or_needs_more_shared_memory_than_the_smallest_gpu_has(
    compiled: dict[str, list[dict[str, Any]]],
) -> None:
    for kernel in compiled["half"] + compiled["single"]:
        assert kernel["spilled_bytes"] == 0, kernel
        assert kernel["shared_bytes"] <= 99 * 1024, kernel
        # With more, not even half of the 1536 threads of an Orin core fit into its 65536 registers.
        assert kernel["registers"] <= 85 or kernel["kernel"] == "_convolve", kernel


def test_half_precision_is_loaded_16_bytes_at_a_time_and_convolved_on_tensor_cores(
    compiled: dict[str, list[dict[str, Any]]],
) -> None:
    for kernel in compiled["half"]:
        assert kernel["wide_loads"] >= WIDE_LOADS[kernel["kernel"]], kernel
        assert kernel["tensor_cores"] == (kernel["kernel"] == "_convolve"), kernel
    assert all(kernel["shared_bytes"] == 0 for kernel in compiled["half"] if kernel["kernel"] == "_rotate")


def test_attention_is_on_tensor_cores_without_spills_and_has_one_binary_of_each_tile(
    compiled: dict[str, list[dict[str, Any]]],
) -> None:
    counts = Counter((kernel["architecture"], kernel["tile"]) for kernel in compiled["attention"])
    tiles = ("64x64", "128x64", "128x128")
    assert counts == {(architecture, tile): 1 for architecture in (ORIN, HOPPER, THOR) for tile in tiles}
    for kernel in compiled["attention"]:
        assert kernel["tensor_cores"], kernel
        assert kernel["spilled_bytes"] == 0, kernel
        assert kernel["shared_bytes"] <= 99 * 1024, kernel
        # Each thread has a quarter or an eighth of 64 rows of 64 values to load at least, 8 at a time.
        assert kernel["wide_loads"] >= 12, kernel
