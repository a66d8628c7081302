"""The numbers of real frames in a padded batch, in the forms that attention kernels take."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Lengths:
    """The number of real frames of each item of a padded batch.

    Attributes:
        frames: the number for each item; `None` if only the device knows it, as in a graph that serves many segments.
        keep: whether each frame is real, bool [batch, longest].
        counts: the same numbers as `frames`, int32 [batch] on the device.
        starts: the first row of each item in the whole batch, and the end, int32 [batch + 1] on the device.
        sequences: the same with the end of each item's real frames between them, int32 [2 * batch + 1] on the device:
            0, n, N, N + n', 2N for two items of n and n' frames that are padded to N.
    """

    frames: tuple[int, ...] | None
    keep: Tensor
    counts: Tensor
    starts: Tensor
    sequences: Tensor

    @classmethod
    def of(cls, frames: tuple[int, ...], padded: int, device: torch.device) -> Lengths:
        """The lengths of a batch that is padded to `padded` frames."""
        counts = torch.tensor(frames, dtype=torch.int32, device=device)
        keep = torch.arange(padded, device=device) < counts.unsqueeze(1)
        starts = torch.arange(0, (len(frames) + 1) * padded, padded, dtype=torch.int32, device=device)
        return cls.on_device(frames, keep, counts, starts)

    @classmethod
    def on_device(cls, frames: tuple[int, ...] | None, keep: Tensor, counts: Tensor, starts: Tensor) -> Lengths:
        """The lengths with these counts. Nothing is copied from the host, nor to it."""
        ends = torch.stack((starts[:-1], starts[:-1] + counts), dim=1).flatten()
        return cls(frames, keep, counts, starts, torch.cat((ends, starts[-1:])))

    def first(self, count: int) -> Lengths:
        """The lengths of the first `count` items."""
        frames = None if self.frames is None else self.frames[:count]
        sequences = self.sequences[: 2 * count + 1]
        return Lengths(frames, self.keep[:count], self.counts[:count], self.starts[: count + 1], sequences)

    def copy_(self, other: Lengths) -> None:
        """Copy the lengths of a batch of the same shape into these tensors."""
        self.keep.copy_(other.keep)
        self.counts.copy_(other.counts)
        self.sequences.copy_(other.sequences)
