"""What surrounds a product of eight-bit numbers, in plain torch: the reference of `rows`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}
"""What the farthest number of a row becomes."""

SMALLEST_SCALE = 1e-12


def quantise_rows(x: Tensor, dtype: torch.dtype, padded: int) -> tuple[Tensor, Tensor]:
    """Narrow each row by its own scale.

    Args:
        x: [rows, width].
        dtype: int8 or float8_e4m3fn.
        padded: at least `rows`: some products want more rows than there are.

    Returns:
        [padded, width] of that type and fp32 scales [padded]. Rows behind the last are arbitrary. The scale of a row
        that holds an infinite number, or what is no number, is no number, and so are the products with that row.
    """
    rows, width = x.shape
    values = x.float()
    farthest = values.abs().amax(1)
    scale = (farthest / LARGEST[dtype]).clamp(min=SMALLEST_SCALE)
    values = values / scale[:, None]
    whole = torch.zeros(padded, width, dtype=dtype, device=x.device)
    whole[:rows] = values.nan_to_num(0.0).round().to(dtype) if dtype is torch.int8 else values.to(dtype)
    scales = torch.ones(padded, device=x.device)
    scales[:rows] = torch.where(farthest.isfinite(), scale, float("nan"))
    return whole, scales


def finish_rows(
    product: Tensor, rows: int, dtype: torch.dtype, *,
    row_scales: Tensor | None, column_scales: Tensor | None, bias: Tensor | None, gelu: bool,
) -> Tensor:  # fmt: skip
    """The first `rows` of a product [padded, width], scaled back: `product * row * column + bias`, then GELU (tanh).

    Args:
        row_scales, column_scales: fp32 [padded] and [width]; `None`: scaled already.
        bias: [width]; `None`: added already.
    """
    values = product[:rows].float()
    if row_scales is not None:
        values = values * row_scales[:rows, None]
    if column_scales is not None:
        values = values * column_scales
    if bias is not None:
        values = values + bias.float()
    return (F.gelu(values, approximate="tanh") if gelu else values).to(dtype)
