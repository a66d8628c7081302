"""Tests the kernels without a GPU: they compile, and their results under the interpreter are correct.

Both run in child processes: Triton decides at its import whether it interprets or compiles. Kernels are compiled for
three GPUs, in one size each. With `ISHOWTTS_ALL_GPUS=1` in the environment it is all GPUs and all sizes.

Compiled kernels are kept in pytest's cache. Triton finds one only by all that it depends on: the source of the kernel
and of what it calls, its options, the GPU, Triton and ptxas. So a changed kernel is compiled. If all are found, the
child computes for 3 s instead of 25 s. `pytest --cache-clear` removes them.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ishowtts.engines.f5.cuda as package

pytest.importorskip("triton")

HERE = Path(__file__).parent
ALL = os.environ.get("ISHOWTTS_ALL_GPUS") == "1"
ORIN, THOR = 87, 110
ARCHITECTURES = (80, ORIN, 89, 90, 100, 120, THOR) if ALL else (ORIN, 90, THOR)
HAS_E4M3 = 89

KERNELS = {"_norm": 1, "_gate_norm": 2, "_rotate": 2, "_activate_first_conv": 1, "_activate_second_conv": 1,
           "_advance": 1, "_convolve": 1, "_quantise": 1, "_norm_quantised": 1, "_finish": 1,
           "multiply": 6} | ({"_norm": 4, "_gate_norm": 5, "_convolve": 3, "multiply": 21} if ALL else {})  # fmt: skip
"""Numbers of variants. Those of a product are rotation, GELU and gate, each in fp16 and in s8."""

WIDE_LOADS = {"_norm": 3, "_gate_norm": 5, "_rotate": 3, "_activate_first_conv": 2, "_activate_second_conv": 3,
              "_advance": 2, "_convolve": 4, "_quantise": 2, "_norm_quantised": 3, "_finish": 5,
              "multiply": 16}  # fmt: skip
"""Loads of 16 bytes: a row of 1024 has narrower loads only for scalars and masks."""

SUMS_OF_ROWS = {"_norm", "_gate_norm", "_quantise", "_norm_quantised"}
ON_TENSOR_CORES = {"_convolve", "multiply"}

LONGEST_S = 1200 if ALL else 240

pytestmark = [
    pytest.mark.f5,
    pytest.mark.timeout(LONGEST_S + 60),
    pytest.mark.xdist_group("kernels-without-gpu"),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="this is the interpreted run"),
]


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
def children(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The child processes. They run in parallel, because each takes many seconds of one core."""
    kept: pytest.Cache | None = getattr(pytestconfig, "cache", None)  # none with `-p no:cacheprovider`
    cache = str(kept.mkdir("triton") if kept else tmp_path_factory.mktemp("triton"))
    pytest_options = ["-q", "-x", "-p", "no:cacheprovider", "--confcutdir", HERE]
    for name in ("test_caches.py", "test_cuda_capture.py"):  # these have no kernels, and run in this process anyway
        pytest_options += ["--ignore", HERE / name]
    options = [*(["--all-sizes"] if ALL else []), *map(str, ARCHITECTURES)]
    made = {
        "interpreted": child(["-m", "pytest", *pytest_options, HERE], TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES=""),
        "compiled": child([HERE / "compile_ahead.py", *options], TRITON_CACHE_DIR=cache),
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


def test_one_binary_of_a_variant_serves_all_numbers_of_lines_and_frames(
    compiled: dict[str, list[dict[str, Any]]],
) -> None:
    variants = Counter((kernel["kernel"], kernel["variant"], kernel["architecture"]) for kernel in compiled["half"])
    assert set(variants.values()) == {1}
    counts = Counter((kernel["kernel"], kernel["architecture"]) for kernel in compiled["half"])
    architectures = {architecture for _, architecture in counts}
    assert len(architectures) == len(ARCHITECTURES)
    for architecture in architectures:
        found = {name: count for (name, compiled_for), count in counts.items() if compiled_for == architecture}
        # Rows are quantised to s8 everywhere, and to e4m3 on GPUs that have it.
        assert found == KERNELS | {"_quantise": 2 if architecture >= HAS_E4M3 else 1}


def test_no_kernel_spills_or_needs_more_shared_memory_than_the_gpu_has(
    compiled: dict[str, list[dict[str, Any]]],
) -> None:
    for kernel in compiled["half"] + compiled["single"]:
        assert kernel["spilled_bytes"] == 0, kernel
        assert kernel["shared_bytes"] <= kernel["shared_bytes_of_gpu"], kernel
        # With more, not even half of the 1536 threads of an Orin core fit into its 65536 registers.
        if kernel["kernel"] not in ON_TENSOR_CORES and "1-warp" not in kernel["variant"]:
            assert kernel["registers"] <= 85, kernel


def test_half_precision_is_loaded_16_bytes_at_a_time_and_multiplied_on_tensor_cores(
    compiled: dict[str, list[dict[str, Any]]],
) -> None:
    for kernel in compiled["half"]:
        assert kernel["wide_loads"] >= WIDE_LOADS[kernel["kernel"]], kernel
        assert kernel["tensor_cores"] == (kernel["kernel"] in ON_TENSOR_CORES), kernel
        # Between warps go the sums of rows, and nothing if a warp has its rows or pairs for itself.
        if kernel["variant"].startswith(("rotate", "norms-1-warp")):
            assert kernel["shared_bytes"] == 0, kernel
        if kernel["kernel"] in SUMS_OF_ROWS:
            assert kernel["shared_bytes"] <= 64, kernel


def test_attention_is_on_tensor_cores_without_spills_and_has_one_binary_of_each_tile(
    compiled: dict[str, list[dict[str, Any]]],
) -> None:
    counts = Counter((kernel["architecture"], kernel["tile"]) for kernel in compiled["attention"])
    architectures = {kernel["architecture"] for kernel in compiled["half"]}
    tiles = ("64x64", "128x64", "128x128")
    assert counts == {(architecture, tile): 1 for architecture in architectures for tile in tiles}
    for kernel in compiled["attention"]:
        assert kernel["tensor_cores"], kernel
        assert kernel["spilled_bytes"] == 0, kernel
        assert kernel["shared_bytes"] <= 99 * 1024, kernel
        # Each thread has a quarter or an eighth of 64 rows of 64 values to load at least, 8 at a time.
        assert kernel["wide_loads"] >= 12, kernel


def test_kernels_call_no_min_or_max_of_python() -> None:
    """Triton up to 3.4, which torch up to 2.8 brings, makes a tensor of the constants, and that is not a size."""
    kernels = 0
    for path in Path(package.__path__[0]).glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and "triton.jit" in map(_name, function.decorator_list):
                kernels += 1
                called = {_name(call) for call in ast.walk(function) if isinstance(call, ast.Call)}
                assert not called & {"min", "max"}, f"{path.name}: {function.name}"
    assert kernels > len(KERNELS)


def _name(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)
