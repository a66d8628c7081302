"""The diffusion transformer of F5-TTS (section 3.1), as functions of its weights: only the mathematics.

Shapes: B segments in a batch, G = B or 2B branches (first the conditional ones, then those without text and voice), N
frames, D width, H heads of 64. The residual stream has the type of the weights. The inputs that are prepared once per
segment are fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.architecture import HEAD
from ishowtts.engines.f5.attention import Attention
from ishowtts.engines.f5.block_steps import Activations, QkvStep, ResidualStep, UpStep, plain
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.kernels import Conv
from ishowtts.engines.f5.lengths import Lengths

_MIN_TABLE_FRAMES = 2048


@dataclass(frozen=True)
class Block:
    """The four products of one transformer block, each with what follows it."""

    qkv: QkvStep
    out: ResidualStep
    up: UpStep
    down: ResidualStep


@dataclass(frozen=True)
class Dit:
    """The weights of the transformer.

    Attributes:
        from_mel, from_voice, from_text: the input projection [D, 100 | 100 | text_dim], split by its inputs. `from_mel`
            may have more columns of zeros.
        bias: the bias of the input projection.
        convs: the kernel and the bias of both positional convolutions.
        blocks: the transformer blocks.
        to_mel: the weight [100, D] and the bias of the output projection.
        dtype: type of the activations.
    """

    from_mel: Tensor
    from_voice: Tensor
    from_text: Tensor
    bias: Tensor
    convs: tuple[tuple[Conv, Tensor], tuple[Conv, Tensor]]
    blocks: tuple[Block, ...]
    to_mel: tuple[Tensor, Tensor]
    attention: Attention
    elementwise: Elementwise
    dtype: torch.dtype


@dataclass(frozen=True)
class Modulation:
    """The scales, shifts and gates of AdaLN at one time (DiT, section 3.2).

    Attributes:
        blocks: [depth, 6, D]: shift, 1 + scale, gate of the attention; the same of the feed-forward.
        final: [2, D]: 1 + scale, shift.
    """

    blocks: Tensor
    final: Tensor


@dataclass(frozen=True)
class Condition:
    """The inputs of a batch of segments that are the same in all evaluations.

    Attributes:
        rows: voice, text and bias through the input projection, [2B, N, D]; zero in the padding.
        first_conv: those rows through the first positional convolution with its bias, [2B, N, D].
        angles: cosines and sines of the rotary angles (RoFormer), fp32 [N, 32, 2].
        lengths: the length of each branch; `None` if nothing is padded.
    """

    rows: Tensor
    first_conv: Tensor
    angles: Tensor
    lengths: Lengths | None

    def branches(self, count: int) -> Condition:
        """The condition of the first `count` branches."""
        if count == len(self.rows):
            return self
        lengths = self.lengths and self.lengths.first(count)
        return Condition(self.rows[:count], self.first_conv[:count], self.angles, lengths)


def condition(dit: Dit, voices: Sequence[Tensor], texts: Sequence[tuple[Tensor, Tensor]], frames: Sequence[int],
              padded: int) -> Condition:  # fmt: skip
    """Compute the inputs that do not change while a batch is synthesised.

    Args:
        voices: log mel of each segment's reference, fp32 [reference frames, 100].
        texts: rows of each segment from the text encoder, conditional and unconditional, fp32 [up to `frames`,
            text_dim].
        frames: length of each segment, with its reference.
        padded: N, at least the longest of `frames`.
    """
    rows = dit.bias.new_zeros(2 * len(frames), padded, len(dit.bias))
    for i, (voice, (cond, uncond), count) in enumerate(zip(voices, texts, frames, strict=True)):
        rows[i, : len(voice)] += F.linear(voice, dit.from_voice)
        for branch, text in ((i, cond), (len(frames) + i, uncond)):
            rows[branch, : len(text)] += F.linear(text, dit.from_text)
            rows[branch, :count] += dit.bias
    padding = any(count < padded for count in frames)
    lengths = Lengths.of((*frames, *frames), padded, rows.device) if padding else None
    rows = rows.to(dit.dtype)
    conv, bias = dit.convs[0]
    return Condition(rows, conv(rows, bias), rotary_angles(padded, rows.device), lengths)


def velocity(dit: Dit, y: Tensor, condition: Condition, at: Modulation) -> Tensor:
    """The flow at `y`: fp32 [B, N, 100] to [G, N, 100], for the G branches of `condition`.

    After the end of a segment `y` must be zero, and the flow there has no meaning.
    """
    between = dit.elementwise
    scale, shift = at.final.unbind()
    blocks = [modulation.unbind() for modulation in at.blocks.unbind()]
    # The norm after each block: that of the next block, and after the last block the final one.
    following = [(scale_, shift_) for shift_, scale_, *_ in blocks[1:]] + [(scale, shift)]
    x = _embed(dit, y, condition)
    z: Activations = between.norm(x, blocks[0][1], blocks[0][0])
    for block, (_, _, gate, shift_ff, scale_ff, gate_ff), norm in zip(dit.blocks, blocks, following, strict=True):
        q, k, v = block.qkv(z, condition.angles)
        x, z = block.out(dit.attention(q, k, v, condition.lengths), x, gate, scale_ff, shift_ff)
        x, z = block.down(block.up(z), x, gate_ff, *norm)
    return F.linear(plain(z), *dit.to_mel)


def rotary_angles(frames: int, device: torch.device) -> Tensor:
    """The cosines and sines of the positions' angles, fp32 [frames, 32, 2]. The caller must not write to them."""
    return _angles(max(_MIN_TABLE_FRAMES, 2 ** (frames - 1).bit_length()), device)[:frames]


@lru_cache(2)
def _angles(frames: int, device: torch.device) -> Tensor:
    # On the CPU, like upstream: a GPU's powers differ in the last bit, which a thousand frames later is an angle.
    frequencies = 1.0 / (10_000.0 ** (torch.arange(0, HEAD, 2).float() / HEAD))
    angles = torch.outer(torch.arange(frames).float(), frequencies)
    return torch.stack((angles.cos(), angles.sin()), dim=-1).to(device)


def _embed(dit: Dit, y: Tensor, condition: Condition) -> Tensor:
    """The input projection, plus the positional convolutions of it: fp32 [B, N, 100] to [G, N, D].

    A convolution is linear: both branches share that of the noisy mel, and that of the condition was done once.
    """
    noisy = F.linear(_widened(y, dit.from_mel.shape[1], dit.dtype), dit.from_mel)
    keep = None if condition.lengths is None else condition.lengths.keep
    first, (second, bias) = dit.convs[0][0], dit.convs[1]
    x = dit.elementwise.activate_first_conv(first(noisy), condition.first_conv, keep)
    return dit.elementwise.activate_second_conv(second(x, bias), noisy, condition.rows)


def _widened(y: Tensor, columns: int, dtype: torch.dtype) -> Tensor:
    """`y` in another type, with columns of zeros after its own: [B, N, 100] to [B, N, columns]."""
    if columns == y.shape[2]:
        return y.to(dtype)
    wide = y.new_zeros(*y.shape[:2], columns, dtype=dtype)
    wide[..., : y.shape[2]] = y
    return wide
