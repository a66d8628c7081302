"""The job of a model, one segment with everything decided, and the protocol of the two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ishowtts.engines.f5.reference import Reference
from ishowtts.model import IsCancelled


@dataclass(frozen=True)
class SegmentJob:
    """One segment to synthesise.

    Attributes:
        text: the text of the reference and of the segment, joined.
        frames: the number of frames of reference and speech together.
        seed: the seed of the noise; `None`: another one each time.
        gain: the factor for the sound, so that it is as quiet as the clip. The daemon applies `gain_db` of the voice.
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
        unbucketed: the number of runs so far that were longer than every bucket.
    """

    unbucketed: int

    def tokens(self, text: str) -> int:
        """The number of tokens of a text."""

    def render(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Tensor]:
        """Render jobs to sounds at 24 kHz, fp32 [samples] each, on the model's device.

        Raises:
            Cancelled: `cancelled()` turned true; it is asked before every evaluation.
        """

    def capture(self, frames: int, segments: int = 1) -> None:
        """Capture the graphs of runs of this shape, if the model uses graphs."""

    def enqueue_captures(self, frames: Sequence[int]) -> None:
        """Have single segments of these lengths captured in idle time."""

    def idle(self) -> bool:
        """Capture one graph in idle time. Returns whether there may be more to capture."""
