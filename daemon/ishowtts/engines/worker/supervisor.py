"""The thread that keeps a worker alive: starts it, listens, ends it, and starts it again after a rest."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ishowtts.engines import EngineStats, Progress
from ishowtts.engines.worker.requests import Deadlines, WorkerExit
from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.worker_connection import WorkerConnection
from ishowtts.engines.worker.worker_process import ShutdownTimeouts, WorkerProcess
from ishowtts.errors import EngineUnavailable, IShowError, VoiceError, WorkerDied
from ishowtts.util.backoff import Backoff

_log = logging.getLogger(__name__)


class EngineState(str, Enum):
    """Where an engine behind a worker is."""

    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    RESTARTING = "restarting"
    PARKED = "parked"
    STOPPED = "stopped"


@dataclass(frozen=True)
class RestartBackoff:
    """How long to rest between workers, and when to give up for a while."""

    first_s: float = 0.5
    longest_s: float = 30.0
    park_deaths: int = 5
    park_window_s: float = 600.0
    park_s: float = 3600.0


@dataclass(frozen=True)
class EngineStatus:
    """How an engine is: `detail` says what is wrong, `last_death` why the last worker ended."""

    name: str
    state: EngineState
    rate_hz: int
    detail: str | None = None
    pid: int | None = None
    restarts: int = 0
    last_death: str | None = None
    warm_s: float | None = None
    progress: Progress | None = None


class Supervisor:
    """Keeps one worker at a time.

    Args:
        kind: name of an engine.
        options: its options, JSON-able.
        rate_hz: to expect until the worker says.
        deadlines: what the worker may take.
        backoff: when it is started again.
        grace: how it is ended.
        on_change: called after each change of the status, from the supervisor's thread, and after a voice was set
            aside; it must not raise.
    """

    def __init__(
        self,
        kind: str,
        options: dict[str, Any],
        rate_hz: int,
        *,
        deadlines: Deadlines,
        backoff: RestartBackoff,
        grace: ShutdownTimeouts,
        on_change: Callable[[], None],
    ) -> None:
        self._kind = kind
        self._options = options
        self._deadlines = deadlines
        self._backoff = backoff
        self._grace = grace
        self._on_change = on_change
        self._lock = threading.Condition()
        self._status = EngineStatus(kind, EngineState.STOPPED, rate_hz)
        self._conversation: WorkerConnection | None = None
        self._hopeless: IShowError | None = None
        self._set_aside: dict[str | None, str] = {}
        self._deaths_s: deque[float] = deque()
        self._pauses = Backoff(backoff.first_s, backoff.longest_s)
        self._on_trial = False
        self._retry_asked = False
        self._waker: Waker | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, and with it the first worker. Idempotent until `stop`."""
        with self._lock:
            if self._thread is not None:
                return
            self._waker = Waker()
            self._status = replace(self._status, state=EngineState.STARTING)
            self._thread = threading.Thread(
                target=self._run, args=(self._waker,), name="engine-supervisor", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the worker and the thread. Idempotent."""
        with self._lock:
            thread, waker = self._thread, self._waker
            if thread is None or waker is None:
                return
            waker.stop()
        grace = self._grace
        thread.join(grace.leave_s + grace.abort_s + 2 * grace.reap_s + 5)
        with self._lock:
            if thread.is_alive():
                _log.error("the engine's thread does not end; it is left behind with its worker")
                return
            if self._thread is thread:
                waker.close()
                self._thread = self._waker = None

    def retry_now(self) -> None:
        """Start a parked or resting engine at once; voices that were set aside get another chance."""
        with self._lock:
            self._set_aside.clear()
            self._retry_asked = self._status.state is not EngineState.READY
            if self._waker is not None:
                self._waker.wake()

    def status(self) -> EngineStatus:
        """How it is now."""
        with self._lock:
            return self._status

    def vitals(self) -> EngineStats:
        """What the worker said of itself last; where there is none, nothing."""
        with self._lock:
            return EngineStats() if self._conversation is None else self._conversation.vitals

    def hopeless(self) -> IShowError | None:
        """The fault that only an operator can mend, where there is one."""
        with self._lock:
            return self._hopeless

    def await_change(self, since: EngineStatus) -> EngineStatus:
        """The first status other than `since`. It ends: a started engine becomes ready, parked or stopped."""
        with self._lock:
            while self._status == since and self._thread is not None:
                self._lock.wait(1.0)
            return self._status

    def conversation(self, voice: str | None) -> WorkerConnection:
        """The way to the warm worker, for a voice.

        Raises:
            VoiceError: the voice is set aside, because it ended a worker or made implausible sound.
            EngineUnavailable: there is no warm worker now.
        """
        with self._lock:
            if (reason := self._set_aside.get(voice)) is not None:
                raise VoiceError(_set_aside_sentence(voice, reason))
            if self._conversation is None or self._status.state is not EngineState.READY:
                detail = f": {self._status.detail}" if self._status.detail else ""
                raise EngineUnavailable(f"the engine {self._kind} is {self._status.state.value}{detail}")
            return self._conversation

    def set_aside(self, voice: str | None, reason: str) -> None:
        """Use a voice no more until its files change."""
        with self._lock:
            self._set_aside[voice] = reason
        self._on_change()

    def voices_set_aside(self) -> list[str]:
        """A sentence for each voice that is set aside."""
        with self._lock:
            return [_set_aside_sentence(voice, reason) for voice, reason in self._set_aside.items()]

    def alive(self) -> bool:
        """Whether the thread runs, or is not to run."""
        with self._lock:
            return self._thread is None or self._thread.is_alive()

    def forget(self, voice: str | None) -> None:
        """A voice has changed: it is prepared anew, and gets another chance where it was set aside."""
        with self._lock:
            self._set_aside.pop(voice, None)
            if self._conversation is not None:
                self._conversation.forget(voice)

    def succeeded(self) -> None:
        """A segment was spoken: what went before does not count against the worker any more."""
        with self._lock:
            self._pauses.reset()
            self._on_trial = False

    def _run(self, waker: Waker) -> None:
        try:
            while not waker.stopping:
                ending = self._live(waker)
                if not waker.stopping:
                    self._rest(ending, waker)
        finally:
            self._publish(state=EngineState.STOPPED, pid=None, progress=None)

    def _live(self, waker: Waker) -> WorkerExit:
        """One worker, from its start to its end."""
        self._publish(state=EngineState.STARTING, detail=None, progress=None, warm_s=None)
        try:
            process = WorkerProcess()
        except WorkerDied as error:
            return WorkerExit(str(error))
        conversation = WorkerConnection(
            process.channel,
            self._kind,
            self._options,
            self._deadlines,
            waker=waker,
            on_phase=self._enter_phase,
        )
        with self._lock:
            self._conversation = conversation
        self._publish(pid=process.pid)
        ending = WorkerExit("the engine's thread failed", hung=True)
        try:
            ending = conversation.hear()
        finally:
            with self._lock:
                self._conversation = None
            if not waker.stopping:
                self._publish(state=EngineState.RESTARTING, detail=ending.reason)
            reaped = process.end(abort=ending.hung, grace=self._grace)
        if not reaped:
            self._await_unendable(process, ending, waker)
        reason = f"{ending.reason} ({process.how_it_ended()})"
        if not waker.stopping:
            _log.error("worker %d: %s", process.pid, reason)
        return replace(ending, reason=reason)

    def _enter_phase(self, phase: str, progress: Progress | None) -> None:
        with self._lock:
            ready = self._conversation.ready if self._conversation else None
            if ready is not None:
                self._hopeless = None
        if ready is None:
            self._publish(state=EngineState(phase), progress=progress)
        else:
            _log.info("the engine %s is ready after %.1f s", ready.name, ready.warm_s)
            self._publish(
                state=EngineState.READY,
                name=ready.name,
                rate_hz=ready.rate_hz,
                warm_s=ready.warm_s,
                progress=None,
            )

    def _await_unendable(self, process: WorkerProcess, ending: WorkerExit, waker: Waker) -> None:
        """Two workers would fight for one GPU: none is started while the last one cannot be ended."""
        detail = (
            f"worker {process.pid} cannot be ended, so no new one is started; "
            f"a restart of the board mends it ({ending.reason})"
        )
        _log.critical("%s", detail)
        self._publish(state=EngineState.PARKED, detail=detail, last_death=ending.reason, progress=None)
        while not waker.stopping and not process.reap(self._grace.reap_s):
            pass

    def _rest(self, ending: WorkerExit, waker: Waker) -> None:
        """Count a death, and wait as long as it earns."""
        with self._lock:
            if ending.preparing:
                self._set_aside[ending.voice] = f"preparing it ended the worker: {ending.reason}"
            self._hopeless = ending.hopeless
        state, detail, rest_s = self._judge(ending)
        self._publish(state=state, detail=detail, pid=None, last_death=ending.reason, progress=None, warm_s=None)
        until_s = time.monotonic() + rest_s
        while not waker.stopping and not self._take_retry() and (left_s := until_s - time.monotonic()) > 0:
            waker.wait(left_s)
            waker.clear()
        self._publish(restarts=self.status().restarts + 1)

    def _judge(self, ending: WorkerExit) -> tuple[EngineState, str, float]:
        now_s = time.monotonic()
        with self._lock:
            # A voice that ended a worker is set aside: that cause is gone, and says nothing of the engine.
            if not ending.preparing:
                self._deaths_s.append(now_s)
            while self._deaths_s and self._deaths_s[0] < now_s - self._backoff.park_window_s:
                self._deaths_s.popleft()
            deaths = len(self._deaths_s)
            too_often = not ending.preparing and (deaths >= self._backoff.park_deaths or self._on_trial)
            park = ending.hopeless is not None or too_often
            if park:
                self._on_trial = True  # until it speaks, one death parks it again
                if ending.hopeless is not None:
                    return EngineState.PARKED, ending.reason, self._backoff.park_s
                detail = f"the worker ended {deaths} times of late, lastly: {ending.reason}"
                return EngineState.PARKED, detail, self._backoff.park_s
            rest_s = self._pauses.next_s()
        return EngineState.RESTARTING, ending.reason, rest_s

    def _take_retry(self) -> bool:
        with self._lock:
            asked, self._retry_asked = self._retry_asked, False
            if asked:
                self._deaths_s.clear()
                self._pauses.reset()
                self._on_trial = False
        return asked

    def _publish(self, **changes: Any) -> None:
        with self._lock:
            before = self._status
            self._status = replace(before, **changes)
            changed = self._status != before
            self._lock.notify_all()
        if changed:
            self._on_change()


def _set_aside_sentence(voice: str | None, reason: str) -> str:
    return f"the voice {voice or 'default'!r} is set aside: {reason}"
