"""The steps of a transformer block: each is a product with what follows it.

A block has four products. `dit` says in which order they run. A step says how one is computed: as a product and single
kernels after it (`SeparateQkv`, `SeparateResidual`), or as one kernel with an epilogue (`cuda.fused_products`).
`block_kernels` makes them by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import HEAD
from ishowtts.engines.f5.elementwise import Elementwise


@dataclass(frozen=True)
class QuantisedRows:
    """Activations in eight bits.

    Attributes:
        values: int8 [G, N, D].
        scales: fp32 [G * N]: an activation is its value times the scale of its row. A row with a NaN has the scale NaN.
        dtype: type of the activations that they stand for.
    """

    values: Tensor
    scales: Tensor
    dtype: torch.dtype

    def restored(self) -> Tensor:
        """The activations that they stand for, [G, N, D] of `dtype`."""
        scales = self.scales.view(*self.values.shape[:-1], 1)
        return (self.values.float() * scales).to(self.dtype)


Activations: TypeAlias = Tensor | QuantisedRows
"""The input of a product, [G, N, D]. Only products of eight bits take quantised rows."""


class Linear(Protocol):
    """Computes `x @ weight.T + bias`, [..., inputs] to [..., outputs], then GELU (tanh) if it was made with GELU."""

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""


class UpStep(Protocol):
    """The first product of the feed-forward layer, and GELU (tanh): [G, N, D] to [G, N, F]."""

    def __call__(self, z: Activations) -> Tensor:
        """Apply it."""


class QkvStep(Protocol):
    """The product of queries, keys and values, and the rotation of queries and keys."""

    def __call__(self, z: Activations, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Apply it.

        Args:
            z: [G, N, D].
            angles: cosines and sines of the positions, fp32 [N, 32, 2].

        Returns:
            Queries, keys and values, [G, H, N, 64] each, as views whose last dimension is contiguous.
        """


class ResidualStep(Protocol):
    """A product that is added to the residual stream, and the norm of the sum."""

    def __call__(self, y: Tensor, x: Tensor, gate: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Activations]:
        """Compute `x + gate * product(y)`, and the layer norm of that with `scale` and `shift` as its affine part.

        Args:
            y: the input of the product, [G, N, inputs].
            x: the residual stream, [G, N, D]. It may be overwritten with the first result.
            gate, scale, shift: [D] each.
        """


@dataclass(frozen=True)
class SeparateQkv:
    """A product, then the rotation.

    Attributes:
        rotated_heads: number of heads whose queries and keys know their positions; `None`: all of them.
        bias: [3 * H * 64], added with the rotation; `None`: the product has added it.
    """

    linear: Linear
    elementwise: Elementwise
    heads: int
    rotated_heads: int | None = None
    bias: Tensor | None = None

    def __call__(self, z: Activations, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the protocol says."""
        qkv = self.linear(plain(z))
        return self.rotate(qkv.view(*qkv.shape[:2], 3, self.heads, HEAD), angles)

    def rotate(self, qkv: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotate queries and keys, [G, N, 3, H, 64] to three times [G, H, N, 64]. `qkv` may be overwritten."""
        count = self.rotated_heads
        if count is None or count >= self.heads:
            return self.elementwise.rotate(qkv, angles, self.bias)
        if self.bias is not None:
            qkv = qkv + self.bias.view(3, self.heads, HEAD)
        if count > 0:
            # The kernels rotate all heads of a contiguous tensor, so the heads are copied out and back.
            q, k, _ = self.elementwise.rotate(qkv[:, :, :, :count].contiguous(), angles)
            qkv[:, :, 0, :count] = q.transpose(1, 2)
            qkv[:, :, 1, :count] = k.transpose(1, 2)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        return q, k, v


@dataclass(frozen=True)
class SeparateUp:
    """A product with GELU."""

    linear: Linear

    def __call__(self, z: Activations) -> Tensor:
        """As the protocol says."""
        return self.linear(plain(z))


@dataclass(frozen=True)
class SeparateResidual:
    """A product, then gate, residual and norm.

    Attributes:
        bias: [D], added with the gate; `None`: the product has added it.
    """

    linear: Linear
    elementwise: Elementwise
    bias: Tensor | None = None

    def __call__(self, y: Tensor, x: Tensor, gate: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Activations]:
        """As the protocol says."""
        return self.elementwise.gate_norm(x, gate, self.linear(y), scale, shift, bias=self.bias)


def plain(z: Activations) -> Tensor:
    """Activations that are not quantised, unchanged. Raises TypeError for quantised rows."""
    if isinstance(z, QuantisedRows):
        raise TypeError("this product takes no quantised rows")
    return z
