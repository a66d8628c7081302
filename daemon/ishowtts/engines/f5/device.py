"""Chooses the device and the precision of the model, and copies sounds from the device to the host."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ishowtts.engines.f5.f5_options import DeviceName, Precision
from ishowtts.errors import EngineError, first_line
from ishowtts.model import Samples

log = logging.getLogger(__name__)

_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
# The last one: torch asks NVML how much is free before it reports no memory, and a Jetson has no NVML.
_NO_MEMORY = ("out of memory", "can't allocate memory", "nvmapmemalloc", "cublas_status_alloc_failed", "bad_alloc",
              "could not create a memory", "cudnn_status_alloc_failed", "cufft_alloc_failed",
              "nvml_success")  # fmt: skip
_MOST_FFT_PLANS = 64
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(wanted: DeviceName) -> torch.device:
    """CUDA if it works and may be used, else the CPU. Raises EngineError if `cuda` is wanted and does not work."""
    if wanted == "cpu":
        return torch.device("cpu")
    fault = cuda_fault()
    if fault is None:
        # With TF32, convolutions in fp32, which are there for precision, would round their factors to ten bits.
        torch.backends.cudnn.allow_tf32 = False
        # There is a plan for each number of frames, with the fast model in steps of 32. Each holds memory, and by
        # default 4096 are kept.
        torch.backends.cuda.cufft_plan_cache.max_size = _MOST_FFT_PLANS
        return torch.device("cuda")
    if wanted == "cuda":
        raise EngineError(f"engine.f5.device is cuda, but {fault}; `ishowtts doctor` says more")
    log.info("F5 runs on the CPU: %s", fault)
    return torch.device("cpu")


class Host:
    """Copies sounds from a device to the host's memory. It sleeps while the device works."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned: Tensor | None = None

    def floats(self, sound: Tensor) -> NDArray[np.float32]:
        """Copy a sound, fp32 [samples], without a change."""
        floats: NDArray[np.float32] = sound.cpu().numpy()
        return floats

    def samples(self, sound: Tensor) -> Samples:
        """Convert a sound in [-1, 1] to int16 and copy it. Louder samples are clipped.

        The conversion runs on the device, so that half the bytes are copied.
        """
        int16 = (sound.clamp(-1.0, 1.0) * 32767).round().to(torch.int16)
        if self._device.type == "cuda":
            int16 = self._through_pinned_memory(int16)
        samples: Samples = int16.numpy()
        return samples

    def _through_pinned_memory(self, int16: Tensor) -> Tensor:
        if self._pinned is None or len(self._pinned) < len(int16):
            self._pinned = torch.empty(2 * len(int16), dtype=torch.int16, pin_memory=True)
        target = self._pinned[: len(int16)].copy_(int16, non_blocking=True)
        done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        done.record()
        done.synchronize()
        return target.clone()


def choose_dtype(wanted: Precision, device: torch.device) -> torch.dtype:
    """The type of the transformer: `auto` is fp16 on CUDA, bf16 on processors that multiply it, else fp32."""
    if wanted != "auto":
        return _DTYPES[wanted]
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if multiplies_bf16() else torch.float32


def multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor has products of bf16. Others emulate them, many times slower than fp32."""
    try:
        flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
    except OSError:
        return False
    return not _BF16_FLAGS.isdisjoint(flags.split())


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether an allocation failed. On Jetson and on CPUs that is a plain RuntimeError, known by its message."""
    words = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(phrase in words for phrase in _NO_MEMORY)


def cuda_fault() -> str | None:
    """Why CUDA cannot be used; `None` if it can.

    Only a real product shows it: `is_available()` is also true if torch was built for another architecture.
    """
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        ones = torch.ones(64, 64, device="cuda", dtype=torch.float16)
        right = bool((ones @ ones == 64).all())
    except RuntimeError as error:
        return f"a product on the GPU failed ({first_line(error)})"
    return None if right else "a product on the GPU gave a wrong result"
