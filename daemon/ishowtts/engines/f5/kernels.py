"""How products and convolutions are computed on this machine. The mathematics (`dit`) says what; which of these runs,
`tuning` decides; `kit` has their names.

Packed and int8 linears are oneDNN's, through the operators that torch's own compiler emits for CPUs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

_CONV_GROUPS = 16
_GELU: tuple[str, list[float], str] = ("gelu", [], "tanh")
_NOTHING: tuple[str, list[float], str] = ("none", [], "")


class Linear(Protocol):
    """`x @ weight.T + bias`, [..., inputs] to [..., outputs], and GELU (tanh) behind it where it was made so."""

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""


class Conv(Protocol):
    """A positional convolution, 31 taps in 16 groups: [batch, frames, D] to the same."""

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply it, with a bias [D] or without."""


class PlainLinear:
    """Torch's own."""

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False) -> None:
        self._weight, self._bias, self._gelu = weight, bias, gelu

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        y = F.linear(x, self._weight, self._bias)
        return F.gelu(y, approximate="tanh") if self._gelu else y


class PackedLinear:
    """oneDNN with the weight laid out beforehand for `rows` rows, and GELU fused."""

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False, rows: int = 2048) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        self._bias = bias
        self._after = _GELU if gelu else _NOTHING

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, *self._after)
        return y


class Int8Linear:
    """oneDNN in whole numbers: weights s8 for each output, activations u8 for the tensor, measured as it comes."""

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
        return y.to(x.dtype)  # where a processor has no half precision, oneDNN takes a thousand times as long for it


@cache
def largest_u8() -> int:
    """The largest activation whose products this processor adds up right: 255, or 127.

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
    """Several linears of one input, their outputs side by side."""

    def __init__(self, parts: Sequence[Linear]) -> None:
        self._parts = parts

    def __call__(self, x: Tensor) -> Tensor:
        """Apply each."""
        return torch.cat([part(x) for part in self._parts], dim=-1)


class PlainConv:
    """Torch's own."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply it."""
        padding = self._weight.shape[2] // 2
        y = F.conv1d(x.transpose(1, 2), self._weight, bias, padding=padding, groups=_CONV_GROUPS)
        return y.transpose(1, 2)


class PackedConv:
    """oneDNN with the weight laid out beforehand; frames stay in front of channels, so that nothing is copied."""

    def __init__(self, weight: Tensor, frames: int = 1024) -> None:
        self._padding = [0, weight.shape[2] // 2]
        shape = [2, weight.shape[0], 1, frames]
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight.unsqueeze(2).contiguous(), self._padding, [1, 1], [1, 1], _CONV_GROUPS, shape
        )

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply it."""
        image = x.transpose(1, 2).unsqueeze(2)
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image, self._weight, bias, self._padding, [1, 1], [1, 1], _CONV_GROUPS, *_NOTHING
        )
        return y.squeeze(2).transpose(1, 2)
