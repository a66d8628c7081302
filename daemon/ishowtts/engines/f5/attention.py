"""Attention implementations, one per kind of machine. All ignore padding frames exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


@dataclass(frozen=True)
class Lengths:
    """The number of real frames of each item of a padded batch.

    Attributes:
        frames: the number for each item; `None` if only the device knows it, as in a graph that serves many segments.
        keep: whether each frame is real, bool [batch, longest].
        counts: the same numbers as `frames`, int32 [batch] on the device.
        starts: the first row of each item in the whole batch, and the end, int32 [batch + 1] on the device.
    """

    frames: tuple[int, ...] | None
    keep: Tensor
    counts: Tensor
    starts: Tensor

    @classmethod
    def of(cls, frames: tuple[int, ...], padded: int, device: torch.device) -> Lengths:
        """The lengths of a batch that is padded to `padded` frames."""
        counts = torch.tensor(frames, dtype=torch.int32, device=device)
        keep = torch.arange(padded, device=device) < counts.unsqueeze(1)
        starts = torch.arange(0, (len(frames) + 1) * padded, padded, dtype=torch.int32, device=device)
        return cls(frames, keep, counts, starts)

    def first(self, count: int) -> Lengths:
        """The lengths of the first `count` items."""
        frames = None if self.frames is None else self.frames[:count]
        return Lengths(frames, self.keep[:count], self.counts[:count], self.starts[: count + 1])


Attention = Callable[[Tensor, Tensor, Tensor, Lengths | None], Tensor]
"""Queries, keys and values, [batch, heads, frames, 64] each, to [batch, frames, heads * 64]."""


def fused(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """PyTorch's attention, in the implementation that PyTorch chooses."""
    mask = None if lengths is None else lengths.keep[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


def explicit(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """Two products and a softmax for each head, which stays in the cache: for bf16 products on CPUs."""
    batch, heads, frames, width = q.shape
    if lengths is not None and lengths.frames is None:
        raise ValueError("this attention needs lengths on the host")
    out = q.new_zeros(batch, frames, heads, width)
    scaled = q * width**-0.5
    for b in range(batch):
        count = frames if lengths is None or lengths.frames is None else lengths.frames[b]
        for h in range(heads):
            weights = torch.softmax(torch.mm(scaled[b, h, :count], k[b, h, :count].t()), -1)
            out[b, :count, h] = torch.mm(weights, v[b, h, :count])
    return out.flatten(2)


def flash(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """FlashAttention-2 with the number of keys on the device: it needs no mask, and padding costs nothing.

    PyTorch's own attention uses the same operator, but takes no lengths. Half precision on CUDA only.
    """
    if lengths is None:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    batch, _, frames, _ = q.shape
    rows = [part.transpose(1, 2).flatten(0, 1) for part in (q, k, v)]
    out: Tensor = torch.ops.aten._flash_attention_forward(
        *rows, lengths.starts, lengths.starts, frames, frames, 0.0, False, False, seqused_k=lengths.counts
    )[0]
    return out.reshape(batch, frames, -1)


def efficient(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """CUDA's memory-efficient attention, with a mask."""
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        return fused(q, k, v, lengths)


def unfused(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """Products and a softmax, with all intermediate tensors in memory: works on every device, and is slow."""
    with sdpa_kernel(SDPBackend.MATH):
        return fused(q, k, v, lengths)


ATTENTIONS: dict[str, Attention] = {
    "fused": fused, "explicit": explicit, "flash": flash, "efficient": efficient, "math": unfused,
}  # fmt: skip
