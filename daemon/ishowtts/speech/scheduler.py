"""The conductor: takes the next line by priority and age, sees it heard, and obeys commands at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from ishowtts.archive import Recording, RecordingInProgress
from ishowtts.errors import (
    Cancelled,
    EngineError,
    EngineUnavailable,
    IShowError,
    LineError,
    SpeakerError,
    VoiceError,
    WorkerDied,
)
from ishowtts.inbox import Inbox
from ishowtts.model import Line, Outcome, Priority, Report
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.held_voices import HeldVoices
from ishowtts.speech.line_stats import as_event
from ishowtts.speech.pending_commands import Do, PendingCommands
from ishowtts.speech.prefetch import Prefetcher
from ishowtts.speech.speech_policy import SpeechPolicy
from ishowtts.speech.speech_task import SpeechResources, SpeechTask
from ishowtts.util.logs import Untrusted
from ishowtts.util.loop_thread import LoopThread
from ishowtts.util.timed_executor import TimedExecutor

log = logging.getLogger(__name__)

_LOOK_S = 0.5  # expiry and a returning device are looked for this often when nothing rings
_LONGEST_REST_S = 8.0  # between two tries, while no engine can speak although one is thought to be there


@dataclass(frozen=True)
class SchedulerStatus:
    """What the conductor does now.

    Attributes:
        waits_for: why nothing is taken from the queue, if so.
        put_back_for: why no engine could speak a line that was tried, if so; it waits again.
    """

    speaking: Line | None
    paused: bool
    waits_for: str | None
    put_back_for: str | None = None


class Scheduler(LoopThread):
    """The thread `scheduler`: the only one that moves a line along. It waits for no disk, engine or device.

    Args:
        rules: of the house, about what is spoken now, how loud and in which words.
        finish: makes of what an engine gave what is played.
        available: whether anyone can speak now; lines wait while not.
        pause_s: between two lines.
        drops: whether lines end as failed while the sound device is away; else they wait.
        on_change: told, on the conductor's thread, when the sheet changed.
        on_report: told of each finished line.
        record: begins a recording; `None`: nobody wants one.
    """

    def __init__(
        self,
        inbox: Inbox,
        cast: FallbackSynthesizer,
        player: Player,
        rules: SpeechPolicy,
        finish: PostProcessor,
        *,
        available: Callable[[], bool],
        paused: bool,
        pause_s: float = 0.0,
        drops: bool = False,
        on_change: Callable[[], None],
        on_report: Callable[[Report], None],
        record: Callable[[Recording], RecordingInProgress] | None = None,
    ) -> None:
        super().__init__("scheduler")
        self._inbox = inbox
        self._player = player
        self._rules = rules
        self._polish = finish
        self._available = available
        self._on_change = on_change
        self._on_report = on_report
        self._orders = PendingCommands()
        self._paused = paused
        self._pause_s = pause_s
        self._drops = drops
        self._now: SpeechTask | None = None
        self._rests_until = self._pauses_until = 0.0
        self._rest_s = _LOOK_S
        self._put_back_for: str | None = None
        self._suspect: int | None = None  # the line at which an engine failed last; it has one more try
        self._sheet = SchedulerStatus(None, paused, None)
        self._synthesis = TimedExecutor("synthesis")
        self._held = HeldVoices(lambda: cast.fallback_trouble() is None)
        studio = SpeechResources(cast, player, rules, finish, self._synthesis, self.wake, record)
        self._turns = Prefetcher(
            inbox,
            minimum=rules.min_priority,
            held=self._held.now,
            make=lambda taken: SpeechTask(taken, studio),
            ring=self.wake,
        )

    @property
    def sheet(self) -> SchedulerStatus:
        """What is going on now."""
        return self._sheet

    def synthesis_s(self) -> float:
        """How long the present job of the thread `synthesis` has been running; 0 while there is none."""
        return self._synthesis.busy_s()

    def order(self, order: Do, *, kind: str = "", same: Hashable = None) -> bool:
        """Have `order` run between two steps, on the conductor's own thread; False if too many of its kind are open.

        Args:
            order: gives a future if it is not finished on return; it counts until that is done.
            kind: what the bound is counted for, such as the command's word.
            same: equal for two orders that mean the same, of which one is enough while it waits; `None`: none is.
        """
        taken = self._orders.add(kind, object() if same is None else same, order)
        self.wake()
        return taken

    def start(self) -> None:
        """Begin to go round."""
        self._synthesis.submit(self._polish.prepare)
        self._synthesis.submit(self._rules.prepare)
        super().start()

    def close(self, timeout_s: float) -> None:
        """Put the line on the air back into the queue, at its position, and end."""
        super().close(timeout_s)
        self._synthesis.shutdown(wait=False, cancel_futures=True)

    def run_once(self, last: bool) -> float:
        """Obey, move the line on the air along, take the next."""
        if last:
            self._leave()
            return _LOOK_S
        # A line that is just being taken is one that an order may be about.
        if self._orders and self._recalled():
            for order in self._orders.take():
                order()
        self._advance()
        self._tell()
        left_s = self._pauses_until - time.monotonic()
        return min(left_s, _LOOK_S) if left_s > 0 else _LOOK_S

    def voices_changed(self) -> None:
        """Lines that wait for a voice are tried again now. From any thread."""
        self.order(self._held.release, kind="voices", same="voices")

    # The following run on the conductor's thread only, through `order`.

    def on_the_air(self) -> Line | None:
        """The line that was taken from the queue and is not finished."""
        return self._now.taken.line if self._now else None

    def cancel_current(self, by: str) -> Line | None:
        """End the line on the air; its outcome is `cancelled`."""
        performance = self._now
        if performance is None:
            return None
        performance.stop()
        self._finish(performance, Outcome.CANCELLED, {"by": by})
        return performance.taken.line

    def set_paused(self, paused: bool) -> None:
        """Hold the sound and the queue, or let them go on."""
        self._paused = paused
        if paused:
            self._player.pause()
        else:
            self._player.resume()

    def _advance(self) -> None:
        self._inbox.expire()
        if self._now is not None and not self._paused:
            self._step(self._now)
        if self._now is None:
            if may_take := self._may_take():
                self._held.try_next()
            self._begin(self._turns.next(may_take))
        else:
            idle = not self._now.needs_engine and not self._paused and self._available()
            self._turns.look_ahead(idle)

    def _may_take(self) -> bool:
        now = time.monotonic()
        if self._paused or self._hindrance() is not None or now < self._rests_until:
            return False
        return now >= self._pauses_until or self._inbox.urgent_waiting(self._held.now())

    def _recalled(self) -> bool:
        """Whether no line is between the queue and the air; one that has just been taken is begun."""
        self._begin(self._turns.recall())
        return self._turns.recalled

    def _begin(self, performance: SpeechTask | None) -> None:
        if performance is None:
            return
        lost = self._player.status().lost
        if self._paused:
            performance.stop()
            self._note(self._inbox.postpone(performance.taken.seq))
        elif lost and self._drops:
            performance.stop()
            self._finish(performance, Outcome.FAILED, {"error": lost})
        else:
            self._now = performance
            self.wake()

    def _leave(self) -> None:
        """The last look: what is on the air, or on its way there, goes back."""
        try:
            taken = self._turns.leave()
        except IShowError as error:
            log.error("the next line stays where it is: %s", error)
        else:
            if taken is not None:
                self._note(self._inbox.postpone(taken.seq))
        self._interrupt()

    def _hindrance(self) -> str | None:
        lost = self._player.status().lost
        if lost and not self._drops:
            return lost
        return None if self._available() else "no engine is ready"

    def _spoken(self, voice: str | None) -> None:
        """An engine spoke: earlier failures do not count any more."""
        self._held.spoke(voice)
        self._rest_s, self._put_back_for = _LOOK_S, None

    def _step(self, performance: SpeechTask) -> None:
        if performance.taken.line.priority < Priority.URGENT and self._inbox.urgent_waiting(self._held.now()):
            self._interrupt()
            return
        position = performance.position
        try:
            done = performance.step()
        except SpeakerError as error:
            self._lost(performance, error)
        except EngineUnavailable as error:
            self._without_engine(performance, error)
        except WorkerDied as error:
            self._try_once_more(performance, error)
        except (LineError, VoiceError, Cancelled, CancelledError) as error:
            performance.stop()
            self._finish(performance, Outcome.FAILED, {"error": str(error) or "cancelled"})
        except EngineError as error:
            self._postpone(performance, error)
        else:
            if performance.sounds and not performance.told:
                performance.told = True
                self._spoken(performance.taken.line.voice)
                self._note(self._inbox.started(performance.taken.seq, self._heard_as(performance)))
            if done:
                self._finished(performance)
            elif performance.position > position:
                self._reached(performance)

    def _without_engine(self, performance: SpeechTask, error: EngineUnavailable) -> None:
        if performance.voice_fault:
            self._hold(performance, error)
        elif performance.lead_fault:
            # The line may be what the lead fails at: without this it would hold up all others.
            self._try_once_more(performance, error)
        else:
            self._postpone(performance, error)

    def _heard_as(self, performance: SpeechTask) -> dict[str, object]:
        """What `started` tells besides the wait: a volume only where the house has set another than the line's."""
        told: dict[str, object] = {"muted": self._player.muted}
        if performance.volume != performance.taken.line.volume:
            told["volume"] = performance.volume
        return told

    def _lost(self, performance: SpeechTask, error: SpeakerError) -> None:
        """The sound device is away in the middle of a line."""
        if self._drops:
            performance.stop()
            self._finish(performance, Outcome.FAILED, {"error": str(error)})
        else:
            log.warning("line %s waits: %s", Untrusted(performance.taken.line.id), error)
            self._interrupt()

    def _try_once_more(self, performance: SpeechTask, error: EngineError) -> None:
        """An engine failed at this line and nobody else could go on: the line has one more try, no third."""
        seq = performance.taken.seq
        if self._suspect == seq:
            performance.stop()
            faults = dict.fromkeys(fault for fault in (performance.lead_fault, str(error)) if fault)
            self._finish(performance, Outcome.FAILED, {"error": "; ".join(faults)})
        else:
            self._suspect = seq
            self._postpone(performance, error)
            self._rest_s = _LOOK_S  # such lines, one after another, must not keep the others waiting longer and longer

    def _hold(self, performance: SpeechTask, error: EngineError) -> None:
        """Nobody can speak in the voice of this line: its lines wait, and all others pass them."""
        line = performance.taken.line
        if self._held.hold(line.voice, str(error)):
            log.warning("line %r waits, and others in its voice: %s", Untrusted(line.id), error)
        self._put_back(performance)
        self.wake()

    def _put_back(self, performance: SpeechTask) -> None:
        """The line waits at its place; what was heard of it is known."""
        performance.stop()
        performance.recorded("interrupted")
        self._note(self._inbox.postpone(performance.taken.seq))
        self._now = None

    def _postpone(self, performance: SpeechTask, error: EngineError) -> None:
        """No engine can speak now: the line waits at its place, and the rest before the next try grows."""
        if self._put_back_for is None:
            log.warning("line %r waits: %s", Untrusted(performance.taken.line.id), error)
        self._put_back(performance)
        self._put_back_for = str(error)
        # Its state may lag behind the engine's end: without a rest the line would be taken again at once.
        self._rests_until = time.monotonic() + self._rest_s
        self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)

    def _interrupt(self) -> None:
        """The line on the air goes back into the queue, to go on from the start of the segment that was cut."""
        self._turns.drop_rehearsal()
        if self._now is not None:
            performance = self._now
            performance.stop()
            performance.recorded("interrupted")
            if performance.told:
                self._reached(performance)
                self._note(self._inbox.interrupt(performance.taken.seq))
            else:
                self._note(self._inbox.postpone(performance.taken.seq))
            self._now = None
            self.wake()

    def _reached(self, performance: SpeechTask) -> None:
        if performance.spoken is not None:
            self._note(self._inbox.reached(performance.taken.seq, performance.spoken, performance.position))

    def _finished(self, performance: SpeechTask) -> None:
        report = performance.report()
        self._on_report(report)
        self._finish(performance, Outcome.FINISHED, as_event(report))

    def _finish(self, performance: SpeechTask, outcome: Outcome, data: dict[str, object]) -> None:
        performance.recorded(outcome.value)
        self._note(self._inbox.finish(performance.taken.seq, outcome, data))
        self._now = None
        if performance.sounds:
            self._pauses_until = time.monotonic() + self._pause_s
        self.wake()

    def _note(self, change: Future[Any]) -> None:
        """A change that nobody waits for; should it not be kept, the log says so."""
        change.add_done_callback(_complain)

    def _tell(self) -> None:
        speaking = self._now.taken.line if self._now is not None and self._now.sounds else None
        nothing_waits = self._now is None and self._inbox.depth() == 0
        if not self._available() or (nothing_waits and time.monotonic() > self._rests_until + _LOOK_S):
            self._rest_s, self._put_back_for = _LOOK_S, None  # an engine that is away says so itself
        if nothing_waits:
            self._held.forget_if_old()
        sheet = SchedulerStatus(speaking, self._paused, self._hindrance(), self._put_back_for or self._held.why)
        if sheet != self._sheet:
            self._sheet = sheet
            self._on_change()


def _complain(change: Future[Any]) -> None:
    if (error := change.exception()) is not None:
        log.error("the inbox did not keep what became of a line: %s", error)
