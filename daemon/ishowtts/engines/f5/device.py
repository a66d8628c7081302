"""Where the model runs, and in what precision."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from ishowtts.engines.f5.options import Device, Precision
from ishowtts.errors import EngineError, first_line

_log = logging.getLogger(__name__)

_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
_NO_MEMORY = ("out of memory", "can't allocate memory", "nvmapmemalloc", "cublas_status_alloc_failed", "bad_alloc",
              "could not create a memory")  # fmt: skip
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(wanted: Device) -> torch.device:
    """CUDA where it was asked for or works, else the CPU. Raises EngineError where asked for in vain."""
    if wanted == "cpu":
        return torch.device("cpu")
    fault = cuda_fault()
    if fault is None:
        # Else convolutions in fp32, where precision is wanted, would round their factors to ten bits.
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda")
    if wanted == "cuda":
        raise EngineError(f"engine.f5.device is cuda, but {fault}; `ishowtts doctor` says more")
    _log.info("F5 runs on the CPU: %s", fault)
    return torch.device("cpu")


def choose_dtype(wanted: Precision, device: torch.device) -> torch.dtype:
    """`auto` is fp16 on CUDA, bf16 on processors that multiply it, else fp32."""
    if wanted != "auto":
        return _DTYPES[wanted]
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if multiplies_bf16() else torch.float32


def multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor has products of bf16; others emulate them, many times slower than fp32."""
    try:
        flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
    except OSError:
        return False
    return not _BF16_FLAGS.isdisjoint(flags.split())


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether an allocation failed: on Jetson and on CPUs that is a plain RuntimeError, known by its words."""
    words = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(phrase in words for phrase in _NO_MEMORY)


def cuda_fault() -> str | None:
    """Why CUDA cannot be used; `None` where it can.

    Only a real product tells: `is_available()` is true on a wheel that was built for another architecture.
    """
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        ones = torch.ones(64, 64, device="cuda", dtype=torch.float16)
        right = bool((ones @ ones == 64).all())
    except RuntimeError as error:
        return f"a product on the GPU failed ({first_line(error)})"
    return None if right else "a product on the GPU came out wrong"
