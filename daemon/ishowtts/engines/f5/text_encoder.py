"""The text encoder in fp32: tokens to one row per frame. ConvNeXt V2 blocks over characters (F5-TTS, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_MIN_TABLE_ROWS = 2048
_REACH = 3  # a depthwise convolution of 7 taps reaches 3 rows to either side


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
    """Weights of upstream's `TextEmbedding`.

    Attributes:
        table: the embedding; row 0 is the filler after the text.
        upsamples: whether the row of each token is repeated evenly over the frames (ZipVoice). If not, each token has
            one frame, and all of them are at the beginning.
        masks_filler: whether the filler is zero before and after each block. In weights of the first version it is
            not: every frame after the text has a row of its own.
    """

    table: Tensor
    blocks: tuple[TextBlock, ...]
    upsamples: bool = False
    masks_filler: bool = True


def encode(encoder: TextEncoder, tokens: Tensor, frames: int) -> Tensor:
    """The rows of the text, fp32 [2, rows, text_dim]: conditional, then unconditional (filler for every token).

    If the encoder upsamples or does not mask the filler, there is a row for each frame. If not, there is a row for each
    token, and the rows of the frames after the text are zero.

    With a masked filler, only the rows of the tokens are computed. After each block, the filler after the text is
    masked to zero, so only its length has an effect on the text. Three rows after the text are enough for the
    convolutions. All further rows are equal, so they are only counted in the global response normalisation (ConvNeXt
    V2), which sums over every frame.

    Args:
        tokens: int64 [tokens], 1 to `frames` tokens.
        frames: length of reference and speech, not padded.
    """
    if not encoder.masks_filler:
        return encode_in_full(encoder, tokens, frames)
    count = len(tokens)
    shown = min(count + _REACH, frames)
    x = F.embedding(_both(tokens), encoder.table) + _positions(count, encoder.table)
    for block in encoder.blocks:
        # One row more than the convolution reaches: every further frame has the same values.
        padded = F.pad(x, (0, 0, _REACH, shown - count + 1 + _REACH)).transpose(1, 2)
        z = _widen(block, F.conv1d(padded, *block.conv, groups=x.shape[2]).transpose(1, 2))
        energy = z[:, :shown].square().sum(1) + (frames - shown) * z[:, shown].square()
        x = x + F.linear(_respond(block, z[:, :count], energy), *block.down)
    return _upsample(x, frames) if encoder.upsamples else x


def encode_in_full(encoder: TextEncoder, tokens: Tensor, frames: int) -> Tensor:
    """The same rows, computed over every frame like upstream: [2, frames, text_dim]."""
    count = len(tokens)
    text = (torch.arange(frames, device=tokens.device) < (count if encoder.masks_filler else frames)).unsqueeze(1)
    ids = F.pad(_both(tokens), (0, frames - count))
    x = F.embedding(ids, encoder.table) + _positions(frames, encoder.table)
    x = torch.where(text, x, 0.0)
    for block in encoder.blocks:
        z = F.conv1d(x.transpose(1, 2), *block.conv, padding=_REACH, groups=x.shape[2]).transpose(1, 2)
        z = _widen(block, z)
        x = torch.where(text, x + F.linear(_respond(block, z, z.square().sum(1)), *block.down), 0.0)
    return _upsample(x[:, :count], frames) if encoder.upsamples else x


def _both(tokens: Tensor) -> Tensor:
    return torch.stack((tokens + 1, torch.zeros_like(tokens)))


def _widen(block: TextBlock, x: Tensor) -> Tensor:
    return F.gelu(F.linear(F.layer_norm(x, x.shape[-1:], *block.norm, 1e-6), *block.up))


def _respond(block: TextBlock, z: Tensor, energy: Tensor) -> Tensor:
    """Global response normalisation: scale each channel by its share of the energy over all frames.

    Args:
        energy: [branches, channels].
    """
    norm = energy.sqrt().unsqueeze(1)
    return block.gamma * (z * (norm / (norm.mean(-1, keepdim=True) + 1e-6))) + block.beta + z


def _upsample(x: Tensor, frames: int) -> Tensor:
    """Repeat the row of every token equally often, and the last ones once more if the frames do not divide evenly.

    Upstream's `average_upsample_text_by_mask`: [2, tokens, text_dim] to [2, frames, text_dim].
    """
    count = x.shape[1]
    repeats = torch.full((count,), frames // count, device=x.device)
    repeats[count - frames % count :] += 1
    return x.repeat_interleave(repeats, dim=1, output_size=frames)


def _positions(count: int, table: Tensor) -> Tensor:
    """The cosines, then the sines, of upstream's `precompute_freqs_cis`: [count, dim]."""
    return _positions_table(max(_MIN_TABLE_ROWS, 2 ** (count - 1).bit_length()), table.shape[1], table.device)[:count]


@lru_cache(2)
def _positions_table(rows: int, dim: int, device: torch.device) -> Tensor:
    # On the CPU, like upstream: a GPU's powers differ in the last bit, which a thousand rows later is an angle.
    frequencies = 1.0 / (10_000.0 ** (torch.arange(0, dim, 2).float() / dim))
    angles = torch.outer(torch.arange(rows), frequencies).float()
    return torch.cat((angles.cos(), angles.sin()), dim=-1).to(device)
