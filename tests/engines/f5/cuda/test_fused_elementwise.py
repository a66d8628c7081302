"""Every fused kernel computes the same as plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ishowtts.engines.f5.elementwise import EagerElementwise

pytest.importorskip("triton")

from ishowtts.engines.f5.cuda.fused_elementwise import TritonElementwise
from ishowtts.engines.f5.cuda.tiles import NORM_VARIANTS

pytestmark = pytest.mark.f5

EAGER, FUSED = EagerElementwise(), TritonElementwise()
TOLERANCES = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}
WIDTHS = (128, 384, 1024)

Make = Callable[..., Tensor]


def near(fused: Tensor, eager: Tensor) -> bool:
    tolerance = TOLERANCES[fused.dtype]
    return (
        fused.dtype is eager.dtype
        and fused.shape == eager.shape
        and torch.allclose(fused.float(), eager.float(), rtol=tolerance, atol=tolerance)
    )


@pytest.fixture(params=TOLERANCES, ids=str)
def random(request: pytest.FixtureRequest, device: torch.device) -> Make:
    if device.type == "cpu" and request.param is torch.bfloat16:
        pytest.skip("the interpreter takes long, and fp16 has shown the same")
    return lambda *shape: torch.randn(*shape).to(device, request.param)


def mask(device: torch.device, frames: int, *counts: int) -> Tensor:
    return torch.arange(frames, device=device) < torch.tensor(counts, device=device)[:, None]


@pytest.mark.parametrize(("lines", "frames", "width"), [(1, 1, 384), (2, 7, 128), (3, 5, 1024), (1, 3, 4096)])
def test_norm(random: Make, lines: int, frames: int, width: int) -> None:
    x, scale, shift = random(lines, frames, width) * 3 + 1, random(width), random(width)
    assert near(FUSED.norm(x, scale, shift), EAGER.norm(x, scale, shift))


@pytest.mark.parametrize("sizes", NORM_VARIANTS.values(), ids=NORM_VARIANTS)
def test_norms_of_other_sizes(random: Make, sizes: dict[str, int]) -> None:
    fused, x, y = TritonElementwise(**sizes), random(1, 7, 384), random(1, 7, 384)
    gate, scale, shift = random(3, 384)
    assert near(fused.norm(x, scale, shift), EAGER.norm(x, scale, shift))
    wanted = EAGER.gate_norm(x, gate, y, scale, shift)
    assert all(near(*pair) for pair in zip(fused.gate_norm(x, gate, y, scale, shift), wanted, strict=True))


def test_the_norm_of_values_far_from_zero_is_precise(device: torch.device) -> None:
    x, one = torch.randn(1, 3, 1024).to(device) + 1000, torch.ones(1024, device=device)
    wanted = EAGER.norm(x.double(), one.double(), one.double()).float()
    assert torch.allclose(FUSED.norm(x, one, one), wanted, atol=2e-3)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("late_bias", [False, True])
def test_gate_and_norm(random: Make, width: int, late_bias: bool) -> None:
    x, y = random(2, 5, width), random(2, 5, width)
    gate, scale, shift = random(6, width)[2:5]
    bias = random(width) if late_bias else None
    wanted = EAGER.gate_norm(x, gate, y, scale, shift, bias=bias)
    found = FUSED.gate_norm(x, gate, y, scale, shift, bias=bias)
    assert found[0] is x
    assert all(near(*pair) for pair in zip(found, wanted, strict=True))


def test_the_eager_steps_add_the_bias_first(random: Make) -> None:
    x, y, (gate, scale, shift, bias) = random(2, 5, 128), random(2, 5, 128), random(4, 128)
    found = EAGER.gate_norm(x, gate, y, scale, shift, bias=bias)
    assert all(map(torch.equal, found, EAGER.gate_norm(x, gate, y + bias, scale, shift)))
    qkv, bias, angles = random(2, 5, 3, 2, 64), random(384), torch.rand(5, 32, 2).to(x.device)
    wanted = EAGER.rotate((qkv.flatten(2) + bias).view(qkv.shape), angles)
    assert all(map(torch.equal, EAGER.rotate(qkv, angles, bias), wanted))


@pytest.mark.parametrize(("heads", "late_bias"), [(1, False), (2, True), (6, True), (6, False), (16, False)])
def test_rotate(random: Make, heads: int, late_bias: bool) -> None:
    qkv = random(3, 5, 3, heads, 64)
    bias = random(3 * heads * 64) if late_bias else None
    turns = torch.rand(5, 32) * 6
    angles = torch.stack([turns.cos(), turns.sin()], -1).to(qkv.device)
    wanted = EAGER.rotate(qkv.clone(), angles, bias)
    found = FUSED.rotate(qkv, angles, bias)
    assert all(near(*pair) for pair in zip(found, wanted, strict=True))
    assert all(tensor.stride(-1) == 1 for tensor in found)


@pytest.mark.parametrize("branches", [2, 4])
@pytest.mark.parametrize("padded", [False, True])
def test_the_activate_first_conv(random: Make, branches: int, padded: bool) -> None:
    noisy, given = random(2, 5, 384) * 8, random(branches, 5, 384)
    keep = mask(noisy.device, 5, *(5, 3, 2, 1)[:branches]) if padded else None
    if padded:
        given[1, 4], noisy[1, 3] = float("nan"), float("inf")
    found = FUSED.activate_first_conv(noisy, given, keep)
    assert found.isfinite().all()
    assert near(found, EAGER.activate_first_conv(noisy, given, keep))


@pytest.mark.parametrize("branches", [1, 2])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_activate_second_conv(random: Make, branches: int, width: int) -> None:
    conv, noisy, rows = random(branches, width, 5).transpose(1, 2) * 12, random(1, 5, width), random(branches, 5, width)
    assert near(FUSED.activate_second_conv(conv, noisy, rows), EAGER.activate_second_conv(conv, noisy, rows))


@pytest.mark.parametrize("strength", [0.0, 2.0])
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_advance(random: Make, strength: float, guided: bool, padded: bool) -> None:
    flow = random(4 if guided else 2, 7, 100)
    y, difference = random(2, 7, 100).float(), random(2, 7, 100).float()
    keep = mask(y.device, 7, 7, 4) if padded else None
    if padded:
        flow[1, 5] = float("nan")
    dt = torch.tensor([0.0, 0.07], device=y.device)[1]
    states = [(y.clone(), difference.clone()) for _ in range(2)]
    for steps, (state, apart) in zip((EAGER, FUSED), states, strict=True):
        steps.advance(state, flow, dt, apart, strength=strength, guided=guided, keep=keep)
    (wanted, wanted_apart), (found, apart) = states
    assert found.isfinite().all()
    assert not torch.equal(found, y)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.allclose(apart, wanted_apart, atol=1e-5, equal_nan=True)


def test_nan_stays_nan(random: Make) -> None:
    x, row = random(1, 3, 128), random(128)
    x[0, 1, 5] = float("nan")
    y = random(1, 3, 128)
    for found in (
        FUSED.norm(x, row, row),
        FUSED.gate_norm(x.clone(), row, y, row, row)[1],
        FUSED.activate_first_conv(y, x, None),
        FUSED.activate_second_conv(x, y, y),
    ):
        assert found[0, 1].isnan().any()
        assert found[0, ::2].isfinite().all()


def test_a_tensor_written_in_place_must_be_contiguous(random: Make) -> None:
    y = random(1, 100, 7).float().transpose(1, 2)
    with pytest.raises(ValueError, match="y is written in place"):
        FUSED.advance(y, y, y[0, 0, 0], torch.zeros_like(y), strength=0.0, guided=False, keep=None)
