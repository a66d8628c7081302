"""Where and in what precision: asked of the machine, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ishowtts.engines.f5.device import choose_dtype, is_out_of_memory, multiplies_bf16

pytestmark = pytest.mark.f5


@pytest.mark.parametrize(
    ("flags", "answer"), [("avx2 avx512f", False), ("avx512f avx512_bf16", True), ("amx_bf16", True), (None, False)]
)
def test_bf16_is_taken_where_the_processor_multiplies_it(tmp_path: Path, flags: str | None, answer: bool) -> None:
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t\t:\n")
    assert multiplies_bf16(path) is answer


def test_what_was_asked_for_is_taken_and_auto_is_half_on_cuda() -> None:
    assert choose_dtype("bf16", torch.device("cpu")) is torch.bfloat16
    assert choose_dtype("auto", torch.device("cuda")) is torch.float16


def test_a_failed_allocation_is_known_by_what_torch_really_says() -> None:
    with pytest.raises(RuntimeError) as told:
        torch.empty(1 << 60)
    assert is_out_of_memory(told.value)
    assert is_out_of_memory(RuntimeError("NvMapMemAllocInternalTagged: 1075072515 error 12"))
    tegra = 'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":995'
    assert is_out_of_memory(RuntimeError(tegra))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(other.value)
