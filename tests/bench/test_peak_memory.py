"""Memory of a described GPU: what the allocator has, and what it does not know."""

from __future__ import annotations

import pytest
import torch

from ishowtts_bench.peak_memory import PeakMemory, PeakMemoryMeter

pytestmark = pytest.mark.f5

MB = 1_000_000


class DescribedGpu:
    """A GPU of 8 GB: an allocator with tensors and its own reserve, and a driver that knows of all memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allocated = self.reserved = self.peak = self.most_reserved = 0
        self.others = 0
        for name, function in {
            "empty_cache": lambda: None,
            "reset_peak_memory_stats": self._reset,
            "memory_allocated": lambda: self.allocated,
            "memory_reserved": lambda: self.reserved,
            "max_memory_allocated": lambda: self.peak,
            "max_memory_reserved": lambda: self.most_reserved,
            "mem_get_info": lambda: (8000 * MB - self.reserved - self.others, 8000 * MB),
        }.items():
            monkeypatch.setattr(torch.cuda, name, function)

    def take(self, allocated_mb: int, reserved_mb: int, others_mb: int = 0) -> None:
        self.allocated += allocated_mb * MB
        self.reserved += reserved_mb * MB
        self.others += others_mb * MB
        self.peak = max(self.peak, self.allocated)
        self.most_reserved = max(self.most_reserved, self.reserved)

    def _reset(self) -> None:
        self.peak, self.most_reserved = self.allocated, self.reserved


def test_memory_outside_the_allocator_is_what_the_driver_gave_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = DescribedGpu(monkeypatch)
    gpu.take(100, 200, others_mb=300)  # before the meter: does not count
    meter = PeakMemoryMeter("cuda")
    gpu.take(700, 900, others_mb=120)  # 120 MB of graphs
    gpu.take(-200, -150)
    assert meter.peak() == PeakMemory(
        peak_mb=700, reserved_mb=900, outside_mb=120, used_before_mb=500, used_mb=500 + 750 + 120
    )


def test_a_cpu_has_no_such_memory() -> None:
    assert PeakMemoryMeter("cpu").peak() is None
