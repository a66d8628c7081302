"""The device and the precision are measured, never guessed; sounds come back without wrapping."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ishowtts.engines.f5.device import Host, choose_dtype, is_out_of_memory, multiplies_bf16

pytestmark = pytest.mark.f5


@pytest.mark.parametrize(
    ("flags", "answer"), [("avx2 avx512f", False), ("avx512f avx512_bf16", True), ("amx_bf16", True), (None, False)]
)
def test_bf16_is_chosen_if_the_processor_multiplies_it(tmp_path: Path, flags: str | None, answer: bool) -> None:
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t\t:\n")
    assert multiplies_bf16(path) is answer


def test_a_named_precision_is_used_and_auto_is_fp16_on_cuda() -> None:
    assert choose_dtype("bf16", torch.device("cpu")) is torch.bfloat16
    assert choose_dtype("auto", torch.device("cuda")) is torch.float16


def test_sounds_above_full_scale_are_clipped_and_do_not_wrap() -> None:
    sound = torch.tensor([1.5, -1.5, 1.0, -1.0, 0.5, 0.0])
    assert Host(torch.device("cpu")).samples(sound).tolist() == [32767, -32767, 32767, -32767, 16384, 0]


def test_a_failed_allocation_is_known_by_the_messages_of_torch() -> None:
    with pytest.raises(RuntimeError) as allocation:
        torch.empty(1 << 60)
    assert is_out_of_memory(allocation.value)
    assert is_out_of_memory(RuntimeError("NvMapMemAllocInternalTagged: 1075072515 error 12"))
    tegra = 'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":995'
    assert is_out_of_memory(RuntimeError(tegra))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(RuntimeError, match="size") as other:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(other.value)
