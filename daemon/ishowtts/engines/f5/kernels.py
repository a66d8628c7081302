"""The kernels of products, convolutions and elementwise steps, by their names.

`dit` says what is computed, and a kernel says how. `kernel_choice` chooses one of each for this machine, and `assembly`
lays out the weights for them. `block_kernels` makes the steps of a block from them, and `attention` has the attention
kernels. Packed and int8 linears are oneDNN's, through the operators that torch's own compiler emits for CPUs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.architecture import CONV_GROUPS
from ishowtts.engines.f5.block_steps import Linear
from ishowtts.engines.f5.cuda.tiles import CONV_TILES, NORM_VARIANTS, Tile
from ishowtts.engines.f5.elementwise import EagerElementwise, Elementwise

_GELU: tuple[str, list[float], str] = ("gelu", [], "tanh")
_NOTHING: tuple[str, list[float], str] = ("none", [], "")


class Conv(Protocol):
    """Computes a positional convolution, 31 taps in 16 groups: [batch, frames, D] to the same shape."""

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply it, with a bias [D] or without one."""


class PlainLinear:
    """PyTorch's product."""

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False) -> None:
        self._weight, self._bias, self._gelu = weight, bias, gelu

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        y = F.linear(x, self._weight, self._bias)
        return F.gelu(y, approximate="tanh") if self._gelu else y


class PackedLinear:
    """oneDNN's product, with the weight laid out in advance for `rows` rows, and with a fused GELU."""

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False, rows: int = 2048) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        self._bias = bias
        self._after = _GELU if gelu else _NOTHING

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, *self._after)
        return y


class Int8Linear:
    """oneDNN's product of integers: s8 weights with a scale per output, u8 activations with one scale per tensor.

    The scale of the activations is measured in each call.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False, rows: int = 2048) -> None:
        scale = (weight.float().abs().amax(1) / 127).clamp(min=1e-12)
        whole = (weight.float() / scale.unsqueeze(1)).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(whole.contiguous(), [rows, weight.shape[1]])
        self._scale = scale
        self._zero = torch.zeros(len(scale), dtype=torch.int32)
        self._bias = bias.float()
        self._after = _GELU if gelu else _NOTHING
        self._largest = largest_u8()

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        low, high = (float(end) for end in torch.aminmax(x))
        if not (math.isfinite(low) and math.isfinite(high)):
            return x.new_full((*x.shape[:-1], len(self._scale)), float("nan"))
        low, high = min(low, 0.0), max(high, 0.0)
        step = max((high - low) / self._largest, 1e-12)
        zero = min(round(-low / step), self._largest)
        # `quantize_per_tensor` is the one kernel that divides, rounds and narrows in a single pass.
        whole = torch.quantize_per_tensor(x.float(), step, zero, torch.quint8).int_repr()
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole, step, zero, self._weight, self._scale, self._zero, self._bias, 1.0, 0, torch.float32, *self._after
        )
        return y.to(x.dtype)  # oneDNN takes a thousand times as long for half precision on a processor without it


@cache
def largest_u8() -> int:
    """The largest activation whose products this processor adds up correctly: 255, or 127.

    Without VNNI two products of u8 and s8 are added in 16 bits, which overflow past 2 * 127 * 127.
    """
    width = 64
    weight = torch.full((16, width), 127, dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, [16, width])
    scales, zeros = torch.ones(16), torch.zeros(16, dtype=torch.int32)
    x = torch.full((16, width), 255, dtype=torch.uint8)
    y = torch.ops.onednn.qlinear_pointwise(x, 1.0, 0, packed, scales, zeros, None, 1.0, 0, torch.float32, *_NOTHING)
    return 255 if bool((y == 255 * 127 * width).all()) else 127


class ConcatLinear:
    """Several linears of one input. Their outputs are concatenated."""

    def __init__(self, parts: Sequence[Linear]) -> None:
        self._parts = parts

    def __call__(self, x: Tensor) -> Tensor:
        """Apply each of them."""
        return torch.cat([part(x) for part in self._parts], dim=-1)


class PlainConv:
    """PyTorch's convolution."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply it."""
        padding = self._weight.shape[2] // 2
        y = F.conv1d(x.transpose(1, 2), self._weight, bias, padding=padding, groups=CONV_GROUPS)
        return y.transpose(1, 2)


class PackedConv:
    """oneDNN's convolution, with the weight laid out in advance. Frames stay before channels, so nothing is copied."""

    def __init__(self, weight: Tensor, frames: int = 1024) -> None:
        self._padding = [0, weight.shape[2] // 2]
        shape = [2, weight.shape[0], 1, frames]
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight.unsqueeze(2).contiguous(), self._padding, [1, 1], [1, 1], CONV_GROUPS, shape
        )

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply it."""
        image = x.transpose(1, 2).unsqueeze(2)
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image, self._weight, bias, self._padding, [1, 1], [1, 1], CONV_GROUPS, *_NOTHING
        )
        return y.squeeze(2).transpose(1, 2)


@dataclass(frozen=True)
class KernelChoice:
    """Names of kernels: of the four products of a block, and from `CONVS`, `ATTENTIONS` and `ELEMENTWISE`.

    Attributes:
        qkv, out, up, down: from `LINEARS`, or another name that `block_kernels` knows.
    """

    qkv: str = "plain"
    out: str = "plain"
    up: str = "plain"
    down: str = "plain"
    conv: str = "plain"
    attention: str = "fused"
    elementwise: str = "eager"

    @classmethod
    def of_linear(cls, linear: str, **others: str) -> KernelChoice:
        """The same linear for all four products."""
        return cls(qkv=linear, out=linear, up=linear, down=linear, **others)

    @property
    def products(self) -> dict[str, str]:
        """The names of the four products, in the order of their computation."""
        return {"qkv": self.qkv, "out": self.out, "up": self.up, "down": self.down}

    def __str__(self) -> str:
        names = self.products
        products = ", ".join(f"{name} {kernel}" for name, kernel in names.items())
        if len(set(names.values())) == 1:
            products = self.qkv
        return (
            f"products: {products}; convolutions: {self.conv}; attention: {self.attention}; "
            f"steps between them: {self.elementwise}"
        )


PLAIN = KernelChoice()
"""PyTorch's kernels: the default without a measurement."""


# Imported when they are asked for: Triton is not installed everywhere, and its import takes a second.
def _cublas_lt(weight: Tensor, bias: Tensor, gelu: bool = False) -> Linear:
    from ishowtts.engines.f5.cuda.products import GeluLinear

    return GeluLinear(weight, bias, gelu)


def _int8_cuda(weight: Tensor, bias: Tensor, gelu: bool = False) -> Linear:
    from ishowtts.engines.f5.cuda.products import Int8CudaLinear

    return Int8CudaLinear(weight, bias, gelu)


def _fp8(weight: Tensor, bias: Tensor, gelu: bool = False) -> Linear:
    from ishowtts.engines.f5.cuda.products import Fp8Linear

    return Fp8Linear(weight, bias, gelu)


def _triton_conv(weight: Tensor, tile: Tile) -> Conv:
    from ishowtts.engines.f5.cuda.convolution import TritonConv

    return TritonConv(weight, tile)


def _triton_elementwise(warps: int | None = None, rows: int = 1) -> Elementwise:
    from ishowtts.engines.f5.cuda.fused_elementwise import TritonElementwise

    return TritonElementwise(warps, rows)


LINEARS: dict[str, Callable[..., Linear]] = {
    "plain": PlainLinear, "packed": PackedLinear, "int8": Int8Linear,
    "cublasLt": _cublas_lt, "int8-cuda": _int8_cuda, "fp8": _fp8,
}  # fmt: skip
CONVS: dict[str, Callable[[Tensor], Conv]] = {
    "plain": PlainConv, "packed": PackedConv,
    **{f"triton-{tile.name}": partial(_triton_conv, tile=tile) for tile in CONV_TILES},
}  # fmt: skip
ELEMENTWISE: dict[str, Callable[[], Elementwise]] = {
    "eager": EagerElementwise,
    "triton": _triton_elementwise,
    **{f"triton-{name}": partial(_triton_elementwise, **norms) for name, norms in NORM_VARIANTS.items()},
}
