"""Attention implementations for the machines that run the model. All ignore padding frames exactly.

Kernels that take the boundaries of sequences (`flash-sequences`, `cudnn-sequences`) get twice as many sequences as
items: the real frames of each item, then its padding frames. So real frames see exactly the real ones, without a mask,
and padding sees padding. `flash` and our own kernel (`cuda.fused_attention`) read the number of keys on the device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ishowtts.engines.f5.cuda.tiles import ATTENTION_TILES, AttentionTile
from ishowtts.engines.f5.lengths import Lengths

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
    """FlashAttention-2 with the number of keys on the device: it needs no mask, and padding keys cost nothing.

    PyTorch's own attention uses the same operator, but takes no lengths. Half precision on CUDA only.
    """
    if lengths is None:
        return _dense(SDPBackend.FLASH_ATTENTION, q, k, v)
    frames = q.shape[2]
    out: Tensor = torch.ops.aten._flash_attention_forward(
        *_rows(q, k, v), lengths.starts, lengths.starts, frames, frames, 0.0, False, False, seqused_k=lengths.counts
    )[0]
    return out.reshape(len(q), frames, -1)


def flash_sequences(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """FlashAttention-2 by sequences: padding queries see the padding keys, so they cost less than in `flash`.

    If another FlashAttention is active in PyTorch (`torch.nn.attention.activate_flash_attention_impl`), it runs here.
    """
    if lengths is None:
        return _dense(SDPBackend.FLASH_ATTENTION, q, k, v)
    frames, ends = q.shape[2], lengths.sequences
    out: Tensor = torch.ops.aten._flash_attention_forward(
        *_rows(q, k, v), ends, ends, frames, frames, 0.0, False, False
    )[0]
    return out.reshape(len(q), frames, -1)


def cudnn_sequences(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """cuDNN's attention by sequences, which recent versions of PyTorch have."""
    if lengths is None:
        return _dense(SDPBackend.CUDNN_ATTENTION, q, k, v)
    frames, ends = q.shape[2], lengths.sequences
    # By keyword: a version whose operator has other arguments is refused, and not called with wrong ones.
    out: Tensor = torch.ops.aten._cudnn_attention_forward(
        *_rows(q, k, v), attn_bias=None, cum_seq_q=ends, cum_seq_k=ends, max_q=frames, max_k=frames,
        compute_log_sumexp=False, dropout_p=0.0, is_causal=False, return_debug_mask=False,
    )[0]  # fmt: skip
    return out.reshape(len(q), frames, -1)


def cudnn_mask(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """cuDNN's attention, with a mask."""
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        return fused(q, k, v, lengths)


def efficient(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """CUDA's memory-efficient attention, with a mask."""
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        return fused(q, k, v, lengths)


def unfused(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """Products and a softmax, with all intermediate tensors in memory: works on every device, and is slow."""
    with sdpa_kernel(SDPBackend.MATH):
        return fused(q, k, v, lengths)


def _dense(backend: SDPBackend, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with sdpa_kernel(backend):
        return fused(q, k, v, None)


def _rows(*parts: Tensor) -> list[Tensor]:
    """Each of them as the rows of all items, [batch * frames, heads, 64]. Views of a buffer of qkv are not copied."""
    return [part.transpose(1, 2).flatten(0, 1) for part in parts]


def _triton(tile: AttentionTile) -> Attention:
    # Imported at the first call: Triton is not installed everywhere, and its import takes a second.
    def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
        from ishowtts.engines.f5.cuda import fused_attention

        return fused_attention.attend(q, k, v, lengths, tile)

    return attend


TRITON_ATTENTIONS: dict[str, Attention] = {f"triton-{tile.name}": _triton(tile) for tile in ATTENTION_TILES}
"""Our own kernel with tiles of so many queries and keys."""

ATTENTIONS: dict[str, Attention] = {
    "fused": fused, "explicit": explicit, "flash": flash, "flash-sequences": flash_sequences,
    "cudnn-sequences": cudnn_sequences, "cudnn-mask": cudnn_mask, "efficient": efficient, "math": unfused,
} | TRITON_ATTENTIONS  # fmt: skip
