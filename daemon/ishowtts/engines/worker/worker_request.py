"""One request to the worker: it collects and checks the sounds that answer it, and its future takes the result."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from ishowtts.engines.durations import split_run_time
from ishowtts.engines.worker.wire import Frame, FrameKind, WireError
from ishowtts.model import Utterance

Answer = TypeVar("Answer")


@dataclass(eq=False)
class WorkerRequest(Generic[Answer]):
    """A request that the daemon sent to the worker.

    Attributes:
        seq: number of the request; the worker repeats it in its answer.
        kind: `PREPARE` or `RENDER`.
        voice: name of the voice, `None` for the default one.
        longest_s: longest plausible duration of each segment's sound; empty if the request asks for no sound.
        future: takes the answer, or the reason why there is none.
        started_at_s: monotonic time at which the worker began with it; infinity while it waits.
        cancelled_at_s: monotonic time at which nobody wanted the answer any more; infinity while it is wanted.
        sounds: sounds received so far, in order.
        implausible: why one of the sounds cannot belong to its segment; `None` if all are plausible.
    """

    seq: int
    kind: FrameKind
    voice: str | None
    longest_s: tuple[float, ...] = ()
    future: Future[Answer] = field(default_factory=Future)
    started_at_s: float = math.inf
    cancelled_at_s: float = math.inf
    sounds: list[Utterance] = field(default_factory=list)
    implausible: str | None = None

    @property
    def awaits_sound(self) -> bool:
        """Whether the sound of at least one segment is missing."""
        return len(self.sounds) < len(self.longest_s)

    def add_sound(self, frame: Frame, rate_hz: int) -> None:
        """Checks an `AUDIO` frame and keeps its sound.

        Args:
            frame: the sound of the next segment.
            rate_hz: sample rate that the worker announced.

        Raises:
            WireError: it is not the sound that was asked for.
        """
        index = len(self.sounds)
        if frame.integer("rate_hz") != rate_hz or frame.integer("index") != index:
            raise WireError("it sent sound that was not asked for")
        if not frame.payload or len(frame.payload) % 2:
            raise WireError(f"{len(frame.payload)} bytes are not S16 sound")
        audio_s = len(frame.payload) / 2 / rate_hz
        samples = np.frombuffer(frame.payload, dtype=np.int16)
        if audio_s > self.longest_s[index]:
            # The length follows from the voice's clip and its words: a new worker would only repeat it.
            self.implausible = (
                f"a segment came out as {audio_s:.0f} s of sound; {self.longest_s[index]:.0f} s is plausible. "
                f"The words of the voice do not fit its clip; correct its reference.txt"
            )
            samples = samples[:0].copy()
        nfe_step = None if frame.header.get("nfe_step") is None else frame.integer("nfe_step")
        self.sounds.append(Utterance(samples, rate_hz, 0.0, frame.text("engine"), frame.text("voice"), nfe_step))

    def timed_sounds(self, reference_s: float) -> list[Utterance]:
        """Returns the sounds, each with its share of the run's time, measured by the daemon's clock.

        Args:
            reference_s: duration of the voice's reference clip, which every segment pays for.
        """
        run_s = time.monotonic() - self.started_at_s
        shares_s = split_run_time(run_s, [reference_s + sound.audio_s for sound in self.sounds])
        return [replace(sound, synth_s=share_s) for sound, share_s in zip(self.sounds, shares_s, strict=True)]
