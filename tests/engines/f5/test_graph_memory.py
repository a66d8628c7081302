"""What captures take of the GPU's memory is counted, and they leave enough of it. A fake takes the place of CUDA."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch

from ishowtts.engines.f5.graph_memory import SPARE_MB, GraphMemory

pytestmark = pytest.mark.f5

CUDA = torch.device("cuda")


class Gpu:
    """Memory in MB: free of all programs, reserved by torch."""

    def __init__(self) -> None:
        self.free_mb, self.reserved_mb, self.available_mb, self.integrated = 6000.0, 1000.0, 6000.0, False

    def take(self, torchs_mb: float, others_mb: float) -> None:
        """Torch reserves memory, and CUDA takes some outside of torch."""
        self.reserved_mb += torchs_mb
        self.free_mb -= torchs_mb + others_mb
        self.available_mb -= torchs_mb + others_mb


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    made = Gpu()
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(is_integrated=int(made.integrated))
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(made.free_mb * 1e6), 8_000_000_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: int(made.reserved_mb * 1e6))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(made.available_mb * 1e6)))
    return made


@pytest.mark.parametrize("integrated", [False, True])
def test_memory_outside_of_torch_is_counted_during_captures_only(gpu: Gpu, integrated: bool) -> None:
    gpu.integrated = integrated
    memory = GraphMemory(CUDA)
    assert memory.taken_mb == 0
    with memory.measured():
        gpu.take(100, 20)
    gpu.take(50, 300)  # another program
    with memory.measured(), pytest.raises(RuntimeError):  # noqa: PT012 - a failed capture may have taken memory too
        gpu.take(0, 5)
        raise RuntimeError
    assert memory.taken_mb == pytest.approx(25)


def test_what_another_program_frees_does_not_make_it_negative(gpu: Gpu) -> None:
    memory = GraphMemory(CUDA)
    with memory.measured():
        gpu.take(0, -500)
    assert memory.taken_mb == 0


def test_captures_leave_memory_free_and_the_log_says_so_once(gpu: Gpu, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    memory = GraphMemory(CUDA)
    assert memory.has_room()
    gpu.free_mb = SPARE_MB - 1
    assert not memory.has_room()
    assert not memory.has_room()
    assert [record.getMessage() for record in caplog.records] == [
        "999 MB of GPU memory are free: graphs are captured in idle time only above 1000 MB, "
        "and without one a length is slower"
    ]
    gpu.free_mb = SPARE_MB
    assert memory.has_room()


def test_the_page_cache_of_a_board_is_no_lack_of_memory(gpu: Gpu) -> None:
    """Weights that were just read are in the page cache, which CUDA does not count as free."""
    gpu.integrated, gpu.free_mb, gpu.available_mb = True, 200.0, 4000.0
    assert GraphMemory(CUDA).has_room()
    gpu.available_mb = 900.0
    assert not GraphMemory(CUDA).has_room()


def test_without_a_gpu_nothing_is_measured() -> None:
    memory = GraphMemory(torch.device("cpu"))
    with memory.measured():
        pass
    assert memory.taken_mb is None
    assert memory.has_room()
