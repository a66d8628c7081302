"""Attention in the ways that machines have: exact under padding, each without a word of what stands behind a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


@dataclass(frozen=True)
class Lengths:
    """Frames of each item of a padded batch that are real.

    Attributes:
        frames: of each; `None` where only the device knows, as in a captured graph that serves many lines.
        keep: bool [batch, longest].
        counts: the same as `frames`, int32 [batch] on the device.
        starts: where each item begins, and the end, in rows of the whole batch: int32 [batch + 1] on the device.
    """

    frames: tuple[int, ...] | None
    keep: Tensor
    counts: Tensor
    starts: Tensor

    @classmethod
    def of(cls, frames: tuple[int, ...], padded: int, device: torch.device) -> Lengths:
        """Of a batch that is padded to so many frames."""
        counts = torch.tensor(frames, dtype=torch.int32, device=device)
        keep = torch.arange(padded, device=device) < counts.unsqueeze(1)
        starts = torch.arange(0, (len(frames) + 1) * padded, padded, dtype=torch.int32, device=device)
        return cls(frames, keep, counts, starts)

    def first(self, count: int) -> Lengths:
        """Of the first `count` items."""
        frames = None if self.frames is None else self.frames[:count]
        return Lengths(frames, self.keep[:count], self.counts[:count], self.starts[: count + 1])


Attention = Callable[[Tensor, Tensor, Tensor, Lengths | None], Tensor]
"""Queries, keys, values, [batch, heads, frames, 64] each, to [batch, frames, heads * 64]; padding is never seen."""


def fused(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """Torch's own, whichever it takes."""
    mask = None if lengths is None else lengths.keep[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


def explicit(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """Two products and a softmax, head by head while it is in the cache: for bf16 products on CPUs."""
    batch, heads, frames, width = q.shape
    if lengths is not None and lengths.frames is None:
        raise ValueError("this attention needs lengths that the processor knows")
    out = q.new_zeros(batch, frames, heads, width)
    scaled = q * width**-0.5
    for b in range(batch):
        count = frames if lengths is None or lengths.frames is None else lengths.frames[b]
        for h in range(heads):
            weights = torch.softmax(torch.mm(scaled[b, h, :count], k[b, h, :count].t()), -1)
            out[b, :count, h] = torch.mm(weights, v[b, h, :count])
    return out.flatten(2)


def flash(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """FlashAttention-2 with the number of keys on the device: no mask, and what is padded costs nothing.

    The operator is the one behind torch's own attention; that takes no lengths. Half precision, CUDA.
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
    """The memory-efficient one of CUDA, which takes a mask."""
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        return fused(q, k, v, lengths)


def unfused(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """Products and a softmax with everything between them in memory: works anywhere, and is slow."""
    with sdpa_kernel(SDPBackend.MATH):
        return fused(q, k, v, lengths)


ATTENTIONS: dict[str, Attention] = {
    "fused": fused, "explicit": explicit, "flash": flash, "efficient": efficient, "math": unfused,
}  # fmt: skip
