"""Peak memory of torch's allocator on the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PeakMemory:
    """Peak memory, in 10^6 bytes.

    Attributes:
        peak_mb: Memory of tensors.
        reserved_mb: Memory that the allocator took from the GPU for them, with that of CUDA graphs.
    """

    peak_mb: float
    reserved_mb: float


class PeakMemoryMeter:
    """Measures the peak since this object was made. Memory that was in use before does not count."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device == "cuda"
        if self._on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()

    def peak(self) -> PeakMemory | None:
        """The peak until now; `None` if this is not a GPU."""
        if not self._on_gpu:
            return None
        allocated, reserved = self._before
        return PeakMemory(
            (torch.cuda.max_memory_allocated() - allocated) / 1e6, (torch.cuda.max_memory_reserved() - reserved) / 1e6
        )
