"""What Triton compiles with, and where compiled kernels are kept, so that a warm start compiles nothing."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import torch

from ishowtts import __version__

_log = logging.getLogger(__name__)

_VARIABLES = {"TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor"}

_ASSEMBLER = Path("/usr/local/cuda/bin/ptxas")
_OWN_ASSEMBLER_LACKS = (11, 0)
"""Thor, to CUDA 13; Triton 3.6 brings the assembler of CUDA 12.9, in which it is 10.1."""


def choose_assembler(capability: tuple[int, int], assembler: Path = _ASSEMBLER) -> None:
    """Have Triton use the system's assembler for a GPU that its own does not know.

    Args:
        capability: of the GPU.
    """
    if capability == _OWN_ASSEMBLER_LACKS and assembler.is_file():
        os.environ.setdefault("TRITON_PTXAS_BLACKWELL_PATH", str(assembler))


def keep_compiled(cache_dir: Path, gpu: str) -> None:
    """Have Triton and inductor keep what they compile under `cache_dir`, and forget what other machines left there.

    They know their own sources; the folder's name tells the GPU, torch and this version apart, so that what can never
    be used again goes away with the next start.

    Args:
        gpu: its name.
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
        _log.warning("compiled kernels are not kept, and each start compiles them: %s", error)
