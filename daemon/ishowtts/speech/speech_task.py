"""One line on the air: its segments are synthesised ahead, alone or several in one run, and played without a gap."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ishowtts.archive import Recording, RecordingInProgress
from ishowtts.errors import Cancelled, EngineError, IShowError, LineError, SpeakerError, SynthesisError
from ishowtts.inbox import DequeuedLine
from ishowtts.model import Report, Samples, Segment, Utterance
from ishowtts.playback.playback_buffer import Playing
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.line_stats import LineStats
from ishowtts.speech.segment_planner import MAX_BATCH
from ishowtts.speech.speech_policy import SpeechPolicy
from ishowtts.util.samples import FloatPcm, resample

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Planned:
    """A segment, and where it begins in the text that is read aloud, in characters."""

    segment: Segment
    position: int


@dataclass(frozen=True)
class _Made:
    """An engine's sound, and as it is played, at the player's rate."""

    utterance: Utterance
    sound: Samples | FloatPcm


@dataclass(frozen=True)
class _PlayingSegment:
    position: int
    utterance: Utterance
    playing: Playing

    def ends_at(self, now: float) -> float:
        """When it will have been heard, in monotonic seconds, or before that; `now`: when it begins, if it has not."""
        began_at = now if self.playing.started_at is None else self.playing.started_at
        return began_at + self.utterance.audio_s - self.playing.overlap_s


@dataclass(frozen=True)
class SpeechResources:
    """What every line is spoken with.

    Args:
        finish: makes of what an engine gave what is played.
        synthesis: runs one job at a time, off the conductor's thread.
        ring: wakes the conductor.
        record: begins a recording; `None`: nobody wants one.
    """

    cast: FallbackSynthesizer
    player: Player
    rules: SpeechPolicy
    finish: PostProcessor
    synthesis: Executor
    ring: Callable[[], None]
    record: Callable[[Recording], RecordingInProgress] | None = None


class SpeechTask:
    """Never waits: `step` does what can be done now, and the studio's `ring` is called whenever there is more to do.

    Nothing is heard before `begin`; until then it can be rehearsed.

    Args:
        taken: the line, and how much of it was heard before.
    """

    def __init__(self, taken: DequeuedLine, studio: SpeechResources) -> None:
        self.taken = taken
        self.told = False  # whether `started` was said; the caller's to set
        self.spoken = taken.spoken
        self.volume: int | None = None
        self._studio = studio
        self._part = studio.cast.begin_line()
        self._take: RecordingInProgress | None = None
        self._cut = threading.Event()
        self._plan: list[_Planned] = []  # empty: not planned yet
        self._planning: Future[list[_Planned]] | None = None
        self._rendering: Future[list[_Made]] | None = None
        self._next = 0
        self._on_air: list[_PlayingSegment] = []
        self._heard = LineStats()

    def begin(self, taken: DequeuedLine) -> None:
        """Let it be heard from now on.

        Args:
            taken: the line, as it was taken; `suits` said that what was rehearsed is good for it.
        """
        self.taken = taken
        self.volume = self._studio.rules.volume(taken.line, self._studio.player.volume)
        self._heard = LineStats()

    def suits(self, taken: DequeuedLine) -> bool:
        """Whether what was rehearsed is what is to be said now."""
        mine = self.taken
        same = (mine.seq, mine.position, mine.times) == (taken.seq, taken.position, taken.times)
        jobs = [job for job in (self._planning, self._rendering) if job is not None and job.done()]
        return same and not self._part.outdated and not any(_failed(job) for job in jobs)

    def rehearse(self) -> None:
        """Have the first segment made; what goes wrong shows once the line is spoken."""
        with suppress(LineError, EngineError, Cancelled, CancelledError):
            if self._plan or self._planned():
                self._render()

    @property
    def position(self) -> int:
        """Where in `spoken` the segment begins that is being heard, or is the next to be heard.

        Segments are no measure of that: another engine, or the next start, may cut the text elsewhere.
        """
        if self._on_air:
            return self._on_air[0].position
        if self._next < len(self._plan):
            return self._plan[self._next].position
        return self.taken.position

    @property
    def needs_engine(self) -> bool:
        """Whether there is more to be synthesised."""
        return not self._plan or self._rendering is not None or self._next < len(self._plan)

    @property
    def sounds(self) -> bool:
        """Whether anything of this line has gone to the player."""
        return self._heard.last is not None

    @property
    def lead_fault(self) -> str | None:
        """How the leading engine failed at this line, if it did: the line may be what it fails at."""
        return self._part.primary_error

    @property
    def voice_fault(self) -> bool:
        """Whether the leading engine cannot use the voice of this line; it can speak others."""
        return self._part.voice_unusable

    def step(self) -> bool:
        """Do what can be done now; True once all has been heard.

        Raises:
            LineError, EngineError: the line cannot be spoken.
            SpeakerError: the device was lost; `position` says where to go on.
        """
        if not self._plan and not self._planned():
            return False
        self._collect()
        self._render()
        self._listen()
        return self._next >= len(self._plan) and not self._on_air

    def stop(self) -> None:
        """End sound and synthesis; what was synthesised is dropped."""
        self._cut.set()
        for job in (self._planning, self._rendering):
            if job is not None:
                job.cancel()
        if self._on_air:
            self._studio.player.stop()

    def recorded(self, outcome: str) -> None:
        """End the recording, if there is one."""
        if self._take is not None:
            self._take.end(outcome)

    def report(self) -> Report:
        """How it went, once `step` returned True."""
        return self._heard.report(self.taken, self._part.engine)

    def _planned(self) -> bool:
        """Cut the line into segments; preparing its voice can take seconds, so it is a job of its own."""
        if self._planning is None:
            self._planning = self._submit(self._cut_into_segments)
        if not self._planning.done():
            return False
        self._plan = self._planning.result()
        if not self._plan:
            raise SynthesisError("the text has nothing to speak in it")
        return True

    def _cut_into_segments(self) -> list[_Planned]:
        line, position = self.taken.line, self.taken.position
        if self.spoken is None:
            self.spoken = self._studio.rules.spoken_text(self.taken)
        whole = self.spoken
        parts = self._part.split(line, whole[position:])
        plan = []
        for i, part in enumerate(parts):
            # Not found where a run of punctuation was shortened: then it begins about here.
            position = max(position, whole.find(part, position))
            segment = Segment(line.id, i, len(parts), part, line.voice, line.nfe_step, line.seed, line.speed)
            plan.append(_Planned(segment, position))
            position += len(part)
        return plan

    def _collect(self) -> None:
        """A finished synthesis goes to the player, behind what plays."""
        if self._rendering is None or not self._rendering.done():
            return
        if self._on_air and _failed(self._rendering):
            return  # what was made before is heard to its end, and only then the line stops or waits
        job, self._rendering = self._rendering, None
        for made in job.result():
            self._play(made)

    def _play(self, made: _Made) -> None:
        """The next segment goes on the air."""
        utterance, before = made.utterance, self._heard.last
        # Between two engines nothing matches: their segments stand one behind the other.
        seam_s = self._part.seam_s if before is not None and before.engine == utterance.engine else 0.0
        playing = self._studio.player.play(made.sound, self._studio.player.rate_hz, volume=self.volume, seam_s=seam_s)
        self._record(utterance, playing.overlap_s)
        self._on_air.append(_PlayingSegment(self._plan[self._next].position, utterance, playing))
        self._heard.made(utterance)
        self._next += 1

    def _record(self, utterance: Utterance, overlap_s: float) -> None:
        if self._studio.record is None:
            return
        if self._take is None:
            position = self._plan[self._next].position
            self._take = self._studio.record(Recording(self.taken.line, self.spoken or "", position, time.time()))
        self._take.add(utterance, overlap_s)

    def _render(self) -> None:
        """A run begins once nothing waits behind what is heard; how many are in it, what is heard decides."""
        if self._rendering is not None:
            return
        if self._next < len(self._plan) and len(self._on_air) < 2:
            coming = [planned.segment for planned in self._plan[self._next : self._next + MAX_BATCH]]
            ends_at = time.monotonic()
            for one in self._on_air:
                ends_at = one.ends_at(ends_at)
            self._rendering = self._submit(lambda: self._make(coming, ends_at))

    def _make(self, coming: Sequence[Segment], ends_at: float) -> list[_Made]:
        """On the thread `synthesis`: the sounds of the first of these segments.

        Args:
            ends_at: when all that is on the air will have been heard.
        """
        utterances = self._part.synthesize_next(coming, ends_at - time.monotonic(), self._cut.is_set)
        return [self._finished(segment, utterance) for segment, utterance in zip(coming, utterances, strict=False)]

    def _finished(self, segment: Segment, utterance: Utterance) -> _Made:
        """A segment as it is played, the first one behind its chime."""
        sound = self._studio.finish.process(utterance, segment.line_id)
        if segment.index == 0 and self.taken.spoken is None:  # a line that goes on was announced
            chime = self._studio.rules.chime(self.taken.line)
            if chime is not None:
                samples, rate_hz = chime
                sound = np.concatenate([resample(samples, rate_hz, self._studio.player.rate_hz), sound])
        return _Made(utterance, sound)

    def _listen(self) -> None:
        """Take off the air what was heard to its end."""
        while self._on_air:
            first = self._on_air[0]
            state = first.playing.wait(0)
            self._heard.begun(first.playing)
            if state == "playing":
                return
            if state != "finished":
                raise SpeakerError(self._studio.player.status().lost or "the sound was stopped")
            self._heard.ended(first.utterance, first.playing)
            self._on_air.pop(0)
            self._studio.ring()

    def _submit(self, job: Callable[[], object]) -> Future:  # type: ignore[type-arg]
        future = self._studio.synthesis.submit(_guarded, job)
        future.add_done_callback(lambda _: self._studio.ring())
        return future


def _failed(job: Future[Any]) -> bool:
    """Whether a job that is done has given nothing."""
    return job.cancelled() or job.exception() is not None


def _guarded(job: Callable[[], object]) -> object:
    """Whatever a text makes of reader or engine costs that text, and not the thread that moves lines along."""
    try:
        return job()
    except (IShowError, Cancelled):
        raise
    except Exception as error:
        log.exception("a text could not be spoken")
        raise SynthesisError(
            f"the text cannot be spoken ({type(error).__name__}); the daemon's log says more"
        ) from error
