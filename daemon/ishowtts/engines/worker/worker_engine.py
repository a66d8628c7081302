"""An engine that runs in a worker process. It keeps the contract of `Engine` and survives the worker's death."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from ishowtts.engines import EngineStats, Progress, ReportProgress, VoiceInfo
from ishowtts.engines.worker import registry
from ishowtts.engines.worker.restart_policy import RestartBackoff
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus, Supervisor
from ishowtts.engines.worker.worker_connection import Deadlines, WorkerConnection
from ishowtts.engines.worker.worker_process import ShutdownTimeouts
from ishowtts.engines.worker.worker_request import WorkerRequest
from ishowtts.errors import Cancelled, EngineLate, EngineUnavailable, VoiceError
from ishowtts.model import IsCancelled, Segment, Utterance

_CANCEL_POLL_S = 0.01


class WorkerEngine:
    """Speaks through a worker that may die, hang or be slow at any time.

    Args:
        kind: name of an engine of the registry.
        options: options of the engine, JSON-able.
        deadlines: how long the worker may take without progress.
        backoff: when the worker is started again.
        shutdown_timeouts: how the worker is ended.
        on_change: called after each change of `status()`, from the supervisor's thread; it must not raise.
        late_s: a worker that shows no sign of life for so long is not waited for; infinity: until its deadline.
    """

    def __init__(
        self,
        kind: str,
        options: dict[str, Any],
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
        *,
        backoff: RestartBackoff = RestartBackoff(),  # noqa: B008 - frozen
        shutdown_timeouts: ShutdownTimeouts = ShutdownTimeouts(),  # noqa: B008 - frozen
        on_change: Callable[[], None] = lambda: None,
        late_s: float = math.inf,
    ) -> None:
        self._late_s = late_s
        self._supervisor = Supervisor(
            kind,
            options,
            registry.find(kind).rate_hz,
            deadlines=deadlines,
            backoff=backoff,
            shutdown_timeouts=shutdown_timeouts,
            on_change=on_change,
        )

    @property
    def name(self) -> str:
        """Name of the engine, as the worker reports it; before that the kind."""
        return self._supervisor.status().name

    @property
    def rate_hz(self) -> int:
        """Sample rate of the sound, as the worker reports it; before that the usual one of this kind."""
        return self._supervisor.status().rate_hz

    def start(self) -> None:
        """Starts the worker and returns at once; `status()` shows the progress. Idempotent."""
        self._supervisor.start()

    def status(self) -> EngineStatus:
        """Returns the status of the engine."""
        return self._supervisor.status()

    def lateness(self) -> str | None:
        """Returns why a warm worker would keep a line waiting, in a sentence; `None` if it would not."""
        return self._supervisor.lateness(self._late_s)

    def alive(self) -> bool:
        """Returns whether the supervisor's thread runs, or need not run."""
        return self._supervisor.alive()

    def stats(self) -> EngineStats:
        """Returns the stats that the worker reported when it was ready, or after the last segment."""
        return self._supervisor.stats()

    def quarantined_voices(self) -> list[str]:
        """Returns a sentence, with the reason, for each voice that is not used until its files change."""
        return self._supervisor.quarantined_voices()

    def retry_now(self) -> None:
        """Starts a parked or waiting worker at once. Quarantined voices are tried again."""
        self._supervisor.retry_now()

    def set_log_private(self, private: bool) -> None:
        """Tells a running worker whether its log hides what publishers wrote. A later one learns it at its start."""
        self._supervisor.set_log_private(private)

    def forget(self, voice: str | None) -> None:
        """Notes that a voice has changed: it is prepared again before it speaks, and leaves the quarantine."""
        self._supervisor.forget(voice)

    def load(self, progress: ReportProgress) -> None:
        """Starts the worker, and waits until it is warm.

        Raises:
            WeightsError, VoiceError: the worker cannot use its weights or its default voice.
            EngineUnavailable: the engine was parked or closed.
        """
        self._supervisor.start()
        status = self._supervisor.status()
        reported: Progress | None = None
        loaded = False
        while status.state is not EngineState.READY:
            if status.progress is not None and status.progress != reported:
                reported = status.progress
                loaded = loaded or reported.phase == "load"
                progress(reported)
            if status.state in (EngineState.PARKED, EngineState.STOPPED):
                raise self._supervisor.permanent_error() or EngineUnavailable(status.detail or "the engine is stopped")
            status = self._supervisor.await_change(status)
        if not loaded:  # a quick worker may load between two looks at its status
            progress(Progress("load", 1, 1))

    def warm(self, progress: ReportProgress) -> None:
        """Does nothing: the worker is warm when `load` returns."""
        progress(Progress("warm", 1, 1))

    def prepare(self, voice: str | None, cancelled: IsCancelled = lambda: False) -> VoiceInfo:
        """Makes a voice ready (`None`: the default one).

        Raises:
            VoiceError: it cannot be read, or preparing it ended an earlier worker.
            EngineUnavailable: there is no warm worker now.
            EngineLate: the worker shows no sign of life.
            WorkerDied: preparing it ended the worker.
            Cancelled: `cancelled()` turned true; the worker goes on, and the voice is ready when it is done.
        """
        return self._prepare(self._supervisor.connection(voice), voice, cancelled)

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speaks one segment. The daemon measures the time; it does not trust the worker's figures.

        Raises:
            SynthesisError: this text cannot be spoken.
            VoiceError: the voice cannot be prepared, or its sound is longer than any text of this length can be. In
                the second case the voice is quarantined.
            EngineUnavailable: there is no warm worker now.
            EngineLate: the worker shows no sign of life.
            WorkerDied: the worker ended, or had to be ended.
            Cancelled: `cancelled()` turned true; the worker may go on for a while, and its sound is discarded.
        """
        return self.synthesize_batch([segment], cancelled)[0]

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speaks several segments of one voice in one run. Raises as `synthesize` does."""
        voice = segments[0].voice
        connection = self._supervisor.connection(voice)
        # A request of its own, so that a voice that ends the worker can be told from a text that does.
        self._prepare(connection, voice, cancelled)
        request = connection.render(segments)
        try:
            utterances: list[Utterance] = self._await(connection, request, cancelled)
        except VoiceError:
            if request.implausible is not None:
                self._supervisor.quarantine(voice, request.implausible)
            raise
        self._supervisor.segment_spoken()
        return utterances

    def close(self) -> None:
        """Ends the worker. Idempotent."""
        self._supervisor.stop()

    def _prepare(self, connection: WorkerConnection, voice: str | None, cancelled: IsCancelled) -> VoiceInfo:
        info = connection.voice_info(voice)
        if info is None:
            info = self._await(connection, connection.prepare(voice), cancelled)
        return info

    def _await(self, connection: WorkerConnection, request: WorkerRequest[Any], cancelled: IsCancelled) -> Any:
        """Waits for the answer to a request. This ends: every request has a deadline."""
        while True:
            if cancelled():
                connection.cancel(request)
                raise Cancelled
            try:
                return request.future.result(timeout=_CANCEL_POLL_S)
            except NotYet:
                if (reason := self.lateness()) is not None:
                    connection.cancel(request)
                    raise EngineLate(reason) from None
