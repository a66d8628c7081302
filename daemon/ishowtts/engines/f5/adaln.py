"""Precomputed AdaLN. Scale, shift and gate depend only on the time step, so each schedule needs one small table instead
of the projections.

In F5TTS_v1_Base the projections have 140.65 of 337 million parameters; the table of seven evaluations has 0.96 million
numbers. The projections stay in the checkpoint's file, which is mapped into memory. They are read again if a line asks
for another schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5 import schedule
from ishowtts.engines.f5.dit import Modulation

_REMEMBERED = 8


class AdaLayerNorm:
    """The modulations of the evaluations of a schedule, computed in fp32.

    Args:
        tensors: the transformer's tensors, by upstream's names without `transformer.`.
        fold: whether the tables of the last schedules are kept. If not, each evaluation computes its modulation.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], depth: int, device: torch.device, dtype: torch.dtype, *, fold: bool
    ) -> None:
        self._tensors = tensors
        self._depth = depth
        self._device, self._dtype = device, dtype
        self._table = lru_cache(_REMEMBERED)(self._make_table) if fold else None

    def at(self, nfe_step: int, i: int) -> Modulation:
        """The modulation of evaluation `i` of `nfe_step`."""
        if self._table is not None:
            return self._table(nfe_step)[i]
        return self._make(schedule.times(nfe_step)[i : i + 1])[0]

    def _make_table(self, nfe_step: int) -> list[Modulation]:
        return self._make(schedule.times(nfe_step)[:-1])

    def _make(self, t: Tensor) -> list[Modulation]:
        hidden = F.silu(self._linear("time_embed.time_mlp.0", schedule.time_features(t)))
        source = F.silu(self._linear("time_embed.time_mlp.2", hidden))
        steps = len(t)
        blocks = torch.stack(
            [
                self._linear(f"transformer_blocks.{i}.attn_norm.linear", source).view(steps, 6, -1)
                for i in range(self._depth)
            ],
            dim=1,
        )
        blocks[:, :, (1, 4)] += 1  # norm * (1 + scale) + shift: the norm's own affine part
        final = self._linear("norm_out.linear", source).view(steps, 2, -1)
        final[:, 0] += 1
        blocks, final = (part.to(self._device, self._dtype) for part in (blocks, final))
        return [Modulation(blocks[i], final[i]) for i in range(steps)]

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._tensors[f"{name}.weight"].float(), self._tensors[f"{name}.bias"].float())
