"""The steps of a transformer block (`block_steps`) with our own product: one kernel, and a norm after two of them.

`Fused…` multiplies fp16 or bf16, `Int8…` s8 with a scale per output and per row. All constructors raise ValueError if
the widths are not multiples of the tile, or if the weights are fp32: then this kernel is not for this model. The import
raises ImportError if Triton is not installed.
"""

from __future__ import annotations

from torch import Tensor

from ishowtts.engines.f5.architecture import HEAD
from ishowtts.engines.f5.block_steps import Activations
from ishowtts.engines.f5.cuda import fused_rows
from ishowtts.engines.f5.cuda.product_kernel import TiledProduct
from ishowtts.engines.f5.cuda.tiles import Tile
from ishowtts.engines.f5.elementwise import Elementwise


class FusedQkv:
    """Queries, keys and values: the product, and their rotation in its epilogue (`QkvStep`).

    Args:
        weight, bias: [3 * H * 64, D] and [3 * H * 64], fp16 or bf16.
        rotated_heads: number of heads whose queries and keys know their positions; `None`: all of them.
    """

    _int8 = False

    def __init__(
        self, weight: Tensor, bias: Tensor, *, heads: int, rotated_heads: int | None = None, tile: Tile
    ) -> None:
        self._product = TiledProduct(weight, bias, tile, int8=self._int8)
        self._heads = heads
        self._rotated = HEAD * (heads if rotated_heads is None else min(rotated_heads, heads))

    def __call__(self, z: Activations, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the protocol says. All three are views of one tensor."""
        qkv = self._product.rotate(z, angles, self._rotated)
        q, k, v = qkv.view(*qkv.shape[:2], 3, self._heads, HEAD).permute(2, 0, 3, 1, 4).unbind()
        return q, k, v


class FusedUp:
    """The first product of the feed-forward layer, and GELU in its epilogue (`UpStep`).

    Args:
        weight, bias: [F, D] and [F], fp16 or bf16.
    """

    _int8 = False

    def __init__(self, weight: Tensor, bias: Tensor, *, tile: Tile) -> None:
        self._product = TiledProduct(weight, bias, tile, int8=self._int8)

    def __call__(self, z: Activations) -> Tensor:
        """As the protocol says."""
        return self._product.gelu(z)


class FusedResidual:
    """A product, gate and residual in its epilogue, and then the norm (`ResidualStep`).

    Args:
        weight, bias: [D, inputs] and [D], fp16 or bf16.
        elementwise: computes the norm.
    """

    _int8 = False

    def __init__(self, weight: Tensor, bias: Tensor, elementwise: Elementwise, *, tile: Tile) -> None:
        self._product = TiledProduct(weight, bias, tile, int8=self._int8)
        self._elementwise = elementwise

    def __call__(
        self, y: Activations, x: Tensor, gate: Tensor, scale: Tensor, shift: Tensor
    ) -> tuple[Tensor, Activations]:
        """As the protocol says. If `x` is contiguous, it is overwritten and is the first result."""
        x = self._product.add(y, x, gate)
        return x, self._elementwise.norm(x, scale, shift)


class Int8Qkv(FusedQkv):
    """`FusedQkv` with a product of s8. Activations that are not quantised yet are quantised first."""

    _int8 = True


class Int8Up(FusedUp):
    """`FusedUp` with a product of s8. Activations that are not quantised yet are quantised first."""

    _int8 = True


class Int8Residual(FusedResidual):
    """`FusedResidual` with a product of s8. Activations that are not quantised yet are quantised first.

    Args:
        quantise: whether the norm returns quantised rows, because the product after it is of s8 too.
    """

    _int8 = True

    def __init__(self, weight: Tensor, bias: Tensor, elementwise: Elementwise, *, tile: Tile, quantise: bool) -> None:
        super().__init__(weight, bias, elementwise, tile=tile)
        self._quantise = quantise

    def __call__(
        self, y: Activations, x: Tensor, gate: Tensor, scale: Tensor, shift: Tensor
    ) -> tuple[Tensor, Activations]:
        """As the protocol says. If `x` is contiguous, it is overwritten and is the first result."""
        if not self._quantise:
            return super().__call__(y, x, gate, scale, shift)
        x = self._product.add(y, x, gate)
        return x, fused_rows.norm_quantised(x, scale, shift)
