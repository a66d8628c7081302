"""Bidirectional flash attention as a Triton kernel: 64 values in a head, and a number of keys for each item.

A program attends from one tile of queries of one head. It goes over the keys tile by tile with an online softmax in
fp32 (Dao et al. 2022), in powers of two. The number of keys is read on the device, and only the last tile of keys has a
mask. One binary of each tile serves all numbers of items and frames. The import raises ImportError if Triton is not
installed.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from ishowtts.engines.f5.architecture import HEAD
from ishowtts.engines.f5.cuda.tiles import AttentionTile
from ishowtts.engines.f5.lengths import Lengths

_SCALE = HEAD**-0.5 / math.log(2)  # of the scores, for powers of two in place of those of e


def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None, tile: AttentionTile) -> Tensor:
    """Attention as `attention.Attention` says, in fp16 or bf16. Tiles that hold only padding queries become zero.

    Raises:
        ValueError: the last dimension is not contiguous or not 64 wide, or the type is another one.
    """
    batch, heads, frames, width = q.shape
    if width != HEAD or any(part.stride(-1) != 1 for part in (q, k, v)):
        raise ValueError(f"this attention needs contiguous heads of {HEAD}, not {width}")
    if q.dtype not in (torch.float16, torch.bfloat16):
        raise ValueError(f"this attention needs half precision, not {q.dtype}")
    counts = torch.full((batch,), frames, dtype=torch.int32, device=q.device) if lengths is None else lengths.counts
    out = torch.empty(batch, frames, heads * HEAD, dtype=q.dtype, device=q.device)
    _flash_attention[(triton.cdiv(frames, tile.queries), batch * heads)](
        q, k, v, out, counts, frames, heads, *q.stride()[:3], *k.stride()[:3], *v.stride()[:3],
        _SCALE, HEAD, tile.queries, tile.keys, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return out


@triton.jit(do_not_specialize=["frames", "heads"])
def _flash_attention(
    q: tl.tensor, k: tl.tensor, v: tl.tensor, out: tl.tensor, counts: tl.tensor, frames: tl.tensor, heads: tl.tensor,
    q_item: tl.tensor, q_head: tl.tensor, q_row: tl.tensor,
    k_item: tl.tensor, k_head: tl.tensor, k_row: tl.tensor,
    v_item: tl.tensor, v_head: tl.tensor, v_row: tl.tensor,
    scale: tl.constexpr, width: tl.constexpr, tile_queries: tl.constexpr, tile_keys: tl.constexpr,
) -> None:  # fmt: skip
    item = (tl.program_id(1) // heads).to(tl.int64)
    head = tl.program_id(1) % heads
    first = tl.program_id(0) * tile_queries
    rows = first + tl.arange(0, tile_queries)
    at = tl.arange(0, width)
    count = tl.load(counts + item)
    queries = tl.load(
        q + item * q_item + head * q_head + rows[:, None] * q_row + at[None, :],
        mask=(rows < count)[:, None], other=0.0,
    )  # fmt: skip
    keys = k + item * k_item + head * k_head + at[None, :]
    values = v + item * v_item + head * v_head + at[None, :]
    sums = tl.zeros((tile_queries, width), tl.float32)
    largest = tl.full((tile_queries,), float("-inf"), tl.float32)
    total = tl.zeros((tile_queries,), tl.float32)
    end = tl.where(first < count, count, 0)  # a tile of padding queries has nothing to do
    whole = end // tile_keys * tile_keys
    for start in range(0, whole, tile_keys):
        sums, largest, total = _add_keys(
            queries, keys, values, k_row, v_row, start, end, sums, largest, total, scale, tile_keys, False
        )
    if whole < end:
        sums, largest, total = _add_keys(
            queries, keys, values, k_row, v_row, whole, end, sums, largest, total, scale, tile_keys, True
        )
    # The largest score adds one to the total, so only a tile without keys has less.
    sums /= tl.maximum(total, 1.0)[:, None]
    place = out + item * frames * heads * width + head * width + rows[:, None] * (heads * width) + at[None, :]
    tl.store(place, sums, mask=(rows < frames)[:, None])


@triton.jit
def _add_keys(
    queries: tl.tensor, keys: tl.tensor, values: tl.tensor, k_row: tl.tensor, v_row: tl.tensor,
    start: tl.tensor, end: tl.tensor, sums: tl.tensor, largest: tl.tensor, total: tl.tensor,
    scale: tl.constexpr, tile_keys: tl.constexpr, last: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:  # fmt: skip
    """Adds the values of one tile of keys, weighted, to the sums. `last`: keys from `end` on do not exist."""
    columns = start + tl.arange(0, tile_keys)
    if last:
        # Values there may be NaN, and zero times NaN is NaN.
        there = (columns < end)[:, None]
        tile = tl.load(keys + columns[:, None] * k_row, mask=there, other=0.0)
        weighted = tl.load(values + columns[:, None] * v_row, mask=there, other=0.0)
    else:
        tile = tl.load(keys + columns[:, None] * k_row)
        weighted = tl.load(values + columns[:, None] * v_row)
    scores = tl.dot(queries, tl.trans(tile))
    if last:
        scores = tl.where((columns < end)[None, :], scores, float("-inf"))
    larger = tl.maximum(largest, tl.max(scores, 1))
    weights = tl.exp2(scores * scale - (larger * scale)[:, None])
    fade = tl.exp2((largest - larger) * scale)
    sums = tl.dot(weights.to(weighted.dtype), weighted, sums * fade[:, None])
    return sums, larger, total * fade + tl.sum(weights, 1)
