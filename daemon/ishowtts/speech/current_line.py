"""The line that is being spoken, and what becomes of it in the inbox: finished, failed, cancelled or put back."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, LineError, VoiceError, WorkerDied
from ishowtts.inbox import Inbox
from ishowtts.model import Line, Outcome, Priority, Report
from ishowtts.playback.player import Player
from ishowtts.speech.line_notes import LineNotes
from ishowtts.speech.retry import EngineBackoff, HeldLines
from ishowtts.speech.speech_task import SpeechTask
from ishowtts.util.logs import Untrusted, log_fields

log = logging.getLogger(__name__)

_MAX_INTERRUPTED = 64  # a line that is cancelled while it waits leaves its notes behind


class CurrentLine:
    """Holds at most one task. Only the scheduler thread may call; no method waits.

    Args:
        backoff: Told when no engine can speak.
        held_lines: Told when nobody can speak a line, while others can be spoken.
        on_report: Told of each line that was spoken to its end.
        wake: Called when the next line can be taken.
    """

    def __init__(
        self,
        inbox: Inbox,
        player: Player,
        backoff: EngineBackoff,
        held_lines: HeldLines,
        *,
        on_report: Callable[[Report], None],
        wake: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._player = player
        self._backoff = backoff
        self._held_lines = held_lines
        self._on_report = on_report
        self._wake = wake
        self._task: SpeechTask | None = None
        self._suspect: int | None = None  # number of the line at which an engine failed last; it has one more try
        self._heard_until_s = -math.inf
        self._earlier_notes: dict[int, LineNotes] = {}  # by number of the line, of those that were interrupted

    @property
    def task(self) -> SpeechTask | None:
        """The task of the line; `None` if no line is being spoken."""
        return self._task

    @property
    def heard_until_s(self) -> float:
        """When the last line that was audible ended, in monotonic seconds."""
        return self._heard_until_s

    def begin(self, task: SpeechTask) -> None:
        """Make this the current line."""
        self._task = task
        if (earlier := self._earlier_notes.pop(task.dequeued.seq, None)) is not None:
            task.notes.add_earlier(earlier)

    def step(self) -> None:
        """Move the line along. If it is over, or cannot be spoken, end it or put it back.

        Raises:
            SpeakerError: The sound device was lost; the line is still the current one.
        """
        task = self._task
        if task is None:
            return
        position = task.position
        try:
            finished = task.step()
        except EngineUnavailable as error:
            self._engine_unavailable(task, error)
        except WorkerDied as error:
            self._retry_once(task, error)
        except (LineError, VoiceError, Cancelled, CancelledError) as error:
            self.fail(str(error) or "cancelled")
        except EngineError as error:
            self._postpone(task, error)
        else:
            if task.audible and not task.start_reported:
                self._report_start(task)
            if finished:
                self._on_report(task.report())
                self._end(task, Outcome.FINISHED, task.finished_data())
            elif task.position > position:
                self._save_position(task)

    def cancel(self, by: str) -> Line | None:
        """Stop the line, with the outcome `cancelled`; return it.

        Args:
            by: The command that cancels it.
        """
        task = self._task
        if task is None:
            return None
        task.stop()
        self._end(task, Outcome.CANCELLED, {"by": by})
        return task.dequeued.line

    def fail(self, error: str) -> None:
        """Stop the line, with the outcome `failed`."""
        if self._task is not None:
            self._task.stop()
            self._end(self._task, Outcome.FAILED, {"error": error})

    def interrupt(self) -> None:
        """Put the line back into the queue. It will go on from the start of the segment that was cut off."""
        task = self._task
        if task is None:
            return
        if not task.start_reported:
            self.put_back()
        else:
            task.stop()
            task.end_recording("interrupted")
            self._save_position(task)
            log_failure(self._inbox.interrupt(task.dequeued.seq))
            self._keep_notes(task)
            self._task = None
        self._wake()

    def put_back(self) -> None:
        """Put the line back into the queue, at its place, without an event."""
        if self._task is not None:
            self._task.stop()
            self._task.end_recording("interrupted")
            log_failure(self._inbox.postpone(self._task.dequeued.seq))
            self._keep_notes(self._task)
            self._task = None

    def _keep_notes(self, task: SpeechTask) -> None:
        """Keep what is known of the part that was played, for the end of the line."""
        if task.audible:
            self._earlier_notes[task.dequeued.seq] = task.notes
            while len(self._earlier_notes) > _MAX_INTERRUPTED:
                del self._earlier_notes[next(iter(self._earlier_notes))]

    def _engine_unavailable(self, task: SpeechTask, error: EngineUnavailable) -> None:
        if task.voice_unusable:
            self._hold_voice(task, error)
        elif task.engine_error:
            # The line may be what the engine fails at: without the limit it would hold up all others.
            self._retry_once(task, error)
        elif task.other_lines_can_be_spoken and self._may_be_passed(task):
            self._hold_line(task, error)
        else:
            self._postpone(task, error)

    def _may_be_passed(self, task: SpeechTask) -> bool:
        """Whether a line may be held alone. An urgent one that waits would interrupt each line that passes it."""
        return task.dequeued.line.priority < Priority.URGENT and not self._held_lines.full

    def _hold_voice(self, task: SpeechTask, error: EngineError) -> None:
        """Nobody can speak in the voice of this line: its lines wait, and all others pass them."""
        line = task.dequeued.line
        if self._held_lines.hold(line.voice, str(error)):
            _log_waiting("line %r waits, and others in its voice: %s", line.id, error)
        self.put_back()
        self._wake()

    def _hold_line(self, task: SpeechTask, error: EngineError) -> None:
        """The engine that speaks the language of this line is away: the line waits, and all others pass it."""
        if self._held_lines.hold(task.dequeued.seq, str(error)):
            _log_waiting("line %r waits: %s", task.dequeued.line.id, error)
        self.put_back()
        self._wake()

    def _retry_once(self, task: SpeechTask, error: EngineError) -> None:
        """An engine failed at this line and no other could go on: the line has one more try, no third."""
        seq = task.dequeued.seq
        if self._suspect == seq:
            first = task.engine_error if task.engine_error and task.engine_error not in str(error) else None
            self.fail("; ".join(filter(None, (first, str(error)))))
        else:
            self._suspect = seq
            self._postpone(task, error)
            self._backoff.shorten()  # several such lines in a row must not delay the others more and more

    def _postpone(self, task: SpeechTask, error: EngineError) -> None:
        """No engine can speak now: the line waits at its place for the next try."""
        if self._backoff.reason is None:
            _log_waiting("line %r waits: %s", task.dequeued.line.id, error)
        self.put_back()
        self._backoff.start(str(error))

    def _report_start(self, task: SpeechTask) -> None:
        """The line is audible: record `started` or `resumed`, with the volume if a policy changed it."""
        task.start_reported = True
        line = task.dequeued.line
        self._held_lines.spoke(line.voice, task.dequeued.seq)
        self._backoff.reset()
        data: dict[str, object] = {"muted": self._player.muted}
        if task.volume != line.volume:
            data["volume"] = task.volume
        begin = self._inbox.resumed if task.dequeued.was_started else self._inbox.started
        log_failure(begin(task.dequeued.seq, data))

    def _save_position(self, task: SpeechTask) -> None:
        if task.spoken_text is not None:
            log_failure(self._inbox.reached(task.dequeued.seq, task.spoken_text, task.position))

    def _end(self, task: SpeechTask, outcome: Outcome, data: dict[str, object]) -> None:
        task.end_recording(outcome.value)
        log_failure(self._inbox.finish(task.dequeued.seq, outcome, data, task.spoken_text))
        self._task = None
        if task.audible:
            self._heard_until_s = time.monotonic()
        self._wake()


def _log_waiting(words: str, line_id: str, error: EngineError) -> None:
    log.warning(words, Untrusted(line_id), error, extra=log_fields(line_id=line_id))


def log_failure(change: Future[Any]) -> None:
    """Log an error if the inbox does not keep a change. Nobody waits for the change."""

    def done(change: Future[Any]) -> None:
        if (error := change.exception()) is not None:
            log.error("the inbox did not keep what became of a line: %s", error)

    change.add_done_callback(done)
