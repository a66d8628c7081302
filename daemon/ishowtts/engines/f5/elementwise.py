"""The elementwise steps between the products of the transformer: norms, gates, rotation and guidance.

`Elementwise` is the protocol that `dit` and `sampler` use, and `EagerElementwise` is its reference in plain PyTorch. On
CUDA a few fused kernels do the same (`cuda.fused_elementwise`), because such steps cost memory traffic there, not
arithmetic. Shapes as in `dit`: B segments, G = B or 2B branches, N frames, D width, H heads of 64.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-6


class Elementwise(Protocol):
    """The steps. Each takes and returns tensors of one type; fused steps compute in fp32."""

    def norm(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Layer norm of [G, N, D] with AdaLN's scale and shift, [D] each, as its affine part."""

    def gate_norm(
        self, x: Tensor, gate: Tensor, y: Tensor, scale: Tensor, shift: Tensor, *, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`x + gate * (y + bias)`, [G, N, D], and the `norm` of that. `x` may be overwritten with the first result.

        Args:
            bias: the bias [D] of the product that made `y`, if it was not added yet.
        """

    def rotate(self, qkv: Tensor, angles: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Rotate queries and keys by the angles of their positions (RoFormer, neighbours are pairs).

        Args:
            qkv: contiguous [G, N, 3, H, 64]. It may be overwritten.
            angles: cosines and sines, fp32 [N, 32, 2].
            bias: the bias [3 * H * 64] of the product that made `qkv`, if it was not added yet.

        Returns:
            Queries, keys and values, [G, H, N, 64] each, as views whose last dimension is contiguous.
        """

    def activate_first_conv(self, noisy: Tensor, condition: Tensor, keep: Tensor | None) -> Tensor:
        """The activation after the first positional convolution: `mish(noisy + condition)`.

        Args:
            noisy: the convolution of the noisy mel, [B, N, D]. Both branches share it.
            condition: the convolution of the condition, [G, N, D].
            keep: [G, N]. Frames outside it are zero in the result.
        """

    def activate_second_conv(self, conv: Tensor, noisy: Tensor, rows: Tensor) -> Tensor:
        """The activation after the second positional convolution, plus the input: `mish(conv) + noisy + rows`.

        Args:
            conv: the output of the second convolution, [G, N, D].
            noisy: the projection of the noisy mel, [B, N, D]. Both branches share it.
            rows: the projection of the condition, [G, N, D].
        """

    def advance(
        self, y: Tensor, flow: Tensor, dt: Tensor, difference: Tensor,
        *, strength: float, guided: bool, keep: Tensor | None,
    ) -> None:  # fmt: skip
        """Guide and do one step of Euler's method, in place: `y += dt * (cond + strength * difference)`.

        Args:
            y: the state, fp32 [B, N, 100]. Frames outside `keep` [B, N] do not change.
            flow: if `guided`, [2B, N, 100] holds the conditional flow, then the unconditional one. If not, [B, N, 100]
                holds the conditional flow.
            dt: fp32 scalar.
            difference: `cond - uncond`, fp32 [B, N, 100]. It is written if `guided`, else read if `strength` is not 0.
            strength: strength of the guidance; 0: no guidance.
        """


class EagerElementwise:
    """The steps as single PyTorch operators."""

    def norm(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """As the protocol says."""
        return F.layer_norm(x, x.shape[-1:], scale, shift, EPS)

    def gate_norm(
        self, x: Tensor, gate: Tensor, y: Tensor, scale: Tensor, shift: Tensor, *, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As the protocol says."""
        y = y if bias is None else y + bias
        x = torch.addcmul(x, gate, y)
        return x, self.norm(x, scale, shift)

    def rotate(self, qkv: Tensor, angles: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """As the protocol says. fp32 is rotated in place."""
        qkv = qkv if bias is None else qkv + bias.view(qkv.shape[2:])
        qk = qkv[:, :, :2]
        pairs = torch.view_as_complex(qk.float().view(*qk.shape[:-1], -1, 2))
        rotated = torch.view_as_real(pairs.mul_(torch.view_as_complex(angles)[:, None, None, :])).flatten(-2)
        q, k = rotated.to(qkv.dtype).permute(2, 0, 3, 1, 4).unbind()
        return q, k, qkv[:, :, 2].transpose(1, 2)

    def activate_first_conv(self, noisy: Tensor, condition: Tensor, keep: Tensor | None) -> Tensor:
        """As the protocol says."""
        x = F.mish(noisy.repeat(len(condition) // len(noisy), 1, 1) + condition)
        # `where`, not a product: zero times NaN is NaN.
        return x if keep is None else torch.where(keep[..., None], x, 0.0)

    def activate_second_conv(self, conv: Tensor, noisy: Tensor, rows: Tensor) -> Tensor:
        """As the protocol says."""
        return F.mish(conv) + noisy.repeat(len(rows) // len(noisy), 1, 1) + rows

    def advance(
        self, y: Tensor, flow: Tensor, dt: Tensor, difference: Tensor,
        *, strength: float, guided: bool, keep: Tensor | None,
    ) -> None:  # fmt: skip
        """As the protocol says."""
        cond = flow[: len(y)].float()
        if guided:
            torch.sub(cond, flow[len(y) :].float(), out=difference)
        if strength != 0:
            cond = cond + difference * strength
        y.copy_(y + dt * cond if keep is None else torch.where(keep[..., None], y + dt * cond, y))
