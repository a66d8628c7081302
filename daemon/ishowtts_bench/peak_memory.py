"""The most memory that torch's allocator held on the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Peak:
    """In 10^6 bytes.

    Attributes:
        peak_mb: what tensors took at most.
        reserved_mb: what the allocator took from the GPU for them, the memory of graphs included.
    """

    peak_mb: float
    reserved_mb: float


class Watch:
    """From its making on; what was there before is left out."""

    def __init__(self, device: str) -> None:
        self._on = device == "cuda"
        if self._on:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()

    def peak(self) -> Peak | None:
        """Until now; `None`: not on a GPU."""
        if not self._on:
            return None
        allocated, reserved = self._before
        return Peak(
            (torch.cuda.max_memory_allocated() - allocated) / 1e6, (torch.cuda.max_memory_reserved() - reserved) / 1e6
        )
