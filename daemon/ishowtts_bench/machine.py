"""Measures the best rates of this machine, products and memory, and the time that F5 needs at these rates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

import torch

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.architecture import CONV_GROUPS, CONV_TAPS, MELS, DitConfig

_MEASUREMENTS = 3


@dataclass(frozen=True)
class Machine:
    """Best rates of this process, with its threads.

    Args:
        flop_per_s: Rate of a large product.
        bytes_per_s: Rate of copying a large block of memory; reading and writing both count.
        dtype: Type of the numbers in the product.
    """

    flop_per_s: float
    bytes_per_s: float
    dtype: str
    threads: int

    def best_of(self, other: Machine) -> Machine:
        """The higher of both rates. Another program may have run during one of the measurements."""
        return replace(
            self,
            flop_per_s=max(self.flop_per_s, other.flop_per_s),
            bytes_per_s=max(self.bytes_per_s, other.bytes_per_s),
        )

    def minimum_s(self, dit: DitConfig, frames: int, nfe_step: int, weight_bytes: int) -> float:
        """Minimum time of one guided run: arithmetic at the full rate, or one read of the weights per evaluation."""
        return max(flop(dit, frames, nfe_step) / self.flop_per_s, nfe_step * weight_bytes / self.bytes_per_s)


@dataclass(frozen=True)
class ProductRate:
    """The measured rate of a product, to compare a model's evaluations with."""

    dit: DitConfig
    nfe_step: int
    flop_per_s: float

    def share(self, frames: Iterable[int], spent_s: float) -> float:
        """Share of that rate that was reached, if segments of these frames took this time."""
        return sum(flop(self.dit, count, self.nfe_step) for count in frames) / spent_s / self.flop_per_s


def flop(dit: DitConfig, frames: int, nfe_step: int) -> float:
    """Floating point operations of the step loop, both branches: products, attention, positional convolutions."""
    inner = dit.heads * dit.dim_head
    block = 2 * frames * dit.dim * (4 * inner + 2 * dit.ff_mult * dit.dim) + 4 * frames**2 * inner
    convs = 2 * 2 * frames * dit.dim * (dit.dim // CONV_GROUPS) * CONV_TAPS
    ends = 2 * 2 * frames * dit.dim * MELS
    return 2.0 * nfe_step * (dit.depth * block + convs + ends)


def loop_bytes(dit: DitConfig, dtype: torch.dtype) -> int:
    """Bytes of weights that every evaluation reads."""
    inner = dit.heads * dit.dim_head
    return dit.depth * dit.dim * (4 * inner + 2 * dit.ff_mult * dit.dim) * dtype.itemsize


def measure(device: str, dtype: torch.dtype) -> Machine:
    """Measure once: the best of a few rounds. Takes about a second."""
    found = throughput.measure(device, dtype)
    return Machine(found.flop_per_s, found.bytes_per_s, dtype_name(dtype), torch.get_num_threads())


def dtype_name(dtype: torch.dtype) -> str:
    """`bfloat16` for torch.bfloat16."""
    return str(dtype).split(".")[1]


def best_of_several(device: str, dtype: torch.dtype) -> Machine:
    """Measure the best of several times, for when nothing else runs in between."""
    return reduce(Machine.best_of, (measure(device, dtype) for _ in range(_MEASUREMENTS)))
