"""What lies between the products of the transformer: norms, gates, angles, guidance. The reference, in plain torch.

`Elementwise` is what `dit` and `sampler` ask for; on CUDA a few fused kernels do it (`cuda.elementwise`), since there
it is traffic, not arithmetic, that such steps cost. Shapes as in `dit`: B lines, G = B or 2B branches, N frames, D
width, H heads of 64.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-6


class Elementwise(Protocol):
    """Each takes and gives tensors of one type, and computes in fp32 where it is fused."""

    def norm(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Layer norm of [G, N, D] with AdaLN's scale and shift, [D] each, as its affine part."""

    def gate_norm(self, x: Tensor, gate: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """`x + gate * y`, [G, N, D], and the `norm` of that. `x` may be overwritten with the first of them."""

    def rotate(self, qkv: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys turned by their positions' angles (RoFormer, neighbours are pairs), and values.

        Args:
            qkv: contiguous [G, N, 3, H, 64]; may be overwritten.
            angles: cosines and sines, fp32 [N, 32, 2].

        Returns:
            [G, H, N, 64] each, as views with the last dimension contiguous.
        """

    def first_embedding(self, noisy: Tensor, given: Tensor, keep: Tensor | None) -> Tensor:
        """`mish(noisy + given)`: [B, N, D], repeated for both branches, and [G, N, D]; zero where not `keep` [G, N]."""

    def second_embedding(self, conv: Tensor, noisy: Tensor, rows: Tensor) -> Tensor:
        """`mish(conv) + noisy + rows`: [G, N, D], [B, N, D] repeated for both branches, [G, N, D]."""

    def advance(
        self, y: Tensor, flow: Tensor, dt: Tensor, difference: Tensor,
        *, strength: float, guided: bool, keep: Tensor | None,
    ) -> None:  # fmt: skip
        """One step of Euler's method in place: `y += dt * (said + strength * difference)`.

        Args:
            y: the state, fp32 [B, N, 100]; what is not `keep` [B, N] stays as it is.
            flow: [2B, N, 100] where `guided`, said before unsaid; else [B, N, 100]: `said` alone.
            dt: fp32 scalar.
            difference: `said - unsaid`, fp32 [B, N, 100]: written where `guided`, else read where there is a strength.
            strength: of the guidance; 0: none.
        """


class EagerElementwise:
    """One torch operator after another."""

    def norm(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """As the protocol says."""
        return F.layer_norm(x, x.shape[-1:], scale, shift, EPS)

    def gate_norm(self, x: Tensor, gate: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """As the protocol says."""
        x = torch.addcmul(x, gate, y)
        return x, self.norm(x, scale, shift)

    def rotate(self, qkv: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the protocol says. fp32 is turned in place."""
        qk = qkv[:, :, :2]
        pairs = torch.view_as_complex(qk.float().view(*qk.shape[:-1], -1, 2))
        turned = torch.view_as_real(pairs.mul_(torch.view_as_complex(angles)[:, None, None, :])).flatten(-2)
        q, k = turned.to(qkv.dtype).permute(2, 0, 3, 1, 4).unbind()
        return q, k, qkv[:, :, 2].transpose(1, 2)

    def first_embedding(self, noisy: Tensor, given: Tensor, keep: Tensor | None) -> Tensor:
        """As the protocol says."""
        x = F.mish(noisy.repeat(len(given) // len(noisy), 1, 1) + given)
        # `where`, not a product: zero times what is no number is no number.
        return x if keep is None else torch.where(keep[..., None], x, 0.0)

    def second_embedding(self, conv: Tensor, noisy: Tensor, rows: Tensor) -> Tensor:
        """As the protocol says."""
        return F.mish(conv) + noisy.repeat(len(rows) // len(noisy), 1, 1) + rows

    def advance(
        self, y: Tensor, flow: Tensor, dt: Tensor, difference: Tensor,
        *, strength: float, guided: bool, keep: Tensor | None,
    ) -> None:  # fmt: skip
        """As the protocol says."""
        said = flow[: len(y)].float()
        if guided:
            torch.sub(said, flow[len(y) :].float(), out=difference)
        if strength != 0:
            said = said + difference * strength
        y.copy_(y + dt * said if keep is None else torch.where(keep[..., None], y + dt * said, y))
