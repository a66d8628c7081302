"""Every kernel computes the same result, and the fastest is measured."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ishowtts.engines.f5 import kernel_choice
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights
from ishowtts.engines.f5.kernels import (
    ConcatLinear,
    Int8Linear,
    PackedConv,
    PackedLinear,
    PlainConv,
    PlainLinear,
)
from ishowtts.engines.f5.lengths import Lengths

pytestmark = pytest.mark.f5


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("rows", [1, 37, 700])
def test_a_packed_product_equals_the_plain_one(gelu: bool, rows: int) -> None:
    weight, bias, x = torch.randn(96, 64), torch.randn(96), torch.randn(2, rows, 64)
    assert torch.allclose(PackedLinear(weight, bias, gelu)(x), PlainLinear(weight, bias, gelu)(x), atol=1e-4)


def test_int8_is_within_a_few_hundredths() -> None:
    weight, bias, x = torch.randn(96, 64), torch.randn(96), torch.randn(2, 100, 64) + 0.5
    exact = F.linear(x, weight, bias)
    error = (Int8Linear(weight, bias)(x) - exact).norm() / exact.norm()
    assert 1e-4 < error < 0.02


@pytest.mark.parametrize("x", [torch.zeros(1, 3, 64), torch.full((1, 3, 64), 2.5), torch.full((1, 3, 64), -2.5)])
def test_int8_works_for_constant_input(x: torch.Tensor) -> None:
    weight, bias = torch.randn(96, 64), torch.randn(96)
    assert torch.allclose(Int8Linear(weight, bias)(x), F.linear(x, weight, bias), rtol=0.02, atol=0.5)


def test_the_largest_products_do_not_overflow() -> None:
    weight, bias, x = torch.ones(16, 64), torch.zeros(16), torch.full((1, 5, 64), 3.0)
    assert torch.allclose(Int8Linear(weight, bias)(x), torch.tensor(192.0), rtol=1e-3)


def test_concatenated_products_are_one_product() -> None:
    weights = [torch.randn(8, 16) for _ in range(3)]
    biases = [torch.randn(8) for _ in range(3)]
    x = torch.randn(2, 5, 16)
    parts = ConcatLinear([PlainLinear(weight, bias) for weight, bias in zip(weights, biases, strict=True)])
    assert torch.allclose(parts(x), F.linear(x, torch.cat(weights), torch.cat(biases)), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 40, 333])
@pytest.mark.parametrize("with_bias", [False, True])
def test_a_packed_convolution_equals_the_plain_one(frames: int, with_bias: bool) -> None:
    weight, x = torch.randn(128, 8, 31), torch.randn(2, frames, 128)
    bias = torch.randn(128) if with_bias else None
    plain, packed = (make(weight)(x, bias) for make in (PlainConv, PackedConv))
    assert packed.shape == x.shape
    assert torch.allclose(plain, packed, atol=1e-3)


@pytest.mark.parametrize("name", ["fused", "explicit", "math"])
def test_attention_ignores_the_padding(name: str) -> None:
    q, k, v = (torch.randn(2, 3, 20, 64) for _ in range(3))
    frames = (20, 13)
    lengths = Lengths.of(frames, 20, q.device)
    padded = ATTENTIONS[name](q, k, v, lengths)
    for i, count in enumerate(frames):
        one = slice(i, i + 1)
        alone = F.scaled_dot_product_attention(q[one, :, :count], k[one, :, :count], v[one, :, :count])
        assert torch.allclose(padded[one, :count], alone.transpose(1, 2).flatten(2), atol=1e-5)


def test_the_fastest_supported_kernel_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = torch.randn(128, 64), torch.randn(128)
    weights = BlockWeights(qkv=pair, out=pair, up=pair, down=pair, conv=torch.randn(64, 4, 31), heads=2)
    assert kernel_choice.choose_on_cpu(weights, linear="int8", fixed=False).qkv == "int8"

    def refused(*_: object, **__: object) -> PlainLinear:
        raise RuntimeError("this processor has no such product")

    monkeypatch.setitem(kernel_choice.LINEARS, "packed", refused)
    assert kernel_choice.choose_on_cpu(weights, linear=None, fixed=False).qkv == "plain"
    slow = ATTENTIONS["explicit"]
    monkeypatch.setitem(kernel_choice.ATTENTIONS, "fused", lambda *given: [slow(*given) for _ in range(20)][-1])
    assert kernel_choice.choose_on_cpu(weights, linear=None, fixed=False).attention == "explicit"
    # With static buffers only the device knows how long a line is.
    assert kernel_choice.choose_on_cpu(weights, linear=None, fixed=True).attention == "fused"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_int8_works_in_half_precision(dtype: torch.dtype) -> None:
    weight, bias, x = torch.randn(96, 64), torch.randn(96), torch.randn(2, 10, 64)
    exact = F.linear(x, weight, bias)
    y = Int8Linear(weight.to(dtype), bias.to(dtype))(x.to(dtype))
    assert y.dtype is dtype
    assert (y.float() - exact).norm() / exact.norm() < 0.03


def test_int8_passes_nan_on() -> None:
    y = Int8Linear(torch.randn(96, 64), torch.randn(96))(torch.full((1, 2, 64), float("nan")))
    assert y.shape == (1, 2, 96)
    assert y.isnan().all()
