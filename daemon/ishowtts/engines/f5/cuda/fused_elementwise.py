"""`Elementwise` as six fused Triton kernels: each tensor is read once and written once.

A program processes one row, with 16 bytes per load. Widths are constants of a compiled kernel. The numbers of segments
and frames are not, so all buckets share one binary. Nothing waits for the device, so all of it can be captured in a
graph after each kernel has run once. The import raises ImportError if Triton is not installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ishowtts.engines.f5.elementwise import EPS

_HEAD = 64
_LONGEST_BLOCK = 1024
_PER_WARP = 256
_MOST_WARPS = 8


class TritonElementwise:
    """The steps of `elementwise.Elementwise`: fp16, bf16 or fp32 in and out, fp32 inside."""

    def norm(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """As the protocol says."""
        x = x.contiguous()
        out = torch.empty_like(x)
        width = x.shape[-1]
        block = triton.next_power_of_2(width)
        _norm[(x.numel() // width,)](x, scale, shift, out, width, block, EPS, num_warps=_warps(block))
        return out

    def gate_norm(self, x: Tensor, gate: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """As the protocol says. If `x` is contiguous, it is overwritten and is the first result."""
        x, y = x.contiguous(), y.contiguous()
        out = torch.empty_like(x)
        width = x.shape[-1]
        block = triton.next_power_of_2(width)
        rows = x.numel() // width
        _gate_norm[(rows,)](x, gate, y, scale, shift, out, width, block, EPS, num_warps=_warps(block))
        return x, out

    def rotate(self, qkv: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the protocol says. All three are views of `qkv`, in which queries and keys are rotated in place."""
        _in_place(qkv=qkv)
        branches, frames, _, heads, _ = qkv.shape
        rotated = 2 * heads * _HEAD
        block = min(_LONGEST_BLOCK, triton.next_power_of_2(rotated))
        grid = (branches * frames, triton.cdiv(rotated, block))
        _rotate[grid](qkv, angles.contiguous(), frames, rotated, block, num_warps=_warps(block))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        return q, k, v

    def activate_first_conv(self, noisy: Tensor, condition: Tensor, keep: Tensor | None) -> Tensor:
        """As the protocol says."""
        noisy, condition = noisy.contiguous(), condition.contiguous()
        out = torch.empty_like(condition)
        width = condition.shape[-1]
        block = triton.next_power_of_2(width)
        keep = keep if keep is None else keep.contiguous()
        _activate_first_conv[(condition.numel() // width,)](
            noisy, condition, keep, out, noisy.numel() // width, width, block, num_warps=_warps(block)
        )
        return out

    def activate_second_conv(self, conv: Tensor, noisy: Tensor, rows: Tensor) -> Tensor:
        """As the protocol says."""
        conv, noisy, rows = conv.contiguous(), noisy.contiguous(), rows.contiguous()
        out = torch.empty_like(rows)
        width = rows.shape[-1]
        block = triton.next_power_of_2(width)
        _activate_second_conv[(rows.numel() // width,)](
            conv, noisy, rows, out, noisy.numel() // width, width, block, num_warps=_warps(block)
        )
        return out

    def advance(
        self, y: Tensor, flow: Tensor, dt: Tensor, difference: Tensor,
        *, strength: float, guided: bool, keep: Tensor | None,
    ) -> None:  # fmt: skip
        """As the protocol says."""
        _in_place(y=y, difference=difference)
        mels = y.shape[-1]
        keep = keep if keep is None else keep.contiguous()
        _advance[(triton.cdiv(y.numel(), _LONGEST_BLOCK),)](
            y, flow.contiguous(), dt, difference, keep, float(strength), y.numel() // mels,
            guided, strength != 0, mels, _LONGEST_BLOCK,
        )  # fmt: skip


def _in_place(**tensors: Tensor) -> None:
    """Raise ValueError for a tensor that is not contiguous: a copy of it would be written."""
    for name, tensor in tensors.items():
        if not tensor.is_contiguous():
            raise ValueError(f"{name} is written in place and must be contiguous; its strides are {tensor.stride()}")


def _warps(block: int) -> int:
    """The number of warps for one load of 16 bytes per thread in half precision."""
    return max(1, min(_MOST_WARPS, block // _PER_WARP))


@triton.jit
def _norm(
    x: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    out: tl.tensor,
    width: tl.constexpr,
    block: tl.constexpr,
    eps: tl.constexpr,
) -> None:
    at = tl.arange(0, block)
    inside = at < width
    start = tl.program_id(0).to(tl.int64) * width
    values = tl.load(x + start + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + start + at, _normed(values, scale, shift, at, inside, width, eps), mask=inside)


@triton.jit
def _gate_norm(
    x: tl.tensor, gate: tl.tensor, y: tl.tensor, scale: tl.tensor, shift: tl.tensor, out: tl.tensor,
    width: tl.constexpr, block: tl.constexpr, eps: tl.constexpr,
) -> None:  # fmt: skip
    at = tl.arange(0, block)
    inside = at < width
    start = tl.program_id(0).to(tl.int64) * width
    values = tl.load(x + start + at, mask=inside, other=0.0).to(tl.float32)
    gates = tl.load(gate + at, mask=inside, other=0.0).to(tl.float32)
    values += gates * tl.load(y + start + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(x + start + at, values, mask=inside)
    tl.store(out + start + at, _normed(values, scale, shift, at, inside, width, eps), mask=inside)


@triton.jit
def _normed(
    values: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    at: tl.tensor,
    inside: tl.tensor,
    width: tl.constexpr,
    eps: tl.constexpr,
) -> tl.tensor:
    scales = tl.load(scale + at, mask=inside, other=0.0).to(tl.float32)
    shifts = tl.load(shift + at, mask=inside, other=0.0).to(tl.float32)
    centred = tl.where(inside, values - tl.sum(values, 0) / width, 0.0)
    variance = tl.sum(centred * centred, 0) / width
    return centred * tl.rsqrt(variance + eps) * scales + shifts


@triton.jit(do_not_specialize=["frames"])
def _rotate(qkv: tl.tensor, angles: tl.tensor, frames: tl.tensor, rotated: tl.constexpr, block: tl.constexpr) -> None:
    row = tl.program_id(0)
    at = tl.program_id(1) * block + tl.arange(0, block)
    inside = at < rotated
    places = qkv + row.to(tl.int64) * (rotated // 2 * 3) + at
    values = tl.load(places, mask=inside, other=0.0).to(tl.float32)
    first, second = tl.split(tl.reshape(values, (block // 2, 2)))
    cosine, sine = tl.split(tl.reshape(tl.load(angles + (row % frames) * 64 + at % 64), (block // 2, 2)))
    pairs = tl.join(first * cosine - second * sine, first * sine + second * cosine)
    tl.store(places, tl.reshape(pairs, (block,)), mask=inside)


@triton.jit
def _mish(x: tl.tensor) -> tl.tensor:
    # tanh(ln(1 + e^x)) is s / (s + 2) with s = e^x (e^x + 2). Above 20 it is 1, and s would overflow.
    e = tl.exp(tl.minimum(x, 20.0))
    s = e * (e + 2.0)
    return x * (s / (s + 2.0))


@triton.jit(do_not_specialize=["keep", "segments"])
def _activate_first_conv(
    noisy: tl.tensor,
    condition: tl.tensor,
    keep: tl.tensor,
    out: tl.tensor,
    segments: tl.tensor,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    inside = at < width
    wanted = inside
    if keep is not None:
        wanted = inside & (tl.load(keep + row) != 0)
    values = tl.load(noisy + (row % segments) * width + at, mask=wanted, other=0.0).to(tl.float32)
    values += tl.load(condition + row * width + at, mask=wanted, other=0.0).to(tl.float32)
    tl.store(out + row * width + at, _mish(values), mask=inside)


@triton.jit(do_not_specialize=["segments"])
def _activate_second_conv(
    conv: tl.tensor,
    noisy: tl.tensor,
    rows: tl.tensor,
    out: tl.tensor,
    segments: tl.tensor,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    inside = at < width
    values = _mish(tl.load(conv + row * width + at, mask=inside, other=0.0).to(tl.float32))
    values += tl.load(noisy + (row % segments) * width + at, mask=inside, other=0.0).to(tl.float32)
    values += tl.load(rows + row * width + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + at, values, mask=inside)


@triton.jit(do_not_specialize=["dt", "keep", "segments"])
def _advance(
    y: tl.tensor, flow: tl.tensor, dt: tl.tensor, difference: tl.tensor, keep: tl.tensor,
    strength: tl.tensor, segments: tl.tensor,
    guided: tl.constexpr, steered: tl.constexpr, mels: tl.constexpr, block: tl.constexpr,
) -> None:  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    count = segments.to(tl.int64) * mels
    inside = at < count
    cond = tl.load(flow + at, mask=inside, other=0.0).to(tl.float32)
    if guided:
        apart = cond - tl.load(flow + count + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(difference + at, apart, mask=inside)
        if steered:
            cond += apart * strength
    elif steered:
        cond += tl.load(difference + at, mask=inside, other=0.0) * strength
    before = tl.load(y + at, mask=inside, other=0.0)
    after = before + tl.load(dt) * cond
    if keep is not None:
        after = tl.where(tl.load(keep + at // mels, mask=inside, other=0) != 0, after, before)
    tl.store(y + at, after, mask=inside)
