"""What a model is asked for: one segment, with everything decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ishowtts.engines import IsCancelled
from ishowtts.engines.f5.reference import Reference


@dataclass(frozen=True)
class Job:
    """One segment.

    Attributes:
        text: of the reference and of the segment, joined.
        frames: of the reference and of the speech together.
        seed: of the noise; `None`: another one each time.
    """

    reference: Reference
    text: str
    frames: int
    nfe_step: int
    seed: int | None


class Model(Protocol):
    """F5 with its vocoder, on a device."""

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""

    def render(self, jobs: Sequence[Job], cancelled: IsCancelled) -> list[Tensor]:
        """Sounds at 24 kHz, fp32 [samples] each, at the loudness of their references, on the model's device.

        Raises:
            Cancelled: `cancelled()` turned true; it is asked before every evaluation.
        """
