"""Where the model runs, and in what precision."""

from __future__ import annotations

import logging

import torch

from ishowtts.engines.f5.options import Device, Precision
from ishowtts.errors import EngineError

_log = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(wanted: Device) -> torch.device:
    """CUDA where it was asked for or works, else the CPU. Raises EngineError where asked for in vain."""
    if wanted == "cpu":
        return torch.device("cpu")
    fault = cuda_fault()
    if fault is None:
        return torch.device("cuda")
    if wanted == "cuda":
        raise EngineError(f"engine.f5.device is cuda, but {fault}; `ishowtts doctor` says more")
    _log.info("F5 runs on the CPU: %s", fault)
    return torch.device("cpu")


def choose_dtype(wanted: Precision, device: torch.device) -> torch.dtype:
    """`auto` is fp16 on CUDA, else fp32."""
    if wanted == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return _DTYPES[wanted]


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
        return f"a product on the GPU failed ({str(error).splitlines()[0]})"
    return None if right else "a product on the GPU came out wrong"
