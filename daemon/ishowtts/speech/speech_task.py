"""Speaks one line: its segments are synthesised ahead, alone or several in one run, and played without a gap."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from ishowtts.archive import Recording, RecordingInProgress
from ishowtts.errors import Cancelled, EngineError, LineError, SpeakerError, SynthesisError
from ishowtts.inbox import DequeuedLine
from ishowtts.model import Report, Utterance
from ishowtts.playback.playback_buffer import Playing
from ishowtts.speech.engine_seam import EDGE_FADE_S, after_other_engine
from ishowtts.speech.line_notes import LineNotes
from ishowtts.speech.line_stats import LineStats, event_data
from ishowtts.speech.line_synthesis import PlannedSegment
from ishowtts.speech.segment_planner import MARGIN
from ishowtts.speech.segment_renderer import RenderedRun, RenderedSegment, SegmentRenderer, SpeechResources
from ishowtts.speech.speech_progress import ProgressMeter, SpeechProgress

_MAX_PLAYING = 2  # segments with the player: the one that is heard and one that waits


class TaskState(Enum):
    """How far a line is. The states follow each other in this order; `stop` leads to `STOPPED` from any of them."""

    NEW = auto()
    """Nothing was done yet."""
    PLANNING = auto()
    """The text is read and split into segments."""
    SYNTHESIZING = auto()
    """Segments are synthesised, and played as they come."""
    DRAINING = auto()
    """All segments are with the player; the rest of them is heard."""
    FINISHED = auto()
    """All of the line was heard."""
    STOPPED = auto()
    """The line was stopped; nothing more of it is heard."""


@dataclass(frozen=True)
class _PlayingSegment:
    position: int
    utterance: Utterance
    playing: Playing

    def ends_s(self, now_s: float) -> float:
        """When it ends, at the earliest, in monotonic seconds; `now_s` is when it begins if it has not begun."""
        began_s = now_s if self.playing.started_at is None else self.playing.started_at
        return began_s + self.utterance.audio_s - self.playing.overlap_s


class SpeechTask:
    """One line that is spoken. Its methods never wait: `step` does what can be done now.

    A task can be prefetched: until `begin` nothing of it is heard.

    Args:
        dequeued: The line, and how much of it was heard before.
        synthesis: Runs one job at a time, on a thread other than the scheduler's.
        wake: Called whenever `step` has more to do.
    """

    def __init__(
        self, dequeued: DequeuedLine, resources: SpeechResources, synthesis: Executor, wake: Callable[[], None]
    ) -> None:
        self.dequeued = dequeued
        self.start_reported = False  # set by the caller once it has told the inbox
        self.volume: int | None = None
        self.notes = LineNotes()
        self._resources = resources
        self._wake = wake
        self._renderer = SegmentRenderer(dequeued, resources, synthesis, wake)
        self._state = TaskState.NEW
        self._job: Future[Any] | None = None  # the plan, later one run after another; `None` between them
        self._segments: list[PlannedSegment] = []
        self._next = 0  # the first segment that is not with the player yet
        self._next_synthesis_s = 0.0  # how long it should take to synthesise
        self._playing: list[_PlayingSegment] = []
        self._recording: RecordingInProgress | None = None
        self._stats = LineStats()
        self._meter = ProgressMeter()

    @property
    def progress(self) -> SpeechProgress | None:
        """How far the line was when its current segment began; `None` before anything has gone to the player."""
        return self._meter.progress

    @property
    def spoken_text(self) -> str | None:
        """The text as it is read aloud; `None` before it was read."""
        return self._renderer.spoken_text

    @property
    def position(self) -> int:
        """Where the segment begins that is heard now or next, in characters of `spoken_text`.

        A segment's number would not do: another engine, or the next start, may split the text elsewhere.
        """
        if self._playing:
            return self._playing[0].position
        if self._next < len(self._segments):
            return self._segments[self._next].position
        return self.dequeued.position

    @property
    def needs_engine(self) -> bool:
        """Whether there is more to synthesise."""
        return self._state in (TaskState.NEW, TaskState.PLANNING, TaskState.SYNTHESIZING)

    def played_until_s(self, begins_s: float) -> float:
        """When all sound that is made will have been heard, at the earliest, in monotonic seconds.

        Args:
            begins_s: When sound can begin that has not begun.
        """
        for segment in self._playing:
            begins_s = segment.ends_s(begins_s)
        return begins_s

    def engine_free_until_s(self, begins_s: float) -> float:
        """Until when the engine may do something else, in monotonic seconds: the sound that is made must last longer.

        Args:
            begins_s: When sound can begin that has not begun.

        Returns: infinity if there is nothing more to synthesise; minus infinity if the engine is needed now.
        """
        if not self.needs_engine or (self._job is not None and self._job.done() and _failed(self._job)):
            return math.inf
        prefetched = None if self._job is None or not self._job.done() else self._job.result()
        if isinstance(prefetched, RenderedRun):  # its sound is not with the player yet
            made_s = sum(rendered.utterance.audio_s for rendered in prefetched.rendered)
            is_all, next_s = len(prefetched.rendered) == len(prefetched.coming), prefetched.next_s
        elif self._job is None and len(self._playing) >= _MAX_PLAYING:
            made_s, is_all, next_s = 0.0, False, self._next_synthesis_s
        else:
            return -math.inf
        return math.inf if is_all else self.played_until_s(begins_s) + made_s - MARGIN * next_s

    @property
    def audible(self) -> bool:
        """Whether anything of this line has gone to the player."""
        return self._stats.last is not None

    @property
    def engine_error(self) -> str | None:
        """How an engine failed at this line, if one did. The line itself may be the cause."""
        return self._renderer.line_synthesis.engines.engine_error

    @property
    def other_lines_can_be_spoken(self) -> bool:
        """Whether an engine works, but none that speaks the language of this line."""
        return bool(self._resources.synthesizer.working_engines() - self._renderer.line_synthesis.engines.failed)

    @property
    def voice_unusable(self) -> bool:
        """Whether an engine cannot use the voice of this line. It can speak in other voices."""
        return self._renderer.line_synthesis.engines.voice_unusable

    def prefetch(self) -> None:
        """Prepare the first segment. Errors do not matter here: they show once the line is spoken."""
        with suppress(LineError, EngineError, Cancelled, CancelledError):
            self._plan()
            self._synthesize_next()

    def is_valid_for(self, dequeued: DequeuedLine) -> bool:
        """Whether what was prefetched is what must be spoken now."""
        mine = self.dequeued
        same = (mine.seq, mine.position, mine.times) == (dequeued.seq, dequeued.position, dequeued.times)
        failed = self._job is not None and self._job.done() and _failed(self._job)
        in_voice = mine.line.voice is not None or self._renderer.default_voice == self._resources.default_voice()
        return same and in_voice and not failed and not self._renderer.line_synthesis.engines.outdated

    def begin(self, dequeued: DequeuedLine) -> None:
        """Let the line be heard from now on.

        Args:
            dequeued: The line as it was taken. `is_valid_for` must hold for it if the task was prefetched.
        """
        self.dequeued = dequeued
        self.volume = self._resources.policy.volume(dequeued.line, self._resources.player.volume)
        self._stats = LineStats()
        self._renderer.silent_from_s = time.monotonic()

    def finished_data(self) -> dict[str, object]:
        """The fields of the `finished` event, once `step` returned `True`."""
        volume = self._resources.player.volume if self.volume is None else self.volume
        return {**event_data(self.report()), **self.notes.event_data(volume)}

    def step(self) -> bool:
        """Do what can be done now; `True` once all of the line was heard.

        Raises:
            LineError, EngineError: The line cannot be spoken.
            SpeakerError: The device was lost; `position` says where to go on.
        """
        self._plan()
        self._play_rendered()
        self._synthesize_next()
        self._follow_playback()
        if self._playing:
            self._meter.follow(self._playing[0].playing, self._next - len(self._playing), self._segments)
        return self._state is TaskState.FINISHED

    def stop(self) -> None:
        """End sound and synthesis; drop what was synthesised."""
        self._state = TaskState.STOPPED
        self._renderer.cancel()
        if self._job is not None:
            self._job.cancel()
        if self._playing:
            self._resources.player.stop()
            for segment in self._playing:
                self.notes.played(segment.playing)

    def end_recording(self, outcome: str) -> None:
        """End the recording, if there is one."""
        if self._recording is not None:
            self._recording.end(outcome)

    def report(self) -> Report:
        """How it went, once `step` returned `True`."""
        return self._stats.report(self.dequeued, self._renderer.line_synthesis.engines.first)

    def _plan(self) -> None:
        """NEW, PLANNING: split the line into segments."""
        if self._state is TaskState.NEW:
            self._job = self._renderer.plan()
            self._state = TaskState.PLANNING
        if self._state is TaskState.PLANNING and self._job is not None and self._job.done():
            segments = self._job.result()
            if not segments:
                raise SynthesisError("the text has nothing to speak in it")
            self._segments, self._job = segments, None
            self._state = TaskState.SYNTHESIZING

    def _play_rendered(self) -> None:
        """SYNTHESIZING: give the segments of a finished run to the player, behind those that it plays."""
        if self._state is not TaskState.SYNTHESIZING or self._job is None or not self._job.done():
            return
        if self._playing and _failed(self._job):
            return  # what was made before is heard to its end; only then the line stops or waits
        job, self._job = self._job, None
        run = job.result()
        self._segments[self._next :] = run.coming
        self._next_synthesis_s = run.next_s
        for rendered in run.rendered:
            self._play(rendered)
        if self._next == len(self._segments):
            self._state = TaskState.DRAINING

    def _synthesize_next(self) -> None:
        """SYNTHESIZING: start the next run once no segment waits behind the one that is heard."""
        if self._state is not TaskState.SYNTHESIZING or self._job is not None or len(self._playing) >= _MAX_PLAYING:
            return
        coming = self._segments[self._next :]
        played_until_s = self.played_until_s(time.monotonic())
        if self._playing:
            self._renderer.silent_from_s = played_until_s
        self._job = self._renderer.render(coming, played_until_s)

    def _follow_playback(self) -> None:
        """SYNTHESIZING, DRAINING: forget the segments that were heard to their end; finish after the last one."""
        while self._playing:
            first = self._playing[0]
            playback = first.playing.wait(0)
            self._stats.segment_started(first.playing)
            if playback == "playing":
                return
            if playback != "finished":
                raise SpeakerError(self._resources.player.status().lost or "the sound was stopped")
            self._stats.segment_heard(first.utterance, first.playing)
            self.notes.played(first.playing)
            self.notes.remark(self._resources.player.status().substitute_reason)
            self._playing.pop(0)
            self._wake()  # the next segment can be synthesised
        if self._state is TaskState.DRAINING:
            self._state = TaskState.FINISHED

    def _play(self, rendered: RenderedSegment) -> None:
        """Give the next segment to the player."""
        utterance, sound, before = rendered.utterance, rendered.sound, self._stats.last
        player, planned = self._resources.player, self._segments[self._next]
        seam_s = fade_out_s = 0.0
        if before is not None and before.engine == utterance.engine:
            seam_s = self._renderer.line_synthesis.seam_s(utterance.engine)
        elif before is not None:
            # The sounds of two engines do not match: there is no cross-fade between them.
            text_before = self._segments[self._next - 1].segment.text
            seamed = after_other_engine(utterance, sound, player.rate_hz, before, text_before)
            utterance, sound, fade_out_s = seamed.utterance, seamed.sound, EDGE_FADE_S
        playing = player.play(sound, player.rate_hz, volume=self.volume, seam_s=seam_s, fade_out_s=fade_out_s)
        self._record(utterance, planned.position, playing.overlap_s)
        self._playing.append(_PlayingSegment(planned.position, utterance, playing))
        self._stats.segment_queued(utterance)
        self._meter.queued(planned, utterance, len(sound) / player.rate_hz - playing.overlap_s)
        substitution = self._renderer.line_synthesis.substitution(planned.segment, utterance.engine)
        self.notes.spoken_by(utterance.engine, substitution)
        self.notes.remark(rendered.remark)
        self._next += 1

    def _record(self, utterance: Utterance, position: int, overlap_s: float) -> None:
        if self._resources.recorder is None:
            return
        if self._recording is None:
            start = Recording(self.dequeued.line, self.spoken_text or "", position, time.time())
            self._recording = self._resources.recorder.begin(start)
        self._recording.add(utterance, overlap_s)


def _failed(job: Future[Any]) -> bool:
    """Whether a finished job has no result."""
    return job.cancelled() or job.exception() is not None
