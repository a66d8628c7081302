"""Triton kernels around a product of eight-bit numbers: quantise each row before it; scale, bias and GELU after it.

A norm can be quantised as it is computed. `eager_rows` has the same functions in plain PyTorch. The import
raises ImportError if Triton is not installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ishowtts.engines.f5.block_steps import QuantisedRows
from ishowtts.engines.f5.cuda.eager_rows import LARGEST, SMALLEST_SCALE
from ishowtts.engines.f5.cuda.fused_elementwise import normed, row_warps
from ishowtts.engines.f5.elementwise import EPS

INTERPRETED = bool(triton.knobs.runtime.interpret) if hasattr(triton, "knobs") else False
"""Whether Triton interprets the kernels on the CPU."""

_LONGEST_BLOCK = 1024
_PER_WARP = 512
_MOST_WARPS = 16


def quantise_rows(x: Tensor, dtype: torch.dtype, padded: int) -> tuple[Tensor, Tensor]:
    """As `eager_rows.quantise_rows`, in one pass. Rows after the last one are not written."""
    x = x.contiguous()
    rows, width = x.shape
    whole = torch.empty(padded, width, dtype=dtype, device=x.device)
    scales = torch.empty(padded, dtype=torch.float32, device=x.device)
    block = triton.next_power_of_2(width)
    _quantise[(rows,)](x, whole, scales, LARGEST[dtype], SMALLEST_SCALE, dtype is torch.int8, width, block,
                       num_warps=_warps(block))  # fmt: skip
    return whole, scales


def quantised(x: Tensor) -> QuantisedRows:
    """As `eager_rows.quantised`, in one pass."""
    values, scales = quantise_rows(x.flatten(0, -2), torch.int8, x.numel() // x.shape[-1])
    return QuantisedRows(values.view(x.shape), scales, x.dtype)


def norm_quantised(x: Tensor, scale: Tensor, shift: Tensor) -> QuantisedRows:
    """As `eager_rows.norm_quantised`, in one pass: the norm itself is not written."""
    x = x.contiguous()
    width = x.shape[-1]
    whole = torch.empty_like(x, dtype=torch.int8)
    scales = torch.empty(x.numel() // width, dtype=torch.float32, device=x.device)
    block = triton.next_power_of_2(width)
    _norm_quantised[(len(scales),)](x, scale, shift, whole, scales, LARGEST[torch.int8], SMALLEST_SCALE, width, block,
                                    EPS, num_warps=row_warps(block))  # fmt: skip
    return QuantisedRows(whole, scales, x.dtype)


def finish_rows(
    product: Tensor, rows: int, dtype: torch.dtype, *,
    row_scales: Tensor | None, column_scales: Tensor | None, bias: Tensor | None, gelu: bool,
) -> Tensor:  # fmt: skip
    """As `eager_rows.finish_rows`, in one pass."""
    product = product.contiguous()
    width = product.shape[1]
    out = torch.empty(rows, width, dtype=dtype, device=product.device)
    block = min(_LONGEST_BLOCK, triton.next_power_of_2(width))
    _finish[(rows, triton.cdiv(width, block))](product, row_scales, column_scales, bias, out, gelu, width, block)
    return out


def _warps(block: int) -> int:
    return max(1, min(_MOST_WARPS, block // _PER_WARP))


@triton.jit
def _quantise(
    x: tl.tensor, whole: tl.tensor, scales: tl.tensor,
    largest: tl.constexpr, smallest: tl.constexpr, rounded: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
) -> None:  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    inside = at < width
    values = tl.load(x + row * width + at[None, :], mask=inside[None, :], other=0.0).to(tl.float32)
    _store_quantised(values, whole, scales, row, at, inside, largest, smallest, rounded, width)


@triton.jit
def _norm_quantised(
    x: tl.tensor, scale: tl.tensor, shift: tl.tensor, whole: tl.tensor, scales: tl.tensor,
    largest: tl.constexpr, smallest: tl.constexpr, width: tl.constexpr, block: tl.constexpr, eps: tl.constexpr,
) -> None:  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    inside = at < width
    values = tl.load(x + row * width + at[None, :], mask=inside[None, :], other=0.0).to(tl.float32)
    # Rounded as a norm that is stored, so that the same numbers are quantised as by two kernels.
    values = normed(values, scale, shift, at, inside, width, eps).to(x.dtype.element_ty).to(tl.float32)
    _store_quantised(values, whole, scales, row, at, inside, largest, smallest, True, width)


@triton.jit
def _store_quantised(
    values: tl.tensor, whole: tl.tensor, scales: tl.tensor, row: tl.tensor, at: tl.tensor, inside: tl.tensor,
    largest: tl.constexpr, smallest: tl.constexpr, rounded: tl.constexpr, width: tl.constexpr,
) -> None:  # fmt: skip
    """Quantise a row, [1, block], and store it and its scale."""
    # A maximum ignores NaN. No comparison with NaN is true, so this counts it as infinite.
    size = tl.abs(values)
    farthest = tl.max(tl.where(size < float("inf"), size, float("inf")), 1)
    scale = tl.maximum(farthest / largest, smallest)
    values = values / scale[:, None]
    if rounded:
        # A float plus 1.5 * 2^23 has no fractional digits: this rounds to nearest, ties to even.
        values = (values + 12582912.0) - 12582912.0
    tl.store(whole + row * width + at[None, :], values.to(whole.dtype.element_ty), mask=inside[None, :])
    tl.store(scales + row + tl.arange(0, 1), tl.where(farthest < float("inf"), scale, float("nan")))


@triton.jit
def gelu_tanh(values: tl.tensor) -> tl.tensor:
    """GELU by the hyperbolic tangent."""
    # (1 + tanh(u)) / 2 is the logistic function of 2u.
    twice = 1.5957691216057308 * values * (1.0 + 0.044715 * values * values)
    return values / (1.0 + tl.exp(-twice))


@triton.jit
def _finish(
    product: tl.tensor, row_scales: tl.tensor, column_scales: tl.tensor, bias: tl.tensor, out: tl.tensor,
    gelu: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
) -> None:  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    inside = at < width
    values = tl.load(product + row * width + at, mask=inside, other=0).to(tl.float32)
    if row_scales is not None:
        values *= tl.load(row_scales + row)
    if column_scales is not None:
        values *= tl.load(column_scales + at, mask=inside, other=0.0)
    if bias is not None:
        values += tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
    if gelu:
        values = gelu_tanh(values)
    tl.store(out + row * width + at, values, mask=inside)
