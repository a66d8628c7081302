"""Renders one line on the thread `synthesis`: splits its text into segments, synthesises and post-processes them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ishowtts.archive import Recorder
from ishowtts.errors import Cancelled, IShowError, OperatorFileError, SynthesisError
from ishowtts.inbox import DequeuedLine
from ishowtts.model import Samples, Segment, Utterance
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.line_synthesis import PlannedSegment
from ishowtts.speech.speech_policy import SpeechPolicy
from ishowtts.util.logs import log_fields
from ishowtts.util.samples import FloatPcm, resample

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpeechResources:
    """Everything that lines are spoken with.

    Args:
        post_processor: Turns the sound of an engine into what is played.
        recorder: Records what is spoken; `None` if recordings are off.
        default_voice: Returns the voice of lines that name none; `None` from it: as the engine is configured.
    """

    synthesizer: FallbackSynthesizer
    player: Player
    policy: SpeechPolicy
    post_processor: PostProcessor
    recorder: Recorder | None = None
    default_voice: Callable[[], str | None] = lambda: None


@dataclass(frozen=True)
class RenderedSegment:
    """The sound of an engine, and that sound as it is played, at the player's rate.

    Attributes:
        remark: What is missing in the sound, in a sentence; `None` if nothing is.
    """

    utterance: Utterance
    sound: Samples | FloatPcm
    remark: str | None = None


@dataclass(frozen=True)
class RenderedRun:
    """The sounds of the first of the coming segments, which may have been planned again.

    Attributes:
        next_s: How long the synthesis of the segment after these should take, in seconds; 0 if that is unknown.
    """

    coming: Sequence[PlannedSegment]
    rendered: Sequence[RenderedSegment]
    next_s: float = 0.0


class SegmentRenderer:
    """Renders the segments of one line. `plan` and `render` return at once; their futures give the results.

    Args:
        dequeued: The line, and how much of it was heard before.
        synthesis: Runs one job at a time, on a thread other than the scheduler's.
        wake: Called when a future is done.

    Attributes:
        spoken_text: The text as it is read aloud; `None` before it was read.
        line_synthesis: The engines that speak the line.
        default_voice: The voice that the line uses if it names none; `None`: as the engine is configured.
        silent_from_s: When the listener began or begins to hear nothing, in monotonic seconds; infinity before the line
            is heard.
    """

    def __init__(
        self, dequeued: DequeuedLine, resources: SpeechResources, synthesis: Executor, wake: Callable[[], None]
    ) -> None:
        self.spoken_text = dequeued.spoken
        self.line_synthesis = resources.synthesizer.begin_line()
        self.default_voice = resources.default_voice()
        self.silent_from_s = math.inf
        self._dequeued = dequeued
        self._resources = resources
        self._synthesis = synthesis
        self._wake = wake
        self._cancelled = threading.Event()

    def plan(self) -> Future[list[PlannedSegment]]:
        """Read the text and split it, or the rest of it, into segments. Preparing the voice can take seconds."""
        return self._submit(self._plan)

    def render(self, coming: Sequence[PlannedSegment], played_until_s: float) -> Future[RenderedRun]:
        """Synthesise the first of these segments: one, or as many as go into one run.

        Args:
            coming: All segments that are not synthesised yet.
            played_until_s: When everything that is with the player will have been heard, in monotonic seconds.
        """
        return self._submit(lambda: self._render(coming, played_until_s))

    def cancel(self) -> None:
        """Make the running job end early."""
        self._cancelled.set()

    def _submit(self, job: Callable[[], object]) -> Future[Any]:
        future = self._synthesis.submit(_guarded, job, self._dequeued.line.id)
        future.add_done_callback(lambda _: self._wake())
        return future

    def _plan(self) -> list[PlannedSegment]:
        line, position = self._dequeued.line, self._dequeued.position
        if self.spoken_text is None:
            voiced = replace(line, voice=self.default_voice) if line.voice is None else line
            self.spoken_text = self._resources.policy.spoken_text(replace(self._dequeued, line=voiced))
        return self.line_synthesis.plan(
            line,
            self.spoken_text,
            position,
            self.default_voice,
            cancelled=self._cancelled.is_set,
            silent_s=self._silent_s,
        )

    def _render(self, coming: Sequence[PlannedSegment], played_until_s: float) -> RenderedRun:
        unplayed_s = played_until_s - time.monotonic()
        run = self.line_synthesis.synthesize_next(coming, unplayed_s, self._cancelled.is_set, self._silent_s)
        sounds = zip(run.coming, run.utterances, strict=False)
        rendered = [self._post_process(planned.segment, utterance) for planned, utterance in sounds]
        return RenderedRun(run.coming, rendered, self.line_synthesis.expected_s(run.coming[len(rendered) :]))

    def _silent_s(self) -> float:
        """How long the listener has heard nothing, in seconds."""
        return max(0.0, time.monotonic() - self.silent_from_s)

    def _post_process(self, segment: Segment, utterance: Utterance) -> RenderedSegment:
        """The sound of a segment as it is played. The first segment of a line follows its chime."""
        sound, remark = self._resources.post_processor.process(utterance, segment.line_id), None
        if segment.index == 0 and self._dequeued.spoken is None:  # a line that goes on has had its chime
            try:
                chime = self._resources.policy.chime(self._dequeued.line)
            except OperatorFileError as error:
                chime, remark = None, f"the chime was not played: {error}"
            if chime is not None:
                samples, rate_hz = chime
                sound = np.concatenate([resample(samples, rate_hz, self._resources.player.rate_hz), sound])
        return RenderedSegment(utterance, sound, remark)


def _guarded(job: Callable[[], object], line_id: str) -> object:
    """Turn unexpected exceptions into the failure of this line, so that they do not end the scheduler thread."""
    try:
        return job()
    except (IShowError, Cancelled):
        raise
    except Exception as error:
        log.exception("a text could not be spoken", extra=log_fields(line_id=line_id))
        raise SynthesisError(
            f"the text cannot be spoken ({type(error).__name__}); the daemon's log says more"
        ) from error
