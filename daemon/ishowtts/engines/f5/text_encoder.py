"""The text encoder in fp32: tokens to one row per frame. ConvNeXt V2 blocks over characters (F5-TTS, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_MIN_TABLE_ROWS = 2048
_FILLER = -1  # as a token, one less than its row of the table
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
        step: the tokens are padded to a multiple of this number, so that few shapes occur.
        compute: computes `compute_rows` of this encoder in another way, such as captured; `None`: it is called.
    """

    table: Tensor
    blocks: tuple[TextBlock, ...]
    upsamples: bool = False
    masks_filler: bool = True
    step: int = 1
    compute: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


def encode(encoder: TextEncoder, tokens: Tensor, frames: int) -> Tensor:
    """The rows of the text, fp32 [2, rows, text_dim]: conditional, then unconditional (filler for every token).

    If the encoder upsamples or does not mask the filler, there is a row for each frame. If not, there is a row for each
    token, and the rows of the frames after the text are zero; the first of them may be returned too.

    Args:
        tokens: int64 [tokens], 1 to `frames` tokens.
        frames: length of reference and speech, not padded.
    """
    count = len(tokens) if encoder.masks_filler else frames
    padded = -(-count // encoder.step) * encoder.step
    ids = F.pad(tokens, (0, padded - len(tokens)), value=_FILLER)
    # Filled on the device: a number that is copied there makes the processor wait.
    lengths = (torch.full((), length, device=tokens.device) for length in (count, frames))
    x = compute_rows(encoder, ids, *lengths) if encoder.compute is None else encoder.compute(ids, *lengths)
    return _upsample(x[:, : len(tokens)], frames) if encoder.upsamples else x[:, :frames]


def compute_rows(encoder: TextEncoder, tokens: Tensor, count: Tensor, frames: Tensor) -> Tensor:
    """The rows of padded tokens, fp32 [2, padded, text_dim]; those from `count` on are zero.

    After each block, everything from `count` on is masked to zero, so only its length has an effect on the text. Three
    rows after the tokens are enough for the convolutions. All further rows are equal, so one of them is computed, and
    counted as often as it occurs in the global response normalisation (ConvNeXt V2), which sums over every frame.

    Args:
        tokens: int64 [padded], 0 to 2 ** 63 - 2, or -1 for filler.
        count, frames: int64 scalars, on the device of the tokens: the number of tokens, and of all frames.
    """
    padded = len(tokens)
    positions = torch.arange(padded + _REACH + 1, device=tokens.device)
    text = (positions[:padded] < count).unsqueeze(1)
    remaining = (frames - positions).clamp(min=0)
    occurrences = torch.cat((remaining[:-1].clamp(max=1), remaining[-1:])).float()
    x = torch.where(text, F.embedding(_both(tokens), encoder.table) + _positions(padded, encoder.table), 0.0)
    for block in encoder.blocks:
        surrounded = F.pad(x, (0, 0, _REACH, 2 * _REACH + 1)).transpose(1, 2)
        z = _widen(block, F.conv1d(surrounded, *block.conv, groups=x.shape[2]).transpose(1, 2))
        energy = torch.matmul(occurrences, z.square())
        x = torch.where(text, x + F.linear(_respond(block, z[:, :padded], energy), *block.down), 0.0)
    return x


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


# Never dropped, because CUDA graphs hold its address. There are at most three: no run has more than 8192 frames.
@cache
def _positions_table(rows: int, dim: int, device: torch.device) -> Tensor:
    # On the CPU, like upstream: a GPU's powers differ in the last bit, which a thousand rows later is an angle.
    frequencies = 1.0 / (10_000.0 ** (torch.arange(0, dim, 2).float() / dim))
    angles = torch.outer(torch.arange(rows), frequencies).float()
    return torch.cat((angles.cos(), angles.sin()), dim=-1).to(device)
