"""The positional convolution as a Triton kernel: a product for each tap, shifted frames times that tap's weights.

Channels stay last, so nothing is transposed. The import raises ImportError if Triton is not installed.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from ishowtts.engines.f5.architecture import CONV_GROUPS
from ishowtts.engines.f5.cuda.tiles import CONV_TILES, Tile

_SMALLEST_TILE = 16

_SINGLE = Tile(32, 64, 32, warps=4, stages=2)
"""For fp32, which has no tensor cores here: the tile is small and stays in registers."""


class TritonConv:
    """`kernels.Conv` on tensor cores in fp16 and bf16, exact in fp32.

    Args:
        weight: [D, D / 16, taps]; `taps` is odd.
        tile: how fp16 and bf16 are computed. Its columns and depth are reduced to the channels of a group.
    """

    def __init__(self, weight: Tensor, tile: Tile = CONV_TILES[0]) -> None:
        """Lay out the weight as [groups, taps, inputs, outputs], padded with zeros."""
        self._width, self._channels, self._taps = weight.shape
        self._padded = max(_SMALLEST_TILE, triton.next_power_of_2(self._channels))
        grouped = weight.view(CONV_GROUPS, self._channels, self._channels, self._taps).permute(0, 3, 2, 1)
        more = self._padded - self._channels
        self._weight = F.pad(grouped, (0, more, 0, more)).contiguous()
        tile = _SINGLE if weight.dtype is torch.float32 else tile
        self._tile = replace(tile, columns=min(self._padded, tile.columns), depth=min(self._padded, tile.depth))

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply it. The result is contiguous."""
        x = x.contiguous()
        out = torch.empty_like(x)
        segments, frames, width = x.shape
        if width != self._width:
            raise ValueError(f"the convolution is {self._width} wide, its input {width}")
        tile = self._tile
        grid = (triton.cdiv(frames, tile.rows), CONV_GROUPS * (self._padded // tile.columns), segments)
        _convolve[grid](
            x, self._weight, bias, out, frames, width, self._channels, self._padded, self._taps,
            tile.rows, tile.columns, tile.depth, num_stages=tile.stages, num_warps=tile.warps,
        )  # fmt: skip
        return out


@triton.jit(do_not_specialize=["frames"])
def _convolve(
    x: tl.tensor, weight: tl.tensor, bias: tl.tensor, out: tl.tensor, frames: tl.tensor,
    width: tl.constexpr, channels: tl.constexpr, padded: tl.constexpr, taps: tl.constexpr,
    rows: tl.constexpr, columns: tl.constexpr, depth: tl.constexpr,
) -> None:  # fmt: skip
    group = tl.program_id(1) // (padded // columns)
    outputs = tl.program_id(1) % (padded // columns) * columns + tl.arange(0, columns)
    at = tl.program_id(0) * rows + tl.arange(0, rows)
    start = tl.program_id(2).to(tl.int64) * frames * width + group * channels
    x += start
    weight += group * (taps * padded * padded)
    sums = tl.zeros((rows, columns), tl.float32)
    for step in range(taps * (padded // depth)):
        tap = step // (padded // depth)
        inputs = step % (padded // depth) * depth + tl.arange(0, depth)
        source = at + tap - taps // 2
        there = ((source >= 0) & (source < frames))[:, None] & (inputs < channels)[None, :]
        values = tl.load(x + source[:, None] * width + inputs[None, :], mask=there, other=0.0)
        weights = tl.load(weight + (tap * padded + inputs)[:, None] * padded + outputs[None, :])
        sums = tl.dot(values, weights, sums, input_precision="ieee")
    real = outputs < channels
    if bias is not None:
        sums += tl.load(bias + group * channels + outputs, mask=real, other=0.0).to(tl.float32)[None, :]
    inside = (at < frames)[:, None] & real[None, :]
    tl.store(out + start + at[:, None] * width + outputs[None, :], sums, mask=inside)
