"""What this machine could do at best: its products and its memory, measured, and the time that F5 needs on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.architecture import MELS, DitConfig

_CONV_TAPS, _CONV_GROUPS = 31, 16


@dataclass(frozen=True)
class Machine:
    """Best rates of this process, with its threads.

    Args:
        flop_per_s: of a large product.
        bytes_per_s: of reading one large block of memory and writing another, both counted.
        dtype: what was multiplied.
    """

    flop_per_s: float
    bytes_per_s: float
    dtype: str
    threads: int

    def floor_s(self, dit: DitConfig, frames: int, nfe_step: int, weight_bytes: int) -> float:
        """The least time for one guided run: arithmetic at the full rate, or the weights read once an evaluation."""
        return max(flop(dit, frames, nfe_step) / self.flop_per_s, nfe_step * weight_bytes / self.bytes_per_s)


@dataclass(frozen=True)
class Rate:
    """What a model's evaluations are held against: the measured rate of a product."""

    dit: DitConfig
    nfe_step: int
    flop_per_s: float

    def share(self, frames: Iterable[int], spent_s: float) -> float:
        """Of that rate, where lines of so many frames took so long."""
        return sum(flop(self.dit, count, self.nfe_step) for count in frames) / spent_s / self.flop_per_s


def flop(dit: DitConfig, frames: int, nfe_step: int) -> float:
    """Floating point operations of the step loop, both branches: products, attention, positional convolutions."""
    inner = dit.heads * dit.dim_head
    block = 2 * frames * dit.dim * (4 * inner + 2 * dit.ff_mult * dit.dim) + 4 * frames**2 * inner
    convs = 2 * 2 * frames * dit.dim * (dit.dim // _CONV_GROUPS) * _CONV_TAPS
    ends = 2 * 2 * frames * dit.dim * MELS
    return 2.0 * nfe_step * (dit.depth * block + convs + ends)


def loop_bytes(dit: DitConfig, dtype: torch.dtype) -> int:
    """Weights that every evaluation reads."""
    inner = dit.heads * dit.dim_head
    return dit.depth * dit.dim * (4 * inner + 2 * dit.ff_mult * dit.dim) * dtype.itemsize


def measure(device: str, dtype: torch.dtype) -> Machine:
    """Best of a few rounds: about a second."""
    found = throughput.measure(device, dtype)
    return Machine(found.flop_per_s, found.bytes_per_s, str(dtype).split(".")[1], torch.get_num_threads())
