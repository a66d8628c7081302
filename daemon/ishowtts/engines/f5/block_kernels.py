"""The kernels of the four products of a block, by their names: what `KernelChoice` says of qkv, out, up and down.

| name | the product, and what follows it |
|---|---|
| each of `LINEARS` | a product with its bias; then rotation, or gate, residual and norm, as kernels of their own |
| `mm` | cuBLAS without the bias, which the next kernel adds |
| `split` | the same in three products of a third of the outputs each, for queries, keys and values |
| `triton-<tile>` | our own product with what follows in its epilogue, `cuda.fused_products` |
| `int8-fused-<tile>` | the same in eight bits |
"""

from __future__ import annotations

from torch import Tensor

from ishowtts.engines.f5.block_steps import (
    Linear,
    QkvStep,
    ResidualStep,
    SeparateQkv,
    SeparateResidual,
    SeparateUp,
    UpStep,
)
from ishowtts.engines.f5.cuda.tiles import INT8_TILES, TILES, Tile
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.kernels import LINEARS

FUSED, FUSED_INT8 = "triton-", "int8-fused-"
"""How the names of our own products begin; the name of the tile follows."""


def make_qkv(
    name: str, weight: Tensor, bias: Tensor, elementwise: Elementwise, *, heads: int, rotated_heads: int | None
) -> QkvStep:
    """The step of queries, keys and values: weight [3 * H * 64, D].

    Args:
        rotated_heads: number of heads whose queries and keys know their positions; `None`: all of them.

    Raises:
        ValueError: this product has no such tile, or its widths are not multiples of it.
        ImportError: Triton is not installed, which our own products need.
    """
    if name in ("mm", "split"):
        from ishowtts.engines.f5.cuda.products import MmLinear, SplitLinear

        linear: Linear = MmLinear(weight) if name == "mm" else SplitLinear(weight, 3)
        return SeparateQkv(linear, elementwise, heads, rotated_heads, bias)
    if name in LINEARS:
        return SeparateQkv(LINEARS[name](weight, bias), elementwise, heads, rotated_heads)
    from ishowtts.engines.f5.cuda.fused_products import FusedQkv, Int8Qkv

    own = Int8Qkv if takes_quantised_rows(name) else FusedQkv
    return own(weight, bias, heads=heads, rotated_heads=rotated_heads, tile=_tile(name))


def make_up(name: str, weight: Tensor, bias: Tensor) -> UpStep:
    """The step of the first feed-forward product: weight [F, D].

    Names and errors are those of `make_qkv`, except `split`.
    """
    if name == "mm":
        from ishowtts.engines.f5.cuda.products import MmGeluLinear

        return SeparateUp(MmGeluLinear(weight, bias))
    if name in LINEARS:
        return SeparateUp(LINEARS[name](weight, bias, gelu=True))
    from ishowtts.engines.f5.cuda.fused_products import FusedUp, Int8Up

    own = Int8Up if takes_quantised_rows(name) else FusedUp
    return own(weight, bias, tile=_tile(name))


def make_residual(
    name: str, weight: Tensor, bias: Tensor, elementwise: Elementwise, *, quantise: bool = False
) -> ResidualStep:
    """The step of a product that is added to the residual stream: weight [D, inputs].

    Names and errors are those of `make_qkv`, except `split`.

    Args:
        quantise: whether the next product takes quantised rows. Only our own products of eight bits make them; after
            any other product, the next one quantises its input itself.
    """
    if name == "mm":
        from ishowtts.engines.f5.cuda.products import MmLinear

        return SeparateResidual(MmLinear(weight), elementwise, bias)
    if name in LINEARS:
        return SeparateResidual(LINEARS[name](weight, bias), elementwise)
    from ishowtts.engines.f5.cuda.fused_products import FusedResidual, Int8Residual

    if takes_quantised_rows(name):
        return Int8Residual(weight, bias, elementwise, tile=_tile(name), quantise=quantise)
    return FusedResidual(weight, bias, elementwise, tile=_tile(name))


def takes_quantised_rows(name: str) -> bool:
    """Whether this product takes rows that the norm before it has quantised."""
    return name.startswith(FUSED_INT8)


def _tile(name: str) -> Tile:
    """The tile of one of our own products. Raises ValueError for a name that is none of them."""
    for start, tiles in ((FUSED, TILES), (FUSED_INT8, INT8_TILES)):
        for tile in tiles:
            if name == start + tile.name:
                return tile
    raise ValueError(f"there is no product {name!r}")
