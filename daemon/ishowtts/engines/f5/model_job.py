"""What a model is asked for: one segment, with everything decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ishowtts.engines.f5.reference import Reference
from ishowtts.model import IsCancelled


@dataclass(frozen=True)
class SegmentJob:
    """One segment.

    Attributes:
        text: of the reference and of the segment, joined.
        frames: of the reference and of the speech together.
        seed: of the noise; `None`: another one each time.
        gain: what the sound is multiplied by: as quiet as the clip, and as loud as the voice's settings have it.
    """

    reference: Reference
    text: str
    frames: int
    nfe_step: int
    seed: int | None
    gain: float = 1.0


class F5Model(Protocol):
    """F5 with its vocoder, on a device.

    Attributes:
        unbucketed: runs so far that were longer than every bucket.
    """

    unbucketed: int

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""

    def render(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Tensor]:
        """Sounds at 24 kHz, fp32 [samples] each, on the model's device.

        Raises:
            Cancelled: `cancelled()` turned true; it is asked before every evaluation.
        """

    def capture(self, frames: int, lines: int = 1) -> None:
        """Make runs of so many lines of this length as fast as they will be."""

    def enqueue_captures(self, frames: Sequence[int]) -> None:
        """Have single lines of these lengths recorded in idle time."""

    def idle(self) -> bool:
        """Use a moment that nobody needs; whether there is more to do."""
