"""Memory of the GPU: the peak of torch's allocator, and what the driver holds outside of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PeakMemory:
    """Memory since a meter was made, in 10^6 bytes.

    Attributes:
        peak_mb: Peak memory of tensors.
        reserved_mb: Peak memory that the allocator took from the GPU for them, with that of CUDA graphs.
        outside_mb: Memory that the driver holds outside the allocator: the nodes of CUDA graphs, and code of kernels.
        used_before_mb, used_mb: Memory of the GPU that all programs used when the meter was made, and now.
    """

    peak_mb: float
    reserved_mb: float
    outside_mb: float
    used_before_mb: float
    used_mb: float


class PeakMemoryMeter:
    """Measures since this object was made. Memory that was in use before does not count."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device == "cuda"
        if self._on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
            self._used_before = _used()

    def peak(self) -> PeakMemory | None:
        """The peak until now; `None` if this is not a GPU."""
        if not self._on_gpu:
            return None
        allocated, reserved = self._before
        used = _used()
        outside = used - self._used_before - (torch.cuda.memory_reserved() - reserved)
        return PeakMemory(
            peak_mb=(torch.cuda.max_memory_allocated() - allocated) / 1e6,
            reserved_mb=(torch.cuda.max_memory_reserved() - reserved) / 1e6,
            outside_mb=outside / 1e6,
            used_before_mb=self._used_before / 1e6,
            used_mb=used / 1e6,
        )


def _used() -> int:
    """Bytes of the GPU's memory that all programs use. A Jetson has one memory for GPU and system."""
    free, total = torch.cuda.mem_get_info()
    return total - free
