"""Chooses the assembler of Triton, and the folder of compiled kernels, so that a warm start compiles nothing."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch

from ishowtts import __version__

log = logging.getLogger(__name__)

_VARIABLES = {"TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor"}

_THOR = (11, 0)
"""Thor's capability in CUDA 13. Triton up to 3.6 brings the assemblers of CUDA 12, which call it 10.1."""
_PTXAS_VARIABLES = ("TRITON_PTXAS_PATH", "TRITON_PTXAS_BLACKWELL_PATH", "TRITON_PTXAS_THOR_PATH")
"""What Triton up to 3.5, Triton 3.6 and later ones read for a Thor."""
_TOOLKIT = Path("/usr/local/cuda/bin/ptxas")
_LEAST_CUDA = 13
_VERSION_S = 10.0


def choose_assembler(capability: tuple[int, int]) -> str | None:
    """Make Triton use the ptxas of CUDA 13 on a Thor, whose architecture Triton's own may not know.

    It is looked for in the CUDA toolkit, in torch, and in NVIDIA's wheels. Variables that are set already stay.

    Args:
        capability: the compute capability of the GPU.

    Returns:
        A sentence that says what is missing. Only an own ptxas of CUDA 13 in Triton helps then.
    """
    if capability != _THOR:
        return None
    found = next((ptxas for ptxas in _assemblers() if _cuda_release(ptxas) >= _LEAST_CUDA), None)
    if found is None:
        return (
            "Triton cannot compile for this GPU without the ptxas of CUDA 13, which the apt package cuda-nvcc-13-0 or "
            "the wheel nvidia-cuda-nvcc brings"
        )
    for variable in _PTXAS_VARIABLES:
        os.environ.setdefault(variable, str(found))
    return None


def _assemblers() -> Iterator[Path]:
    """The places where a ptxas may be, the toolkit's first."""
    yield _TOOLKIT
    yield Path(torch.__file__).parent / "bin" / "ptxas"
    wheels = find_spec("nvidia")
    for folder in (wheels.submodule_search_locations or []) if wheels else []:
        yield from sorted(Path(folder).glob("*/bin/ptxas"))


def _cuda_release(ptxas: Path) -> int:
    """The major version of CUDA that a ptxas belongs to; 0 if it does not run."""
    try:
        command = [str(ptxas), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_S, check=False).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return 0
    release = re.search(r"release (\d+)\.", answer)
    return int(release[1]) if release else 0


def keep_compiled(cache_dir: Path, gpu: str) -> None:
    """Make Triton and inductor keep compiled kernels under `cache_dir`, and delete all others.

    Both key their kernels by the sources. The name of the folder adds the GPU, torch and this version, so that kernels
    that can never be used again are deleted at the next start.

    Args:
        gpu: the name of the GPU.
    """
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{gpu}-torch-{torch.__version__}-ishowtts-{__version__}")
    compiled = cache_dir / "compiled"
    try:
        for variable, tool in _VARIABLES.items():
            folder = compiled / name / tool
            folder.mkdir(parents=True, exist_ok=True)
            os.environ[variable] = str(folder)
        for other in compiled.iterdir():
            if other.name != name:
                shutil.rmtree(other, ignore_errors=True)
    except OSError as error:
        log.warning("compiled kernels are not kept, so each start compiles them: %s", error)
