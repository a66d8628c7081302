"""Engines turn segments into sound. This package's face holds the contract that every engine keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ishowtts.model import IsCancelled, Segment, Utterance


@dataclass(frozen=True)
class Progress:
    """Step `i` of `n` of a phase such as `load` or `warm`."""

    phase: str
    i: int
    n: int


@dataclass(frozen=True)
class VoiceInfo:
    """A voice that is ready.

    Attributes:
        max_segment_bytes: the longest segment that it takes, in UTF-8 bytes.
        reference_s: length of the clip that every segment pays for; `None` where there is none.
        bytes_per_s: speech rate, UTF-8 bytes of text per second of sound at speed 1; `None` where it is not even.
        seam_s: length of the cross-fade between two segments; 0: they stand one behind the other.
        cost: synthesis seconds per second of reference and sound, as the engine measured it; `None`: not known.
        speed: of a segment that names none.
        nfe_step: evaluations for a segment that names none; `None`: the engine's own.
        batch_s: seconds of reference and sound that one run of several segments may hold in all, each as long as the
            longest of them; 0: one at a time.
    """

    name: str
    max_segment_bytes: int
    reference_s: float | None = None
    bytes_per_s: float | None = None
    seam_s: float = 0.0
    cost: float | None = None
    speed: float = 1.0
    nfe_step: int | None = None
    batch_s: float = 0.0


@dataclass(frozen=True)
class EngineStats:
    """How an engine does beyond its speech.

    Attributes:
        gpu_mb: memory that it holds on the GPU for tensors, in use or kept for use; `None`: there is none.
        unbucketed: runs so far that were longer than every length it is prepared for.
    """

    gpu_mb: float | None = None
    unbucketed: int = 0


ReportProgress = Callable[[Progress], None]


@runtime_checkable
class Engine(Protocol):
    """Turns segments into sound. One thread calls it."""

    @property
    def name(self) -> str:
        """`f5`, `espeak`: as events and telemetry show it."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of what `synthesize` returns."""

    def load(self, progress: ReportProgress) -> None:
        """Read weights and voices.

        Raises:
            WeightsError, VoiceError: they cannot be used; the sentence says what to mend.
        """

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Make a voice ready (`None`: the default one). Raises VoiceError."""

    def warm(self, progress: ReportProgress) -> None:
        """Run the real path until it is as fast as it will be."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment.

        Raises:
            SynthesisError: this text cannot be spoken.
            EngineError: the engine cannot speak at all now.
            Cancelled: `cancelled()` turned true.
        """

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speak one or more segments of one voice in one run; each sounds as it does alone. All of them, or none.

        Returns:
            Their sounds, in their order; `synth_s` of each is its share of the run.

        Raises:
            SynthesisError: one of these texts cannot be spoken, or not together with the others.
            EngineError, Cancelled: as from `synthesize`.
        """

    def close(self) -> None:
        """Let go of everything. Idempotent."""


@runtime_checkable
class ImprovingEngine(Engine, Protocol):
    """An engine that becomes faster in time that nobody needs, and knows how it does."""

    def idle(self) -> bool:
        """Use a moment, less than a short segment takes; whether there is more to do."""

    def vitals(self) -> EngineStats:
        """How it does now."""
