"""What the state of a training loses by compression."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from voice_training.trainer.state_compression import (
    compress_training,
    decompress_training,
    dequantize_moment,
    quantize_moment,
)


def moments(*shape: int) -> Tensor:
    """Values over 24 octaves."""
    draw = torch.Generator().manual_seed(0)
    return torch.exp2(-24 * torch.rand(shape, generator=draw)) * 1e-6


@pytest.mark.parametrize("shape", [(1,), (127,), (128,), (129,), (3, 5, 7)])
def test_moments_keep_within_five_percent(shape: tuple[int, ...]) -> None:
    sent = moments(*shape)
    codes, scales = quantize_moment(sent)
    assert codes.dtype == torch.uint8
    assert codes.numel() == sent.numel()
    back = dequantize_moment(codes, scales, sent.shape)
    assert back.shape == sent.shape
    assert torch.allclose(back, sent, rtol=0.05, atol=0)


def test_zeros_stay_zero_and_tiny_values_become_zero() -> None:
    sent = torch.zeros(300)
    sent[5], sent[6] = 1.0, 1e-30
    back = dequantize_moment(*quantize_moment(sent), sent.shape)
    assert back[5] == 1
    assert back.count_nonzero() == 1


def test_moments_of_another_shape_are_refused() -> None:
    codes, scales = quantize_moment(moments(200))
    with pytest.raises(ValueError, match=r"holds 200 moments.*shape \[201\]"):
        dequantize_moment(codes, scales, torch.Size([201]))


def training(seed: int) -> tuple[nn.Linear, torch.optim.AdamW]:
    torch.manual_seed(seed)
    module = nn.Linear(40, 10)
    return module, torch.optim.AdamW(module.parameters(), lr=1e-3, betas=(0.8, 0.99))


def steps(module: nn.Linear, optimizer: torch.optim.AdamW, count: int) -> None:
    draw = torch.Generator().manual_seed(count)
    for _ in range(count):
        optimizer.zero_grad()
        module(torch.randn(8, 40, generator=draw)).square().mean().backward()
        optimizer.step()


def test_an_optimizer_continues_with_its_moments() -> None:
    module, optimizer = training(0)
    steps(module, optimizer, 50)
    compressed = compress_training(module, optimizer)
    other, theirs = training(1)
    decompress_training(compressed, other, theirs)
    assert torch.allclose(other.weight, module.weight, atol=1e-4)
    ours, back = optimizer.state[module.weight], theirs.state[other.weight]
    assert back["step"] == ours["step"] == 50
    assert torch.allclose(back["exp_avg_sq"], ours["exp_avg_sq"], rtol=0.05)
    steps(module, optimizer, 20)
    steps(other, theirs, 20)
    assert (other.weight - module.weight).norm() < 0.05 * module.weight.norm()


def test_a_training_without_a_step_can_be_compressed() -> None:
    compressed = compress_training(*training(0))
    assert set(compressed) == {"weights.weight", "weights.bias"}
    module, optimizer = training(1)
    decompress_training(compressed, module, optimizer)
    assert not optimizer.state


def test_the_error_for_another_module_names_the_difference() -> None:
    compressed = compress_training(*training(0))
    with pytest.raises(ValueError, match=r"weight with the shape \[10, 40\].*asks for \[10, 41\].*recipe"):
        decompress_training(compressed, module := nn.Linear(41, 10), torch.optim.AdamW(module.parameters()))
    del compressed["weights.bias"]
    with pytest.raises(ValueError, match=r"lacks weights\.bias"):
        decompress_training(compressed, module := nn.Linear(40, 10), torch.optim.AdamW(module.parameters()))
