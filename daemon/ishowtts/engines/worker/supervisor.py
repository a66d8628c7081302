"""The thread that keeps a worker alive: starts it, receives from it, ends it, and starts it again after a wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ishowtts.engines import EngineStats, Progress
from ishowtts.engines.worker.restart_policy import RestartBackoff, RestartPolicy
from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.worker_connection import Deadlines, WorkerConnection, WorkerExit
from ishowtts.engines.worker.worker_process import ShutdownTimeouts, WorkerProcess
from ishowtts.errors import EngineUnavailable, IShowError, VoiceError, WorkerDied
from ishowtts.util.logs import is_private, log_fields

log = logging.getLogger(__name__)


class EngineState(str, Enum):
    """State of an engine that runs in a worker."""

    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    RESTARTING = "restarting"
    PARKED = "parked"
    STOPPED = "stopped"


@dataclass(frozen=True)
class EngineStatus:
    """Status of an engine that runs in a worker.

    Attributes:
        name: name of the engine.
        state: what it does now.
        rate_hz: sample rate of its sound.
        detail: what is wrong, in one sentence; `None` if nothing is.
        pid: process id of the worker.
        restarts: how many workers were started again.
        last_death: why the last worker ended.
        warm_s: seconds that loading and warming took.
        progress: step of the present phase.
    """

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
        kind: name of an engine of the registry.
        options: options of the engine, JSON-able.
        rate_hz: sample rate to expect until the worker reports it.
        deadlines: how long the worker may take.
        backoff: when the worker is started again.
        shutdown_timeouts: how the worker is ended.
        on_change: called after each change of the status, from the supervisor's thread, and after a voice was
            quarantined; it must not raise.
    """

    def __init__(
        self,
        kind: str,
        options: dict[str, Any],
        rate_hz: int,
        *,
        deadlines: Deadlines,
        backoff: RestartBackoff,
        shutdown_timeouts: ShutdownTimeouts,
        on_change: Callable[[], None],
    ) -> None:
        self._kind = kind
        self._thread_name = f"engine-supervisor of {kind}"
        self._log_fields = log_fields(engine=kind)
        self._options = options
        self._deadlines = deadlines
        self._shutdown_timeouts = shutdown_timeouts
        self._on_change = on_change
        self._lock = threading.Condition()
        self._status = EngineStatus(kind, EngineState.STOPPED, rate_hz)
        self._restart_policy = RestartPolicy(backoff)
        self._connection: WorkerConnection | None = None
        self._permanent_error: IShowError | None = None
        self._quarantined: dict[str | None, str] = {}
        self._retry_requested = False
        self._waker: Waker | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread, which starts the first worker. Idempotent until `stop`."""
        with self._lock:
            if self._thread is not None:
                return
            self._waker = Waker()
            self._status = replace(self._status, state=EngineState.STARTING)
            self._thread = threading.Thread(target=self._run, args=(self._waker,), name=self._thread_name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the worker and the thread. Idempotent."""
        with self._lock:
            thread, waker = self._thread, self._waker
            if thread is None or waker is None:
                return
            waker.stop()
        timeouts = self._shutdown_timeouts
        thread.join(timeouts.leave_s + timeouts.abort_s + 2 * timeouts.reap_s + 5)
        with self._lock:
            if thread.is_alive():
                stays = "the thread %s does not stop; it is left running with its worker"
                log.error(stays, self._thread_name, extra=self._log_fields)
                return
            if self._thread is thread:
                waker.close()
                self._thread = self._waker = None

    def retry_now(self) -> None:
        """Starts a parked or waiting engine at once. Quarantined voices are tried again."""
        with self._lock:
            self._quarantined.clear()
            self._retry_requested = self._status.state is not EngineState.READY
            if self._waker is not None:
                self._waker.wake()

    def status(self) -> EngineStatus:
        """Returns the status of the engine."""
        with self._lock:
            return self._status

    def stats(self) -> EngineStats:
        """Returns the stats that the worker reported last; empty ones if there is no worker."""
        with self._lock:
            return EngineStats() if self._connection is None else self._connection.stats

    def permanent_error(self) -> IShowError | None:
        """Returns the error that only an operator can fix, if there is one."""
        with self._lock:
            return self._permanent_error

    def await_change(self, since: EngineStatus) -> EngineStatus:
        """Waits for a status other than `since`. This ends: a started engine becomes ready, parked or stopped."""
        with self._lock:
            while self._status == since and self._thread is not None:
                self._lock.wait(1.0)
            return self._status

    def connection(self, voice: str | None) -> WorkerConnection:
        """Returns the connection to the warm worker.

        Raises:
            VoiceError: the voice is quarantined, because it ended a worker or made implausible sound.
            EngineUnavailable: there is no warm worker now.
        """
        with self._lock:
            if (reason := self._quarantined.get(voice)) is not None:
                raise VoiceError(_quarantine_sentence(voice, reason))
            if self._connection is None or self._status.state is not EngineState.READY:
                detail = f": {self._status.detail}" if self._status.detail else ""
                raise EngineUnavailable(f"the engine {self._kind} is {self._status.state.value}{detail}")
            return self._connection

    def lateness(self, late_s: float) -> str | None:
        """Returns a sentence if the worker has owed an answer for `late_s` or longer; else `None`."""
        with self._lock:
            connection = self._connection
        owes = None if connection is None else connection.lateness(late_s)
        return None if owes is None else f"the engine {self._kind} {owes}"

    def quarantine(self, voice: str | None, reason: str) -> None:
        """Stops the use of a voice until its files change."""
        with self._lock:
            self._quarantined[voice] = reason
        self._on_change()

    def quarantined_voices(self) -> list[str]:
        """Returns a sentence for each quarantined voice."""
        with self._lock:
            return [_quarantine_sentence(voice, reason) for voice, reason in self._quarantined.items()]

    def alive(self) -> bool:
        """Returns whether the thread runs, or need not run."""
        with self._lock:
            return self._thread is None or self._thread.is_alive()

    def forget(self, voice: str | None) -> None:
        """Notes that a voice has changed: it is prepared again, and leaves the quarantine."""
        with self._lock:
            self._quarantined.pop(voice, None)
            if self._connection is not None:
                self._connection.forget(voice)

    def set_log_private(self, private: bool) -> None:
        """Tells the worker, if there is one, whether its log hides what publishers wrote."""
        with self._lock:
            connection = self._connection
        if connection is not None:
            connection.set_log_private(private)

    def segment_spoken(self) -> None:
        """Notes that the worker spoke a segment: earlier deaths lead to no longer waits and no parking."""
        with self._lock:
            self._restart_policy.spoke()

    def _run(self, waker: Waker) -> None:
        try:
            while not waker.stopping:
                worker_exit = self._run_worker(waker)
                if not waker.stopping:
                    self._wait_before_restart(worker_exit, waker)
        finally:
            self._update_status(state=EngineState.STOPPED, pid=None, progress=None)

    def _run_worker(self, waker: Waker) -> WorkerExit:
        """Runs one worker from its start to its end."""
        self._update_status(state=EngineState.STARTING, detail=None, progress=None, warm_s=None)
        private = is_private()
        try:
            process = WorkerProcess(self._kind)
        except WorkerDied as error:
            return WorkerExit(str(error))
        connection = WorkerConnection(
            process.channel,
            self._kind,
            self._options,
            self._deadlines,
            waker=waker,
            on_phase=self._enter_phase,
        )
        with self._lock:
            self._connection = connection
        if is_private() is not private:  # changed since the process began
            connection.set_log_private(not private)
        self._update_status(pid=process.pid)
        worker_exit = WorkerExit(f"the thread {self._thread_name} failed", hung=True)
        try:
            worker_exit = connection.run()
        finally:
            with self._lock:
                self._connection = None
            if not waker.stopping:
                self._update_status(state=EngineState.RESTARTING, detail=worker_exit.reason)
            reaped = process.end(abort=worker_exit.hung, timeouts=self._shutdown_timeouts)
        if not reaped:
            self._wait_for_unkillable(process, worker_exit, waker)
        reason = f"{worker_exit.reason} ({process.exit_cause()})"
        if not waker.stopping:
            log.error("%s worker %d: %s", self._kind, process.pid, reason, extra=self._log_fields)
        return replace(worker_exit, reason=reason)

    def _enter_phase(self, phase: str, progress: Progress | None) -> None:
        with self._lock:
            ready = self._connection.ready if self._connection else None
            if ready is not None:
                self._permanent_error = None
        if ready is None:
            self._update_status(state=EngineState(phase), progress=progress)
        else:
            log.info("the engine %s is ready after %.1f s", ready.name, ready.warm_s, extra=self._log_fields)
            self._update_status(
                state=EngineState.READY,
                name=ready.name,
                rate_hz=ready.rate_hz,
                warm_s=ready.warm_s,
                progress=None,
            )

    def _wait_for_unkillable(self, process: WorkerProcess, worker_exit: WorkerExit, waker: Waker) -> None:
        """Waits while the worker cannot be killed: a second worker would compete with it for the GPU."""
        detail = (
            f"{self._kind} worker {process.pid} cannot be killed, so no new worker is started; "
            f"restart the board to fix it ({worker_exit.reason})"
        )
        log.critical("%s", detail, extra=self._log_fields)
        self._update_status(state=EngineState.PARKED, detail=detail, last_death=worker_exit.reason, progress=None)
        while not waker.stopping and not process.reap(self._shutdown_timeouts.reap_s):
            pass

    def _wait_before_restart(self, worker_exit: WorkerExit, waker: Waker) -> None:
        """Counts a death, and waits as long as the restart policy says."""
        with self._lock:
            if worker_exit.preparing:
                self._quarantined[worker_exit.voice] = f"preparing it ended the worker: {worker_exit.reason}"
            self._permanent_error = worker_exit.permanent_error
            decision = self._restart_policy.worker_ended(worker_exit, time.monotonic())
        self._update_status(
            state=EngineState.PARKED if decision.parked else EngineState.RESTARTING,
            detail=decision.detail,
            pid=None,
            last_death=worker_exit.reason,
            progress=None,
            warm_s=None,
        )
        until_s = time.monotonic() + decision.wait_s
        while not waker.stopping and not self._take_retry_request() and (left_s := until_s - time.monotonic()) > 0:
            waker.wait(left_s)
            waker.clear()
        self._update_status(restarts=self.status().restarts + 1)

    def _take_retry_request(self) -> bool:
        with self._lock:
            requested, self._retry_requested = self._retry_requested, False
            if requested:
                self._restart_policy.reset()
        return requested

    def _update_status(self, **changes: Any) -> None:
        with self._lock:
            before = self._status
            self._status = replace(before, **changes)
            changed = self._status != before
            self._lock.notify_all()
        if changed:
            self._on_change()


def _quarantine_sentence(voice: str | None, reason: str) -> str:
    return f"the voice {voice or 'default'!r} is quarantined: {reason}"
