"""Explains why torch does not load: names the missing library and its package, or the wheel that does not fit.

It imports no torch, so that `ishowtts doctor` can use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec

_MOST_CHARACTERS = 2000
_MISSING = re.compile(r"(lib[A-Za-z0-9_+.-]{1,80}?\.so[0-9.]{0,20}): cannot open shared object file")
# torch's own message for a library of a wheel that it looks for after the loader has not found it.
_NO_WHEEL = re.compile(r"(lib[A-Za-z0-9_+-]{1,80}\.so)\.\*\[0-9\] not found in the system path")
_NEWER_SYSTEM = re.compile(r"version `((?:GLIBC|GLIBCXX|CXXABI)_[0-9.]{1,12})' not found")
_SYMBOL = re.compile(r"undefined symbol: ([A-Za-z0-9_@.]{1,200})")


@dataclass(frozen=True)
class LibraryPackage:
    """The packages that have a library: of Debian, Ubuntu or JetPack, and of the stock wheels of torch."""

    debian: str
    wheel: str | None = None


LIBRARIES = {
    "libcudss": LibraryPackage("cudss"),
    "libcusparseLt": LibraryPackage("libcusparselt0", "nvidia-cusparselt-cu13"),
    "libcupti": LibraryPackage("cuda-cupti-12-6", "nvidia-cuda-cupti"),
    "libcudart": LibraryPackage("cuda-cudart-12-6", "nvidia-cuda-runtime"),
    "libnvrtc": LibraryPackage("cuda-nvrtc-12-6", "nvidia-cuda-nvrtc"),
    "libcublas": LibraryPackage("libcublas-12-6", "nvidia-cublas"),
    "libcublasLt": LibraryPackage("libcublas-12-6", "nvidia-cublas"),
    "libcufft": LibraryPackage("libcufft-12-6", "nvidia-cufft"),
    "libcufile": LibraryPackage("libcufile-12-6", "nvidia-cufile"),
    "libcurand": LibraryPackage("libcurand-12-6", "nvidia-curand"),
    "libcusolver": LibraryPackage("libcusolver-12-6", "nvidia-cusolver"),
    "libcusparse": LibraryPackage("libcusparse-12-6", "nvidia-cusparse"),
    "libnvJitLink": LibraryPackage("libnvjitlink-12-6", "nvidia-nvjitlink"),
    "libnvToolsExt": LibraryPackage("cuda-nvtx-12-6", "nvidia-nvtx"),
    "libcudnn": LibraryPackage("libcudnn9-cuda-12", "nvidia-cudnn-cu13"),
    "libnccl": LibraryPackage("libnccl2", "nvidia-nccl-cu13"),
    "libnvshmem_host": LibraryPackage("libnvshmem3-cuda-12", "nvidia-nvshmem-cu13"),
    "libcuda": LibraryPackage("nvidia-l4t-cuda on a Jetson, and the driver of NVIDIA on other machines"),
    "libopenblas": LibraryPackage("libopenblas0"),
    "libgomp": LibraryPackage("libgomp1"),
    "libgfortran": LibraryPackage("libgfortran5"),
    "libmpi": LibraryPackage("libopenmpi3"),
    "libnuma": LibraryPackage("libnuma1"),
    "libstdc++": LibraryPackage("libstdc++6"),
}
"""Library, and where it comes from. The names for JetPack are those of JetPack 6 (CUDA 12.6)."""


def has_stock_libraries() -> bool:
    """Whether the CUDA libraries of this environment come as wheels, not from JetPack."""
    return find_spec("nvidia") is not None


def explain(message: str, *, stock: bool) -> tuple[str, str] | None:
    """What is wrong and the fix, for a message of the loader that torch's import has ended with.

    Args:
        message: the error, as Python prints it.
        stock: whether the CUDA libraries come as wheels (`has_stock_libraries`).

    Returns:
        None for a message of another kind.
    """
    message = message[:_MOST_CHARACTERS]
    if missing := _MISSING.search(message) or _NO_WHEEL.search(message):
        return f"the library {missing.group(1)} is missing", _package_fix(missing.group(1), stock=stock)
    if newer := _NEWER_SYSTEM.search(message):
        return (
            f"torch was built for a newer system: {newer.group(1)} is missing here",
            "name the wheels for this release of JetPack with install.sh --torch",
        )
    if symbol := _SYMBOL.search(message):
        return (
            f"torch and another library do not belong together: the symbol {symbol.group(1)} is missing",
            "run install.sh again; on JetPack 6 name wheels of one version with --torch",
        )
    return None


def _package_fix(library: str, *, stock: bool) -> str:
    name = library.partition(".so")[0]
    package = LIBRARIES.get(name) or LIBRARIES.get(name.partition("_")[0])
    if package is None:
        return f"install the package that has it: apt-file search {library} finds its name"
    if stock and package.wheel is not None:
        return f"it is in the Python package {package.wheel}: run install.sh again"
    if " " in package.debian:
        return f"it is in {package.debian}"
    return f"sudo apt-get install {package.debian}, and run install.sh again"
