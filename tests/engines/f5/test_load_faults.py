"""Why torch does not load, in words: with messages of the real loader."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ishowtts.engines.f5 import load_faults

ROOT = Path(__file__).resolve().parents[3]


def build(folder: Path, name: str, *arguments: str, source: str = "int one(void) { return 1; }") -> Path:
    (folder / "source.c").write_text(source)
    library = folder / name
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(folder / "source.c"), f"-Wl,-soname,{name}"]
    subprocess.run([*command, f"-L{folder}", *arguments], check=True, timeout=60)
    return library


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A library that needs libcudss.so.0, which is gone."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    build(tmp_path, "libcudss.so.0")
    user = build(tmp_path, "libtorch_cuda.so", "-Wl,--no-as-needed", "-l:libcudss.so.0")
    (tmp_path / "libcudss.so.0").unlink()
    return user


def fault_with(torch: str, tmp_path: Path) -> str:
    """Returns what the check of the GPU prints if `import torch` does this."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text(torch)
    done = subprocess.run(
        [sys.executable, "-m", "ishowtts.engines.f5.gpu_check"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'daemon'}"}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


def test_the_program_names_the_library_that_torch_lacks_and_its_package(broken: Path, tmp_path: Path) -> None:
    assert fault_with(f"import ctypes\nctypes.CDLL({str(broken)!r})\n", tmp_path) == (
        "the library libcudss.so.0 is missing; sudo apt-get install cudss, and run install.sh again\n"
    )


def test_the_program_names_a_wheel_that_is_missing(tmp_path: Path) -> None:
    """torch ends with a ValueError then, not with the error of the loader."""
    (tmp_path / "nvidia").mkdir()
    fault = "raise ValueError(f'libcublasLt.so.*[0-9] not found in the system path {[]}')\n"
    assert fault_with(fault, tmp_path) == (
        "the library libcublasLt.so is missing; it is in the Python package nvidia-cublas: run install.sh again\n"
    )


def test_a_symbol_that_no_library_has_is_named(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    library = build(tmp_path, "libone.so", "-Wl,-z,now", source="int two(void); int one(void) { return two(); }")
    with pytest.raises(OSError, match="undefined symbol") as raised:
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    explained = load_faults.explain(str(raised.value), stock=False)
    assert explained
    assert "do not belong together: the symbol two is missing" in explained[0]


@pytest.mark.parametrize(
    ("library", "stock", "words"),
    [
        ("libcublas.so.12", False, "sudo apt-get install libcublas-12-6,"),
        ("libcublas.so.13", True, "it is in the Python package nvidia-cublas: run install.sh again"),
        ("libcudnn_graph.so.9", False, "sudo apt-get install libcudnn9-cuda-12,"),
        ("libcusparseLt.so.0", False, "sudo apt-get install libcusparselt0,"),
        ("libopenblas.so.0", True, "sudo apt-get install libopenblas0,"),
        ("libcuda.so.1", True, "it is in nvidia-l4t-cuda on a Jetson, and the driver of NVIDIA on other machines"),
        ("libnobody.so.3", False, "apt-file search libnobody.so.3 finds its name"),
    ],
)
def test_each_library_has_its_package(library: str, stock: bool, words: str) -> None:
    message = f"ImportError: {library}: cannot open shared object file: No such file or directory"
    explained = load_faults.explain(message, stock=stock)
    assert explained
    assert explained[0] == f"the library {library} is missing"
    assert words in explained[1]


def test_a_wheel_for_a_newer_system_is_named() -> None:
    message = "/lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /opt/libtorch.so)"
    explained = load_faults.explain(message, stock=False)
    assert explained
    assert explained[0] == "torch was built for a newer system: GLIBC_2.38 is missing here"


def test_another_message_stays_unexplained_and_a_long_one_costs_nothing() -> None:
    assert load_faults.explain("No module named 'torch'", stock=False) is None
    assert load_faults.explain("lib" * 1_000_000 + ".so: cannot open shared object file", stock=False) is None
