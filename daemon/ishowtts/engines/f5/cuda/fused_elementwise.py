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

from ishowtts.engines.f5.architecture import HEAD
from ishowtts.engines.f5.elementwise import EPS

_LONGEST_BLOCK = 1024
_PER_WARP = 256
_MOST_WARPS = 8


class TritonElementwise:
    """The steps of `elementwise.Elementwise`: fp16, bf16 or fp32 in and out, fp32 inside.

    A norm needs sums over a row. One warp a row needs no exchange between warps, and several rows a program read the
    weights of the norm once. Which is fastest depends on the GPU: the default and `tiles.NORM_VARIANTS` are measured.

    Args:
        warps: number of warps of a program of `norm` and `gate_norm`; `None`: one load of 16 bytes per thread and row.
        rows: number of rows that such a program processes, a power of two.
    """

    def __init__(self, warps: int | None = None, rows: int = 1) -> None:
        self._norm_warps, self._norm_rows = warps, rows

    def norm(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """As the protocol says."""
        x = x.contiguous()
        out = torch.empty_like(x)
        width = x.shape[-1]
        rows, block = x.numel() // width, triton.next_power_of_2(width)
        _norm[(triton.cdiv(rows, self._norm_rows),)](
            x, scale, shift, out, rows, width, block, self._norm_rows, EPS,
            num_warps=self._norm_warps or row_warps(block),
        )  # fmt: skip
        return out

    def gate_norm(
        self, x: Tensor, gate: Tensor, y: Tensor, scale: Tensor, shift: Tensor, *, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As the protocol says. If `x` is contiguous, it is overwritten and is the first result."""
        x, y = x.contiguous(), y.contiguous()
        out = torch.empty_like(x)
        width = x.shape[-1]
        rows, block = x.numel() // width, triton.next_power_of_2(width)
        _gate_norm[(triton.cdiv(rows, self._norm_rows),)](
            x, gate, y, bias, scale, shift, out, rows, width, block, self._norm_rows, EPS,
            num_warps=self._norm_warps or row_warps(block),
        )  # fmt: skip
        return x, out

    def rotate(self, qkv: Tensor, angles: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """As the protocol says. All three are views of `qkv`, in which queries and keys are rotated in place."""
        _in_place(qkv=qkv)
        branches, frames, _, heads, _ = qkv.shape
        row = 3 * heads * HEAD
        rotated = row // 3 * 2
        written = rotated if bias is None else row
        block = min(_LONGEST_BLOCK, triton.next_power_of_2(written))
        grid = (branches * frames, triton.cdiv(written, block))
        _rotate[grid](qkv, angles.contiguous(), bias, frames, row, rotated, written, block, num_warps=row_warps(block))
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
            noisy, condition, keep, out, noisy.numel() // width, width, block, num_warps=row_warps(block)
        )
        return out

    def activate_second_conv(self, conv: Tensor, noisy: Tensor, rows: Tensor) -> Tensor:
        """As the protocol says."""
        conv, noisy, rows = conv.contiguous(), noisy.contiguous(), rows.contiguous()
        out = torch.empty_like(rows)
        width = rows.shape[-1]
        block = triton.next_power_of_2(width)
        _activate_second_conv[(rows.numel() // width,)](
            conv, noisy, rows, out, noisy.numel() // width, width, block, num_warps=row_warps(block)
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


def row_warps(block: int) -> int:
    """The number of warps for one load of 16 bytes per thread in half precision."""
    return max(1, min(_MOST_WARPS, block // _PER_WARP))


@triton.jit(do_not_specialize=["rows"])
def _norm(
    x: tl.tensor, scale: tl.tensor, shift: tl.tensor, out: tl.tensor, rows: tl.tensor,
    width: tl.constexpr, block: tl.constexpr, rows_per_program: tl.constexpr, eps: tl.constexpr,
) -> None:  # fmt: skip
    row = tl.program_id(0) * rows_per_program + tl.arange(0, rows_per_program)
    at = tl.arange(0, block)
    inside = at < width
    mask = (row < rows)[:, None] & inside[None, :]
    places = row.to(tl.int64)[:, None] * width + at[None, :]
    values = tl.load(x + places, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + places, normed(values, scale, shift, at, inside, width, eps), mask=mask)


@triton.jit(do_not_specialize=["rows"])
def _gate_norm(
    x: tl.tensor, gate: tl.tensor, y: tl.tensor, bias: tl.tensor, scale: tl.tensor, shift: tl.tensor, out: tl.tensor,
    rows: tl.tensor, width: tl.constexpr, block: tl.constexpr, rows_per_program: tl.constexpr, eps: tl.constexpr,
) -> None:  # fmt: skip
    row = tl.program_id(0) * rows_per_program + tl.arange(0, rows_per_program)
    at = tl.arange(0, block)
    inside = at < width
    mask = (row < rows)[:, None] & inside[None, :]
    places = row.to(tl.int64)[:, None] * width + at[None, :]
    values = tl.load(x + places, mask=mask, other=0.0).to(tl.float32)
    added = tl.load(y + places, mask=mask, other=0.0).to(tl.float32)
    if bias is not None:
        added += tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)[None, :]
    values += tl.load(gate + at, mask=inside, other=0.0).to(tl.float32)[None, :] * added
    tl.store(x + places, values, mask=mask)
    tl.store(out + places, normed(values, scale, shift, at, inside, width, eps), mask=mask)


@triton.jit
def normed(
    values: tl.tensor, scale: tl.tensor, shift: tl.tensor, at: tl.tensor, inside: tl.tensor,
    width: tl.constexpr, eps: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """The layer norm of rows, [rows, block]; only the columns `inside` count."""
    scales = tl.load(scale + at, mask=inside, other=0.0).to(tl.float32)[None, :]
    shifts = tl.load(shift + at, mask=inside, other=0.0).to(tl.float32)[None, :]
    centred = tl.where(inside[None, :], values - (tl.sum(values, 1) / width)[:, None], 0.0)
    variance = tl.sum(centred * centred, 1) / width
    return centred * tl.rsqrt(variance + eps)[:, None] * scales + shifts


@triton.jit(do_not_specialize=["frames"])
def _rotate(
    qkv: tl.tensor, angles: tl.tensor, bias: tl.tensor, frames: tl.tensor,
    width: tl.constexpr, rotated: tl.constexpr, written: tl.constexpr, block: tl.constexpr,
) -> None:  # fmt: skip
    row = tl.program_id(0)
    at = tl.program_id(1) * block + tl.arange(0, block)
    inside = at < written
    places = qkv + row.to(tl.int64) * width + at
    values = tl.load(places, mask=inside, other=0.0).to(tl.float32)
    if bias is not None:
        values += tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
    first, second = tl.split(tl.reshape(values, (block // 2, 2)))
    cosine, sine = tl.split(tl.reshape(tl.load(angles + (row % frames) * 64 + at % 64), (block // 2, 2)))
    pairs = tl.reshape(tl.join(first * cosine - second * sine, first * sine + second * cosine), (block,))
    tl.store(places, tl.where(at < rotated, pairs, values), mask=inside)


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
