"""A product as one Triton kernel, with all that follows it applied to its fp32 sums before they are rounded.

A program computes one tile of the result. The widths are constants of a compiled kernel. The numbers of rows and frames
are not, so all buckets share one binary. The import raises ImportError if Triton is not installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ishowtts.engines.f5.block_steps import Activations, QuantisedRows, plain
from ishowtts.engines.f5.cuda import eager_rows, fused_rows
from ishowtts.engines.f5.cuda.tiles import Tile

_GROUP = 8
"""Tiles of this many rows are computed together, so that they read the same weights from the L2 cache."""


class TiledProduct:
    """`x @ weight.T + bias` with an epilogue.

    Args:
        weight, bias: [outputs, inputs] and [outputs], fp16 or bf16.
        int8: whether to multiply s8, with a scale per output and per row. Activations that are not quantised yet are
            quantised first. If not, activations have the type of the weights.

    Raises:
        ValueError: the widths are not multiples of the tile, or the type is another.
    """

    def __init__(self, weight: Tensor, bias: Tensor, tile: Tile, *, int8: bool) -> None:
        self.outputs, self.inputs = weight.shape
        if self.outputs % tile.columns or self.inputs % tile.depth:
            raise ValueError(f"{self.inputs} inputs and {self.outputs} outputs are not multiples of a {tile.name} tile")
        if weight.dtype not in (torch.float16, torch.bfloat16):
            raise ValueError(f"products of {weight.dtype} are not computed in tiles")
        self._scales: Tensor | None = None
        if int8:
            weight, self._scales = eager_rows.quantise_rows(weight, torch.int8, self.outputs)
        self._weight, self._bias, self._tile = weight.contiguous(), bias.contiguous(), tile

    def gelu(self, x: Activations) -> Tensor:
        """GELU (tanh) of the product, [G, N, outputs]."""
        return self._launch(x, None, "gelu")

    def rotate(self, x: Activations, angles: Tensor, rotated: int) -> Tensor:
        """The product [G, N, 3 * H * 64] of queries, keys and values, in which queries and keys are rotated.

        Args:
            angles: cosines and sines of the positions, fp32 [N, 32, 2].
            rotated: number of outputs of the queries that are rotated, a multiple of 64; the same of the keys.
        """
        return self._launch(x, None, "rotate", angles=angles.contiguous(), rotated=rotated)

    def add(self, y: Activations, x: Tensor, gate: Tensor) -> Tensor:
        """`x + gate * product`, [G, N, outputs]. If `x` is contiguous, it is overwritten and returned."""
        return self._launch(y, x.contiguous(), "add", gate=gate.contiguous())

    def _launch(
        self, x: Activations, out: Tensor | None, after: str,
        *, angles: Tensor | None = None, rotated: int = 0, gate: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        values, scales, dtype = self._operand(x)
        *batch, inputs = values.shape
        if inputs != self.inputs:
            raise ValueError(f"the product has {self.inputs} inputs, and {inputs} were given")
        if out is None:
            out = values.new_empty(*batch, self.outputs, dtype=dtype)
        rows, tile = values.numel() // inputs, self._tile
        grid = (triton.cdiv(rows, tile.rows) * (self.outputs // tile.columns),)
        multiply[grid](
            values, self._weight, self._bias, out, scales, self._scales, angles, gate, rows, batch[-1],
            self.outputs, inputs, rotated, after, tile.rows, tile.columns, tile.depth, _GROUP,
            num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip
        return out

    def _operand(self, x: Activations) -> tuple[Tensor, Tensor | None, torch.dtype]:
        """The activations in the type of the weights, the scales of their rows, and the type of the result."""
        if self._scales is None:
            x = plain(x)
            if x.dtype is not self._weight.dtype:
                raise ValueError(f"the product is of {self._weight.dtype}, its activations {x.dtype}")
            return x.contiguous(), None, x.dtype
        if not isinstance(x, QuantisedRows):
            x = fused_rows.quantised(x)
        return x.values.contiguous(), x.scales, x.dtype


@triton.jit(do_not_specialize=["rows", "frames"])
def multiply(
    x: tl.tensor, weight: tl.tensor, bias: tl.tensor, out: tl.tensor, row_scales: tl.tensor, column_scales: tl.tensor,
    angles: tl.tensor, gate: tl.tensor, rows: tl.tensor, frames: tl.tensor,
    outputs: tl.constexpr, inputs: tl.constexpr, rotated: tl.constexpr, after: tl.constexpr,
    tile_rows: tl.constexpr, tile_columns: tl.constexpr, depth: tl.constexpr, group: tl.constexpr,
) -> None:  # fmt: skip
    """Compute one tile. `after` is "gelu", "rotate" or "add", which adds the gated product to `out`."""
    # Programs run in the order of their numbers: down the rows of a group, then to the next columns.
    across: tl.constexpr = outputs // tile_columns
    first_row = tl.program_id(0) // (group * across) * group
    height = tl.minimum(tl.cdiv(rows, tile_rows) - first_row, group)
    place = tl.program_id(0) % (group * across)
    row = (first_row + place % height) * tile_rows + tl.arange(0, tile_rows)
    start = place // height * tile_columns

    # Rows after the last one are computed from the last one, and not stored.
    real_row = tl.minimum(row, rows - 1)
    column = start + tl.arange(0, tile_columns)
    step = tl.arange(0, depth)
    left = x + real_row.to(tl.int64)[:, None] * inputs + step[None, :]
    right = weight + column[None, :] * inputs + step[:, None]
    sums_type: tl.constexpr = tl.float32 if row_scales is None else tl.int32
    sums = tl.zeros((tile_rows, tile_columns), sums_type)
    for _ in range(inputs // depth):
        sums = tl.dot(tl.load(left), tl.load(right), sums, out_dtype=sums_type)
        left += depth
        right += depth

    # A few columns after the other: a tile of 128 x 128 that is finished as a whole spills 328 bytes on sm_87.
    if tile_columns > 128:
        first, second = _halves(sums)
        _finish_halves(first, start, row, rows, bias, out, row_scales, column_scales, angles, gate, frames,
                       outputs, rotated, after)  # fmt: skip
        _finish_halves(second, start + tile_columns // 2, row, rows, bias, out, row_scales, column_scales, angles,
                       gate, frames, outputs, rotated, after)  # fmt: skip
    else:
        _finish_halves(sums, start, row, rows, bias, out, row_scales, column_scales, angles, gate, frames,
                       outputs, rotated, after)  # fmt: skip


@triton.jit
def _finish_halves(
    sums: tl.tensor, start: tl.tensor, row: tl.tensor, rows: tl.tensor, bias: tl.tensor, out: tl.tensor,
    row_scales: tl.tensor, column_scales: tl.tensor, angles: tl.tensor, gate: tl.tensor, frames: tl.tensor,
    outputs: tl.constexpr, rotated: tl.constexpr, after: tl.constexpr,
) -> None:  # fmt: skip
    """Finish the first half of the columns, then the second one."""
    first, second = _halves(sums)
    _finish(first, start, row, rows, bias, out, row_scales, column_scales, angles, gate, frames,
            outputs, rotated, after)  # fmt: skip
    _finish(second, start + first.shape[1], row, rows, bias, out, row_scales, column_scales, angles, gate, frames,
            outputs, rotated, after)  # fmt: skip


@triton.jit
def _halves(sums: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """The first and the last columns."""
    first, second = tl.split(tl.permute(tl.reshape(sums, (sums.shape[0], 2, sums.shape[1] // 2)), (0, 2, 1)))
    return first, second


@triton.jit
def _finish(
    sums: tl.tensor, start: tl.tensor, row: tl.tensor, rows: tl.tensor, bias: tl.tensor, out: tl.tensor,
    row_scales: tl.tensor, column_scales: tl.tensor, angles: tl.tensor, gate: tl.tensor, frames: tl.tensor,
    outputs: tl.constexpr, rotated: tl.constexpr, after: tl.constexpr,
) -> None:  # fmt: skip
    """Apply all that follows to the sums of these rows and of the columns from `start` on, and store them."""
    column = start + tl.arange(0, sums.shape[1])
    values = sums.to(tl.float32)
    if row_scales is not None:
        row_scale = tl.load(row_scales + tl.minimum(row, rows - 1))
        values *= row_scale[:, None] * tl.load(column_scales + column)[None, :]
    values += tl.load(bias + column).to(tl.float32)[None, :]
    places = out + row.to(tl.int64)[:, None] * outputs + column[None, :]
    inside = (row < rows)[:, None]
    if after == "gelu":
        values = fused_rows.gelu_tanh(values)
    if after == "rotate":
        values = _rotate(values, start, row % frames, angles, outputs // 3, rotated)
    if after == "add":
        gates = tl.load(gate + column).to(tl.float32)
        values = tl.load(places, mask=inside, other=0.0).to(tl.float32) + gates[None, :] * values
    tl.store(places, values, mask=inside)


@triton.jit
def _rotate(
    values: tl.tensor, start: tl.tensor, position: tl.tensor, angles: tl.tensor,
    width: tl.constexpr, rotated: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Rotate the first `rotated` columns of queries and of keys, which are `width` columns each. Neighbours are pairs.

    All heads of a row are rotated by the same 32 angles, so these are loaded once.
    """
    rows: tl.constexpr = values.shape[0]
    columns: tl.constexpr = values.shape[1]
    # Not `min`, which makes a tensor of constants up to Triton 3.4.
    span: tl.constexpr = 64 if columns > 64 else columns
    if start < 2 * width:
        pairs = tl.load(angles + position[:, None] * 64 + (start % 64 + tl.arange(0, span))[None, :])
        cosine, sine = tl.split(tl.reshape(pairs, (rows, 1, span // 2, 2)))
        first, second = tl.split(tl.reshape(values, (rows, columns // span, span // 2, 2)))
        turned = tl.join(first * cosine - second * sine, first * sine + second * cosine)
        column = start + tl.arange(0, columns)
        wanted = (column < 2 * width) & (column % width < rotated)
        values = tl.where(wanted[None, :], tl.reshape(turned, (rows, columns)), values)
    return values
