"""Takes the next line from the inbox, moves the current line along, and executes commands at once."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from ishowtts.errors import Cancelled, IShowError, SpeakerError
from ishowtts.inbox import DequeuedLine, Inbox
from ishowtts.model import Line, Priority, Report
from ishowtts.speech.current_line import CurrentLine, log_failure
from ishowtts.speech.pending_commands import Execute, PendingCommands
from ishowtts.speech.prefetch import Prefetcher
from ishowtts.speech.retry import EngineBackoff, HeldLines
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.speech.speech_progress import SpeechProgress
from ishowtts.speech.speech_task import SpeechTask
from ishowtts.speech.synthesis_thread import NextRender, SynthesisThread
from ishowtts.util.logs import Untrusted, log_fields
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_POLL_S = 0.5  # how often expiry and the return of a device are checked if nothing wakes the thread
_FIRST_SOUND_S = 0.05  # the player wakes nobody when a line begins to sound


@dataclass(frozen=True)
class SchedulerStatus:
    """What the scheduler does now.

    Attributes:
        speaking: The line that is heard, if any.
        blocked_by: Why no line is taken from the queue; `None` if lines are taken.
        retry_reason: Why no engine could speak a line that was tried and waits again; `None` if none waits so.
        prepared: Whether everything is loaded that the first line needs.
        progress: How far the line was that is heard when its current segment began; `None` if none is heard.
    """

    speaking: Line | None
    paused: bool
    blocked_by: str | None
    retry_reason: str | None = None
    prepared: bool = True
    progress: SpeechProgress | None = None


class Scheduler(LoopThread):
    """The thread `scheduler`, the only one that moves lines along. It waits for no disk, engine or device.

    Args:
        available: Whether any engine can speak now; lines wait while none can.
        pause_s: Pause between two lines, in seconds.
        drop_when_lost: Whether lines fail while the sound device is lost; else they wait.
        on_change: Called on the scheduler thread when `status` changed.
        on_report: Told of each line that was spoken to its end.
        next_render: Gives the jobs of renders to the thread `synthesis`, which runs them while no line needs it.
    """

    def __init__(
        self,
        inbox: Inbox,
        resources: SpeechResources,
        *,
        available: Callable[[], bool],
        paused: bool,
        pause_s: float = 0.0,
        drop_when_lost: bool = False,
        on_change: Callable[[], None],
        on_report: Callable[[Report], None],
        next_render: NextRender = lambda _spare_s: None,
    ) -> None:
        super().__init__("scheduler")
        self._inbox = inbox
        self._resources = resources
        self._player = resources.player
        self._available = available
        self._on_change = on_change
        self._paused = paused
        self._pause_s = pause_s
        self._drop_when_lost = drop_when_lost
        self._status = SchedulerStatus(None, paused, None, prepared=False)
        self._prepared: Future[None] | None = None
        self._closing_soon = threading.Event()
        self._changes: queue.SimpleQueue[tuple[SpeechResources, float, bool]] = queue.SimpleQueue()
        self._commands = PendingCommands()
        self._synthesis = SynthesisThread("synthesis", next_render)
        self._backoff = EngineBackoff()
        self._held_lines = HeldLines(resources.synthesizer.working_engines)
        self._current = CurrentLine(
            inbox, self._player, self._backoff, self._held_lines, on_report=on_report, wake=self.wake
        )
        self._prefetcher = Prefetcher(
            inbox,
            min_priority=self._min_priority,
            held_lines=self._held_lines.now,
            make_task=self._make_task,
            wake=self.wake,
        )

    def change(self, resources: SpeechResources, *, pause_s: float, drop_when_lost: bool) -> None:
        """Speak the next lines in another way. Any thread may call.

        The current line goes on as it began. What was prepared of the next one is dropped.

        Args:
            resources: With the same synthesizer and player as before.
            pause_s, drop_when_lost: See the class.
        """
        self._changes.put((resources, pause_s, drop_when_lost))
        self.wake()

    @property
    def status(self) -> SchedulerStatus:
        """What goes on now. Any thread may ask."""
        return self._status

    def synthesis_alive(self) -> bool:
        """Whether the thread `synthesis` runs, or is not meant to run."""
        return self._synthesis.alive()

    def synthesis_busy_s(self) -> float:
        """How long the current job of the thread `synthesis` has been running; 0 if there is none."""
        return self._synthesis.busy_s()

    def renders_changed(self) -> None:
        """Have the thread `synthesis` ask for a render again. Any thread may call."""
        self._synthesis.wake()

    def submit(self, execute: Execute, *, kind: str = "", same: Hashable = None) -> bool:
        """Run a command on the scheduler thread, between two steps; `False` if too many of its kind are open.

        Args:
            execute: Returns a future if the command is not finished on return. It counts until the future is done.
            kind: What the limit is counted for, such as the name of the command.
            same: Equal for two commands that mean the same. Of those that wait in a row only one is kept. `None` never
                equals another.
        """
        added = self._commands.add(kind, object() if same is None else same, execute)
        self.wake()
        return added

    def start(self) -> None:
        """Start the thread, and prepare for the first line."""
        self._prepared = self._synthesis.submit(self._prepare)
        self._prepared.add_done_callback(lambda _: self.wake())
        super().start()

    def close(self, timeout_s: float) -> None:
        """Put the current line back into the queue, at its place, and end the thread."""
        self._closing_soon.set()
        super().close(timeout_s)
        self._synthesis.shutdown(wait=False, cancel_futures=True)

    def run_once(self, last: bool) -> float:
        """Execute commands, move the current line along, take the next one."""
        if last:
            self._put_back_all()
            return _POLL_S
        while not self._changes.empty():
            self._resources, self._pause_s, self._drop_when_lost = self._changes.get()
            self._prefetcher.drop()
        # A line that is being taken is neither in the queue nor current: a command about it must not miss it.
        if self._commands and self._withdraw_take():
            for execute in self._commands.take():
                execute()
        self._speak()
        self._synthesis.allow_renders(self._renders_until_s())
        self._update_status()
        if self._status.progress is not None and self._status.progress.since is None and not self._paused:
            return _FIRST_SOUND_S
        pause_left_s = self._pause_until_s() - time.monotonic()
        return min(pause_left_s, _POLL_S) if pause_left_s > 0 else _POLL_S

    def voices_changed(self) -> None:
        """Try the lines that wait for a voice again now. Any thread may call."""
        self.submit(self._held_lines.release, kind="voices", same="voices")

    # The following run on the scheduler thread only, through `submit`.

    @property
    def current_line(self) -> Line | None:
        """The line that was taken from the queue and is not finished."""
        task = self._current.task
        return None if task is None else task.dequeued.line

    def cancel_current(self, by: str) -> Line | None:
        """End the current line with the outcome `cancelled`; return it."""
        return self._current.cancel(by)

    def set_paused(self, paused: bool) -> None:
        """Pause the sound and the queue, or resume them."""
        self._paused = paused
        if paused:
            self._player.pause()
        else:
            self._player.resume()

    def _prepare(self) -> None:
        """Go the way of a line once without sound, on the thread `synthesis`, so that nothing is loaded later."""
        resources, closing = self._resources, self._closing_soon.is_set
        engine = partial(resources.synthesizer.prepare, closing)
        for prepare in (resources.post_processor.prepare, resources.policy.prepare, engine):
            try:
                if not closing():
                    prepare()
            except (IShowError, Cancelled) as error:
                log.debug("not prepared for the first line: %s", error)  # the state says what does not work
            except Exception:
                log.exception("a part could not be prepared for the first line")

    def _speak(self) -> None:
        """Move the current line along. Without one, take the next; with one, prefetch the next."""
        self._inbox.expire()
        if not self._paused:
            self._step_current()
        task = self._current.task
        if task is None:
            can_take = self._can_take()
            if can_take:
                self._held_lines.release_next()
            self._begin(self._prefetcher.next(can_take))
        else:
            engine_idle = not task.needs_engine and not self._paused and self._available()
            self._prefetcher.prefetch(engine_idle)

    def _renders_until_s(self) -> float:
        """Until when no line needs the engine. Between two jobs of a line there is no time for a render."""
        if self._paused:
            return math.inf
        task, now_s = self._current.task, time.monotonic()
        if task is None:
            return self._prefetcher.engine_free_until_s(now_s)
        until_s = task.engine_free_until_s(now_s)
        return min(until_s, self._prefetcher.engine_free_until_s(task.played_until_s(now_s)))

    def _step_current(self) -> None:
        task = self._current.task
        if task is None:
            return
        line = task.dequeued.line
        if line.priority < Priority.URGENT and self._urgent_waiting():
            self._interrupt()
            return
        try:
            self._current.step()
        except SpeakerError as error:
            if self._drop_when_lost:
                self._current.fail(str(error))
            else:
                fields = log_fields(line_id=line.id)
                log.warning("line %s waits: %s", Untrusted(line.id), error, extra=fields)
                self._interrupt()

    def _can_take(self) -> bool:
        """Whether the next line may be taken now. An urgent line does not wait for the pause between two lines."""
        if self._paused or self._blocked_by() is not None or self._backoff.waiting:
            return False
        return time.monotonic() >= self._pause_until_s() or self._urgent_waiting()

    def _blocked_by(self) -> str | None:
        lost = self._player.status().lost
        if lost and not self._drop_when_lost:
            return lost
        return None if self._available() else "no engine is ready"

    def _urgent_waiting(self) -> bool:
        return self._inbox.urgent_waiting(self._held_lines.now())

    def _pause_until_s(self) -> float:
        return self._current.heard_until_s + self._pause_s

    def _begin(self, task: SpeechTask | None) -> None:
        """Make a line that was taken the current one, unless the device was lost since."""
        if task is None:
            return
        self._current.begin(task)
        lost = self._player.status().lost
        if lost and self._drop_when_lost:
            self._current.fail(lost)
        else:
            self.wake()

    def _withdraw_take(self) -> bool:
        """Withdraw the pending take; whether no line is on its way any more. One that was taken already is begun."""
        self._begin(self._prefetcher.withdraw())
        return not self._prefetcher.take_pending

    def _interrupt(self) -> None:
        """Put the current line back, for an urgent line or because the device was lost."""
        self._prefetcher.drop()
        self._current.interrupt()

    def _put_back_all(self) -> None:
        """Put back the current line and one that is being taken: the thread ends."""
        try:
            dequeued = self._prefetcher.close()
        except IShowError as error:
            log.error("the next line stays where it is: %s", error)
        else:
            if dequeued is not None:
                log_failure(self._inbox.postpone(dequeued.seq))
        self._current.interrupt()

    def _min_priority(self) -> Priority:
        return self._resources.policy.min_priority()

    def _make_task(self, dequeued: DequeuedLine) -> SpeechTask:
        return SpeechTask(dequeued, self._resources, self._synthesis, self.wake)

    def _update_status(self) -> None:
        task = self._current.task
        progress = None if task is None else task.progress
        speaking = task.dequeued.line if task is not None and progress is not None else None
        nothing_waits = task is None and self._inbox.depth() == 0
        if not self._available():
            self._backoff.reset()  # an engine that is unavailable says so itself
        elif nothing_waits:
            self._backoff.reset_if_old()
        if nothing_waits:
            self._held_lines.release_if_old()
        retry_reason = self._backoff.reason or self._held_lines.reason
        prepared = self._prepared is not None and self._prepared.done()
        status = SchedulerStatus(speaking, self._paused, self._blocked_by(), retry_reason, prepared, progress)
        if status != self._status:
            self._status = status
            self._on_change()
