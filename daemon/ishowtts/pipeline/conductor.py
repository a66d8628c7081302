"""The conductor: takes the next line by priority and age, sees it heard, and obeys commands at once."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass

from ishowtts.engines import Cancelled
from ishowtts.errors import EngineError, EngineUnavailable, IShowError, LineError, SpeakerError, WorkerDied
from ishowtts.inbox import Inbox
from ishowtts.pipeline.cast import Cast
from ishowtts.pipeline.performance import Performance
from ishowtts.pipeline.rounds import Rounds
from ishowtts.playback.player import Player
from ishowtts.speech import Line, Outcome, Priority, Report

log = logging.getLogger(__name__)

_LOOK_S = 0.5  # expiry and a returning device are looked for this often when nothing rings


@dataclass(frozen=True)
class Sheet:
    """What the conductor does now. `waits_for` says why nothing is taken from the queue, if so."""

    speaking: Line | None
    paused: bool
    waits_for: str | None


class Conductor(Rounds):
    """The thread `conductor`: the only one that moves a line along.

    Args:
        available: whether anyone can speak now; lines wait while not.
        on_change: told, on the conductor's thread, when the sheet changed.
        on_report: told of each finished line.
    """

    def __init__(
        self,
        inbox: Inbox,
        cast: Cast,
        player: Player,
        *,
        available: Callable[[], bool],
        paused: bool,
        on_change: Callable[[], None],
        on_report: Callable[[Report], None],
    ) -> None:
        super().__init__("conductor")
        self._inbox = inbox
        self._cast = cast
        self._player = player
        self._available = available
        self._on_change = on_change
        self._on_report = on_report
        self._orders: deque[Callable[[], None]] = deque()
        self._paused = paused
        self._now: Performance | None = None
        self._rests_until = 0.0
        self._deadly: int | None = None  # the line that was being spoken when a worker died last
        self._sheet = Sheet(None, paused, None)
        self._synthesis = ThreadPoolExecutor(1, thread_name_prefix="synthesis")

    @property
    def sheet(self) -> Sheet:
        """What is going on now."""
        return self._sheet

    def order(self, order: Callable[[], None]) -> None:
        """Have `order` run between two steps, on the conductor's own thread."""
        self._orders.append(order)
        self.nudge()

    def close(self, timeout_s: float) -> None:
        """Put the line on the air back into the queue, at its position, and end."""
        super().close(timeout_s)
        self._synthesis.shutdown(wait=False, cancel_futures=True)

    def look(self, last: bool) -> float:
        """Obey, move the line on the air along, take the next."""
        try:
            if last:
                self._interrupt()
            else:
                while self._orders:
                    self._orders.popleft()()
                self._advance()
        except IShowError as error:
            # The inbox refuses: nothing is taken, nothing is said twice; the next look tries again.
            log.error("the line on the air stands still: %s", error)
        self._tell()
        return _LOOK_S

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
        if self._paused:
            return
        if self._now is not None:
            self._step(self._now)
        if self._now is None and self._hindrance() is None and time.monotonic() >= self._rests_until:
            self._take()

    def _hindrance(self) -> str | None:
        if lost := self._player.status().lost:
            return lost
        return None if self._available() else "no engine is ready"

    def _take(self) -> None:
        taken = self._inbox.take()
        if taken is None:
            return
        self._now = Performance(taken, self._cast.part(), self._player, self._synthesis, self.nudge)
        self.nudge()

    def _step(self, performance: Performance) -> None:
        if performance.taken.line.priority < Priority.URGENT and self._inbox.waiting_priority() is Priority.URGENT:
            self._interrupt()
            return
        sounded, position = performance.sounds, performance.position
        try:
            done = performance.step()
        except SpeakerError as error:
            log.warning("line %s waits: %s", performance.taken.line.id, error)
            self._interrupt()
        except EngineUnavailable:
            self._postpone(performance)
        except WorkerDied as error:
            self._died(performance, error)
        except (LineError, EngineError, Cancelled, CancelledError) as error:
            performance.stop()
            self._finish(performance, Outcome.FAILED, {"error": str(error) or "cancelled"})
        else:
            if performance.sounds and not sounded:
                self._inbox.started(performance.taken.seq, self._player.muted)
            if done:
                self._finished(performance)
            elif performance.position > position:
                self._inbox.reached(performance.taken.seq, performance.position)

    def _died(self, performance: Performance, error: WorkerDied) -> None:
        """Nobody else could go on: the line has one more try with the next worker, since it may be what kills them."""
        seq = performance.taken.seq
        if self._deadly == seq:
            performance.stop()
            self._finish(performance, Outcome.FAILED, {"error": str(error)})
        else:
            self._deadly = seq
            self._postpone(performance)

    def _postpone(self, performance: Performance) -> None:
        performance.stop()
        self._inbox.postpone(performance.taken.seq)
        self._now = None
        # Its state may lag behind the engine's end: without a rest the line would be taken again at once.
        self._rests_until = time.monotonic() + _LOOK_S

    def _interrupt(self) -> None:
        """The line on the air goes back into the queue, to go on from the start of the segment that was cut."""
        if self._now is not None:
            performance = self._now
            performance.stop()
            if performance.sounds:
                self._inbox.interrupt(performance.taken.seq, performance.position)
            else:
                self._inbox.postpone(performance.taken.seq)
            self._now = None
            self.nudge()

    def _finished(self, performance: Performance) -> None:
        report = performance.report()
        self._on_report(report)
        self._finish(performance, Outcome.FINISHED, as_event(report))

    def _finish(self, performance: Performance, outcome: Outcome, data: dict[str, object]) -> None:
        self._inbox.finish(performance.taken.seq, outcome, data)
        self._now = None
        self.nudge()

    def _tell(self) -> None:
        speaking = self._now.taken.line if self._now is not None and self._now.sounds else None
        sheet = Sheet(speaking, self._paused, self._hindrance())
        if sheet != self._sheet:
            self._sheet = sheet
            self._on_change()


def as_event(report: Report) -> dict[str, object]:
    """A report as the `finished` event shows it; seconds to the millisecond."""
    return {
        "queue_s": round(report.queue_s, 3),
        "synth_s": round(report.synth_s, 3),
        "audio_s": round(report.audio_s, 3),
        "rtf": None if report.rtf is None else round(report.rtf, 4),
        "ttfa_s": None if report.ttfa_s is None else round(report.ttfa_s, 3),
        "engine": report.engine,
        "voice": report.voice,
        "nfe_step": report.nfe_step,
        "cached": report.cached,
    }
