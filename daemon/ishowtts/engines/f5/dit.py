"""The diffusion transformer of F5-TTS (section 3.1), as functions of weights: mathematics alone.

Shapes: B lines in a batch, G = B or 2B branches (guided ones first, then those without text and voice), N frames,
D width, H heads of 64. The residual stream is of the weights' type; what the caller prepares once a line is fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.kernels import Attention, Conv, Lengths, Linear

_HEAD = 64
_EPS = 1e-6


@dataclass(frozen=True)
class Block:
    """One transformer block: its four products."""

    qkv: Linear
    out: Linear
    up: Linear
    down: Linear


@dataclass(frozen=True)
class Dit:
    """Weights of the step loop.

    Attributes:
        from_mel, from_voice, from_text: the input projection [D, 100 | 100 | text_dim], cut by what it reads.
        bias: of the input projection.
        convs: kernel and bias of both positional convolutions.
        blocks: the transformer.
        to_mel: weight [100, D] and bias of the output projection.
        dtype: of the activations.
    """

    from_mel: Tensor
    from_voice: Tensor
    from_text: Tensor
    bias: Tensor
    convs: tuple[tuple[Conv, Tensor], tuple[Conv, Tensor]]
    blocks: tuple[Block, ...]
    to_mel: tuple[Tensor, Tensor]
    attention: Attention
    heads: int
    dtype: torch.dtype


@dataclass(frozen=True)
class Modulation:
    """AdaLN at one time (DiT, section 3.2): what scales, shifts and gates.

    Attributes:
        blocks: [depth, 6, D]: shift, 1 + scale, gate of the attention; the same of the feed-forward.
        final: [2, D]: 1 + scale, shift.
    """

    blocks: Tensor
    final: Tensor


@dataclass(frozen=True)
class Condition:
    """What a batch of lines holds fixed through all evaluations.

    Attributes:
        rows: [2B, N, D]: voice, text and bias through the input projection; zero where padded.
        first_conv: [2B, N, D]: those rows through the first positional convolution, with its bias.
        angles: rotary angles (RoFormer) as unit complex numbers, [N, 32], fp32.
        lengths: of each branch; `None` where nothing is padded.
    """

    rows: Tensor
    first_conv: Tensor
    angles: Tensor
    lengths: Lengths | None

    def branches(self, count: int) -> Condition:
        """The first `count` branches alone."""
        if count == len(self.rows):
            return self
        lengths = self.lengths and Lengths(self.lengths.frames[:count], self.lengths.keep[:count])
        return Condition(self.rows[:count], self.first_conv[:count], self.angles, lengths)


def condition(dit: Dit, voices: Sequence[Tensor], texts: Sequence[tuple[Tensor, Tensor]], frames: Sequence[int],
              padded: int) -> Condition:  # fmt: skip
    """Project what does not change while a batch is spoken.

    Args:
        voices: log mel of each line's reference, fp32 [reference frames, 100].
        texts: rows of each line's text encoder, conditional and unconditional, fp32 [up to `frames`, text_dim].
        frames: length of each line, its reference included.
        padded: N, at least the longest of them.
    """
    rows = dit.bias.new_zeros(2 * len(frames), padded, len(dit.bias))
    for i, (voice, (said, unsaid), count) in enumerate(zip(voices, texts, frames, strict=True)):
        rows[i, : len(voice)] += F.linear(voice, dit.from_voice)
        for branch, text in ((i, said), (len(frames) + i, unsaid)):
            rows[branch, : len(text)] += F.linear(text, dit.from_text)
            rows[branch, :count] += dit.bias
    lengths = None
    if any(count < padded for count in frames):
        counts = (*frames, *frames)
        positions = torch.arange(padded, device=rows.device)
        keep = positions < torch.tensor(counts, device=rows.device).unsqueeze(1)
        lengths = Lengths(counts, keep)
    rows = rows.to(dit.dtype)
    conv, bias = dit.convs[0]
    return Condition(rows, conv(rows, bias), rotary_angles(padded, rows.device), lengths)


def velocity(dit: Dit, y: Tensor, given: Condition, at: Modulation) -> Tensor:
    """The flow at `y`: fp32 [B, N, 100] to fp32 [G, N, 100], where G is the number of branches of `given`."""
    x = _embed(dit, y.to(dit.dtype), given)
    for block, modulation in zip(dit.blocks, at.blocks.unbind(), strict=True):
        x = _block(dit, block, x, modulation.unbind(), given)
    scale, shift = at.final.unbind()
    return F.linear(F.layer_norm(x, x.shape[-1:], scale, shift, _EPS), *dit.to_mel).float()


def rotary_angles(frames: int, device: torch.device) -> Tensor:
    """cos + i sin of the positions' angles, complex64 [frames, 32]."""
    frequencies = 1.0 / (10_000.0 ** (torch.arange(0, _HEAD, 2).float() / _HEAD))
    angles = torch.outer(torch.arange(frames).float(), frequencies).to(device)
    return torch.polar(torch.ones_like(angles), angles)


def _embed(dit: Dit, y: Tensor, given: Condition) -> Tensor:
    """Input projection, then positional convolutions beside it: [B, N, 100] to [G, N, D].

    A convolution is linear: both branches share that of the noisy mel, and that of the rest was done once.
    """
    noisy = F.linear(y, dit.from_mel)
    times = len(given.rows) // len(noisy)
    if given.lengths is not None:
        noisy = torch.where(given.lengths.keep[: len(noisy), :, None], noisy, 0.0)
    first, (second, bias) = dit.convs[0][0], dit.convs[1]
    x = F.mish(first(noisy).repeat(times, 1, 1) + given.first_conv)
    if given.lengths is not None:
        x = torch.where(given.lengths.keep[..., None], x, 0.0)
    return F.mish(second(x, bias)) + noisy.repeat(times, 1, 1) + given.rows


def _block(dit: Dit, block: Block, x: Tensor, at: tuple[Tensor, ...], given: Condition) -> Tensor:
    """[G, N, D] to the same. AdaLN's scale and shift are the affine part of the norm."""
    shift, scale, gate, shift_ff, scale_ff, gate_ff = at
    qkv = block.qkv(F.layer_norm(x, x.shape[-1:], scale, shift, _EPS))
    q, k, v = _heads(qkv.view(*qkv.shape[:2], 3, dit.heads, _HEAD), given.angles)
    x = torch.addcmul(x, gate, block.out(dit.attention(q, k, v, given.lengths)))
    return torch.addcmul(x, gate_ff, block.down(block.up(F.layer_norm(x, x.shape[-1:], scale_ff, shift_ff, _EPS))))


def _heads(qkv: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[G, N, 3, H, 64] to turned queries, turned keys, values: [G, H, N, 64] each. fp32 is turned in place."""
    qk = qkv[:, :, :2]
    pairs = torch.view_as_complex(qk.float().view(*qk.shape[:-1], _HEAD // 2, 2))
    turned = torch.view_as_real(pairs.mul_(angles[:, None, None, :])).flatten(-2).to(qkv.dtype)
    q, k = turned.permute(2, 0, 3, 1, 4).unbind()
    return q, k, qkv[:, :, 2].transpose(1, 2)
