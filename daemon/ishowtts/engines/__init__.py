"""Engines turn segments into sound. This module holds the contract of every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ishowtts.model import IsCancelled, Segment, Utterance

MAX_BATCH = 8
"""The most segments in one run of an engine."""


@dataclass(frozen=True)
class Progress:
    """Step `i` of `n` of a phase, `load` or `warm`."""

    phase: str
    i: int
    n: int


@dataclass(frozen=True)
class VoiceInfo:
    """Limits and costs of a voice that is ready.

    Attributes:
        name: name of the voice.
        max_segment_bytes: longest text of a segment, in UTF-8 bytes.
        reference_s: duration of the reference clip, which every segment pays for; 0 if the engine needs none;
            `None` if the time of a segment does not follow from its length.
        bytes_per_s: speech rate, in UTF-8 bytes of text per second of sound at speed 1; `None` if it is not constant.
        seam_s: duration of the cross-fade between two segments; 0 if they follow each other without one.
        cost: synthesis seconds per second of reference and sound, as the engine measured it; `None` if not known.
        cost_nfe_step: with how many model evaluations that was; `None` if the engine has none, or if it is not known.
        speed: speed of a segment that names none.
        nfe_step: model evaluations of a segment that names none; `None` for the engine's own number.
        batch_s: seconds of reference and sound that one batch may hold, with each segment as long as the longest of
            them; 0 if the engine speaks one segment at a time.
    """

    name: str
    max_segment_bytes: int
    reference_s: float | None = None
    bytes_per_s: float | None = None
    seam_s: float = 0.0
    cost: float | None = None
    cost_nfe_step: int | None = None
    speed: float = 1.0
    nfe_step: int | None = None
    batch_s: float = 0.0


@dataclass(frozen=True)
class EngineStats:
    """Statistics of an engine, for telemetry.

    Attributes:
        gpu_mb: GPU memory that is reserved for tensors, used or cached; `None` without a GPU.
        unbucketed: number of runs so far that were longer than every prepared length (bucket).
        graphs_mb: GPU memory that captured graphs take besides `gpu_mb`; `None` without a GPU.
    """

    gpu_mb: float | None = None
    unbucketed: int = 0
    graphs_mb: float | None = None


ReportProgress = Callable[[Progress], None]


class Engine(Protocol):
    """Turns segments into sound. Only one thread calls it."""

    @property
    def name(self) -> str:
        """Name of the engine in events and telemetry: `f5`, `hibari` or `espeak`."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of the sound that `synthesize` returns, in Hz."""

    def load(self, progress: ReportProgress) -> None:
        """Loads weights and voices.

        Raises:
            WeightsError, VoiceError: they cannot be used; the message says how to fix it.
        """

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Makes a voice ready (`None`: the default one). Raises VoiceError."""

    def warm(self, progress: ReportProgress) -> None:
        """Runs the real synthesis path until it has reached its full speed."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speaks one segment.

        Raises:
            SynthesisError: this text cannot be spoken.
            EngineError: the engine cannot speak any text now.
            Cancelled: `cancelled()` turned true.
        """

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speaks one or more segments of one voice in one run, either all or none. Each sounds as it does alone.

        Returns:
            Their sounds, in the same order; `synth_s` of each is its share of the run.

        Raises:
            SynthesisError: one of the texts cannot be spoken, or cannot be spoken together with the others.
            EngineError, Cancelled: as from `synthesize`.
        """

    def close(self) -> None:
        """Releases all resources. Idempotent."""


@runtime_checkable
class SelfTuningEngine(Engine, Protocol):
    """An engine that tunes itself in idle time, and that has statistics."""

    def idle(self) -> bool:
        """Tunes for less time than a short segment takes. Returns whether there is more to do."""

    def stats(self) -> EngineStats:
        """Returns the present statistics."""
