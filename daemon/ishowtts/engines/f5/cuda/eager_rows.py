"""The steps around a product of eight-bit numbers in plain PyTorch: the reference of `fused_rows`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.block_steps import QuantisedRows
from ishowtts.engines.f5.elementwise import EPS

LARGEST = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}
"""The value that the largest magnitude of a row is scaled to."""

SMALLEST_SCALE = 1e-12


def quantise_rows(x: Tensor, dtype: torch.dtype, padded: int) -> tuple[Tensor, Tensor]:
    """Quantise each row with its own scale.

    Args:
        x: [rows, width].
        dtype: int8 or float8_e4m3fn.
        padded: the number of rows of the result, at least `rows`: some products need a minimum of rows.

    Returns:
        The rows, [padded, width] of that type, and their scales, fp32 [padded]. Rows after the last one are arbitrary.
        If a row contains an infinite number or NaN, its scale is NaN, and so are the products with that row.
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


def quantised(x: Tensor) -> QuantisedRows:
    """Activations [G, N, D] in s8 with a scale per row."""
    values, scales = quantise_rows(x.flatten(0, -2), torch.int8, x.numel() // x.shape[-1])
    return QuantisedRows(values.view(x.shape), scales, x.dtype)


def norm_quantised(x: Tensor, scale: Tensor, shift: Tensor) -> QuantisedRows:
    """The layer norm of [G, N, D], in the type of `x`, quantised to s8 with a scale per row.

    Args:
        scale, shift: the affine part of the norm, [D] each.
    """
    return quantised(F.layer_norm(x, x.shape[-1:], scale, shift, EPS))


def finish_rows(
    product: Tensor, rows: int, dtype: torch.dtype, *,
    row_scales: Tensor | None, column_scales: Tensor | None, bias: Tensor | None, gelu: bool,
) -> Tensor:  # fmt: skip
    """Scale the first `rows` rows of a product [padded, width]: `product * row * column + bias`, then GELU (tanh).

    Args:
        row_scales, column_scales: fp32 [padded] and [width]; `None`: the product is already scaled.
        bias: [width]; `None`: it is already added.
    """
    values = product[:rows].float()
    if row_scales is not None:
        values = values * row_scales[:rows, None]
    if column_scales is not None:
        values = values * column_scales
    if bias is not None:
        values = values + bias.float()
    return (F.gelu(values, approximate="tanh") if gelu else values).to(dtype)
