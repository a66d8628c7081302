"""The attention kernels that a GPU chooses from, and the checks that each must pass.

Inputs are views of one buffer of queries, keys and values, as the model has them: an operator that takes such views for
contiguous tensors computes wrong here. Padding frames hold large values, so a kernel that reads one key too many is far
off.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import HEAD
from ishowtts.engines.f5.attention import ATTENTIONS, TRITON_ATTENTIONS, Attention
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, TimedRun, relative_error
from ishowtts.engines.f5.lengths import Lengths

log = logging.getLogger(__name__)

_LIBRARY_ATTENTIONS = ("flash", "flash-sequences", "cudnn-sequences", "cudnn-mask", "efficient")
_PADDING = 100.0  # real values are about one
_ODD_FRAMES = (101, 1, 100)  # no multiple of a tile, none and one padding frame, and as few real frames as there can be
_ODD_TOLERANCE = 5e-2  # bf16 is less off

_LAUNCHES = 3  # the best counts: another program may delay one
_LONGEST_LAUNCH_S = 5e-3
"""Time of the processor for one call, of which a step without a graph has 22. Most kernels take 0.1 ms. PyTorch builds
cuDNN's plans for sequences in each call, in 40 ms, before its pull request 191576.
"""


@dataclass(frozen=True)
class _Batch:
    """Queries, keys and values, [batch, heads, frames, 64], and which of the frames are real; `None`: all of them."""

    q: Tensor
    k: Tensor
    v: Tensor
    lengths: Lengths | None

    def attend(self, attention: Attention) -> Tensor:
        return attention(self.q, self.k, self.v, self.lengths)

    def exact(self) -> Tensor:
        """What attention should be, and zero in padding, fp32 [batch, frames, heads * 64]."""
        return ATTENTIONS["explicit"](self.q.float(), self.k.float(), self.v.float(), self.lengths)


def attention_group(draw: Callable[..., Tensor], heads: int, frames: tuple[int, ...], *, fused: bool) -> CandidateGroup:
    """The candidates, timed at a padded batch.

    Args:
        draw: makes normal values of a shape, on the GPU in the type of the model.
        frames: the number of real frames of each item. Only the last item may be padded.
        fused: whether our own Triton kernel is a candidate.
    """
    timed, odd = _batch(draw, heads, frames), _batch(draw, heads, _ODD_FRAMES)
    full = replace(odd, lengths=None)
    checks = [("for odd lengths", odd, odd.exact()), ("without padding", full, full.exact())]
    real = sum(frames)  # these rows come first, because only the last item is padded

    def run(name: str) -> TimedRun:
        checked: list[Attention] = []

        def attend() -> Tensor:
            if not checked:
                checked.append(_checked(name, checks))
            return timed.attend(checked[0]).flatten(0, 1)[:real]

        return attend

    return CandidateGroup(
        "attention",
        {name: run(name) for name in (*_LIBRARY_ATTENTIONS, *(TRITON_ATTENTIONS if fused else ()))},
        otherwise="math",
        dtype=timed.q.dtype,
        exact=timed.exact().flatten(0, 1)[:real],
        flop=sum(4.0 * count * count * HEAD * heads for count in frames),
    )


def _batch(draw: Callable[..., Tensor], heads: int, frames: tuple[int, ...]) -> _Batch:
    padded = max(frames)
    qkv = draw(len(frames), padded, 3, heads, HEAD)
    lengths = Lengths.of(frames, padded, qkv.device)
    q, k, v = qkv.masked_fill(~lengths.keep[..., None, None, None], _PADDING).permute(2, 0, 3, 1, 4).unbind()
    return _Batch(q, k, v, lengths)


def _checked(name: str, checks: list[tuple[str, _Batch, Tensor]]) -> Attention:
    """The kernel of this name, after these checks.

    Raises:
        RuntimeError: it is wrong in one of them, or takes the processor too long.
    """
    attention = ATTENTIONS[name]
    for when, batch, exact in checks:
        found = batch.attend(attention)
        if batch.lengths is not None:
            found = torch.where(batch.lengths.keep[..., None], found, 0.0)  # as the exact one has it there
        error = relative_error(found, exact)
        if error > _ODD_TOLERANCE:
            log.warning("the kernel %s (attention) computes wrong on this GPU %s (%.1e off)", name, when, error)
            raise RuntimeError(f"its attention is wrong {when}")
    if name == "cudnn-sequences":
        _check_launch(partial(checks[0][1].attend, attention))
    return attention


def _check_launch(run: TimedRun) -> None:
    spent_s = math.inf
    for _ in range(_LAUNCHES):
        torch.cuda.synchronize()
        started = time.perf_counter()
        run()
        spent_s = min(spent_s, time.perf_counter() - started)
    if spent_s > _LONGEST_LAUNCH_S:
        raise RuntimeError(f"each call takes {1000 * spent_s:.0f} ms of the processor in this PyTorch")
