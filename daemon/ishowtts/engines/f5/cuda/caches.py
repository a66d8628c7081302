"""Chooses Triton's assembler, and the folder of compiled kernels, so that a warm start compiles nothing."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import torch

from ishowtts import __version__

log = logging.getLogger(__name__)

_VARIABLES = {"TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor"}

_ASSEMBLER = Path("/usr/local/cuda/bin/ptxas")
_THOR = (11, 0)
"""Thor's capability in CUDA 13. Triton 3.6 brings the assembler of CUDA 12.9, which calls it 10.1."""


def choose_assembler(capability: tuple[int, int], assembler: Path = _ASSEMBLER) -> None:
    """Make Triton use the system's assembler for a GPU that Triton's own does not know.

    Args:
        capability: the compute capability of the GPU.
    """
    if capability == _THOR and assembler.is_file():
        os.environ.setdefault("TRITON_PTXAS_BLACKWELL_PATH", str(assembler))


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
