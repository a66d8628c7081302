"""The text encoder: tokens to one row a frame, in fp32. ConvNeXt V2 blocks over characters (F5-TTS, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_REACH = 3  # a depthwise convolution of 7 taps looks so far to either side


@dataclass(frozen=True)
class TextBlock:
    """Weights of upstream's `ConvNeXtV2Block`."""

    conv: tuple[Tensor, Tensor]
    norm: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    gamma: Tensor
    beta: Tensor


@dataclass(frozen=True)
class TextEncoder:
    """Weights of upstream's `TextEmbedding`; row 0 of the table is the filler behind the text."""

    table: Tensor
    blocks: tuple[TextBlock, ...]


def encode(encoder: TextEncoder, tokens: Tensor, frames: int, drop: bool) -> Tensor:
    """Rows of the tokens alone, fp32 [tokens, text_dim]; those of the frames behind them are zero.

    After each block the filler is masked to zero, so that seen from the text nothing but its length shows: three rows
    beyond the text are enough for the convolutions, and all the others are equal and need only be counted in the
    global response normalisation (ConvNeXt V2), which sums over every frame.

    Args:
        tokens: int64 [tokens], at most `frames`.
        frames: length of the whole, not padded.
        drop: the unconditional branch: filler in place of every token, at the same length.
    """
    count = len(tokens)
    shown = min(count + _REACH, frames)
    x = F.embedding(torch.zeros_like(tokens) if drop else tokens + 1, encoder.table)
    x = x + _positions(count, x.shape[1], x.device)
    for block in encoder.blocks:
        # One row more than the convolution reaches: what every farther frame holds as well.
        padded = F.pad(x, (0, 0, _REACH, shown - count + 1 + _REACH)).t().unsqueeze(0)
        z = _widen(block, F.conv1d(padded, *block.conv, groups=x.shape[1])[0].t())
        energy = z[:shown].square().sum(0) + (frames - shown) * z[shown].square()
        x = x + F.linear(_respond(block, z[:count], energy), *block.down)
    return x


def encode_in_full(encoder: TextEncoder, tokens: Tensor, frames: int, drop: bool) -> Tensor:
    """The same over every frame, as upstream computes it: [frames, text_dim]."""
    count = len(tokens)
    ids = F.pad(torch.zeros_like(tokens) if drop else tokens + 1, (0, frames - count))
    text = (torch.arange(frames, device=tokens.device) < count).unsqueeze(1)
    x = F.embedding(ids, encoder.table) + _positions(frames, encoder.table.shape[1], tokens.device)
    x = torch.where(text, x, 0.0)
    for block in encoder.blocks:
        z = _widen(block, F.conv1d(x.t().unsqueeze(0), *block.conv, padding=_REACH, groups=x.shape[1])[0].t())
        x = torch.where(text, x + F.linear(_respond(block, z, z.square().sum(0)), *block.down), 0.0)
    return x


def _widen(block: TextBlock, x: Tensor) -> Tensor:
    return F.gelu(F.linear(F.layer_norm(x, x.shape[-1:], *block.norm, 1e-6), *block.up))


def _respond(block: TextBlock, z: Tensor, energy: Tensor) -> Tensor:
    """Global response normalisation: each channel by its share of the energy over all frames."""
    norm = energy.sqrt()
    return block.gamma * (z * (norm / (norm.mean() + 1e-6))) + block.beta + z


def _positions(count: int, dim: int, device: torch.device) -> Tensor:
    """Cosines, then sines, of upstream's `precompute_freqs_cis`: [count, dim]."""
    frequencies = 1.0 / (10_000.0 ** (torch.arange(0, dim, 2).float() / dim))
    angles = torch.outer(torch.arange(count), frequencies).float()
    return torch.cat((angles.cos(), angles.sin()), dim=-1).to(device)
