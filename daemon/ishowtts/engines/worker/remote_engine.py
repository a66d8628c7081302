"""The daemon's side of an engine behind a worker: keeps the contract of `Engine` and outlives the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from ishowtts.engines import EngineStats, Progress, ReportProgress, VoiceInfo
from ishowtts.engines.worker import registry
from ishowtts.engines.worker.requests import Deadlines, Request
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus, RestartBackoff, Supervisor
from ishowtts.engines.worker.worker_connection import WorkerConnection
from ishowtts.engines.worker.worker_process import ShutdownTimeouts
from ishowtts.errors import Cancelled, EngineUnavailable, VoiceError
from ishowtts.model import IsCancelled, Segment, Utterance
from ishowtts.util.callbacks import no_op

__all__ = ["Deadlines", "EngineState", "EngineStatus", "RemoteEngine", "RestartBackoff", "ShutdownTimeouts"]

_CANCEL_POLL_S = 0.01


class RemoteEngine:
    """Speaks through a worker that may die, hang or be slow at any time.

    Args:
        kind: name of an engine of the registry: `f5`, `espeak`.
        options: its options, JSON-able.
        deadlines: how long the worker may take without progress.
        backoff: how it is started again.
        grace: how it is ended.
        on_change: called after each change of `status()`, from the supervisor's thread; it must not raise.
    """

    def __init__(
        self,
        kind: str,
        options: dict[str, Any],
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
        *,
        backoff: RestartBackoff = RestartBackoff(),  # noqa: B008 - frozen
        grace: ShutdownTimeouts = ShutdownTimeouts(),  # noqa: B008 - frozen
        on_change: Callable[[], None] = no_op,
    ) -> None:
        rate_hz = registry.find(kind).rate_hz
        self._supervisor = Supervisor(
            kind, options, rate_hz, deadlines=deadlines, backoff=backoff, grace=grace, on_change=on_change
        )

    @property
    def name(self) -> str:
        """As the worker says; until then the engine's kind."""
        return self._supervisor.status().name

    @property
    def rate_hz(self) -> int:
        """As the worker says; until then what is usual for this kind."""
        return self._supervisor.status().rate_hz

    def start(self) -> None:
        """Start the worker and return at once; `status()` tells how it goes. Idempotent."""
        self._supervisor.start()

    def status(self) -> EngineStatus:
        """How the engine is now."""
        return self._supervisor.status()

    def alive(self) -> bool:
        """Whether the thread that keeps the worker runs, or is not to run."""
        return self._supervisor.alive()

    def vitals(self) -> EngineStats:
        """What the worker said of itself when it was ready, or behind the last segment."""
        return self._supervisor.vitals()

    def voices_set_aside(self) -> list[str]:
        """A sentence for each voice that is not used until its files change, with the reason."""
        return self._supervisor.voices_set_aside()

    def retry_now(self) -> None:
        """Start a parked or resting worker at once; voices that were set aside get another chance."""
        self._supervisor.retry_now()

    def forget(self, voice: str | None) -> None:
        """A voice has changed: it is prepared anew before it speaks again, and is not set aside any more."""
        self._supervisor.forget(voice)

    def load(self, progress: ReportProgress) -> None:
        """Start, and wait until the worker is warm.

        Raises:
            WeightsError, VoiceError: as the worker found.
            EngineUnavailable: the engine was parked or closed.
        """
        self._supervisor.start()
        status = self._supervisor.status()
        told: Progress | None = None
        while status.state is not EngineState.READY:
            if status.progress is not None and status.progress != told:
                told = status.progress
                progress(told)
            if status.state in (EngineState.PARKED, EngineState.STOPPED):
                raise self._supervisor.hopeless() or EngineUnavailable(status.detail or "the engine is stopped")
            status = self._supervisor.await_change(status)

    def warm(self, progress: ReportProgress) -> None:
        """The worker is warm when `load` returns."""
        progress(Progress("warm", 1, 1))

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Make a voice ready (`None`: the default one).

        Raises:
            VoiceError: it cannot be read, or preparing it ended a worker before.
            EngineUnavailable: there is no warm worker now.
            WorkerDied: the worker ended by it, or had to be ended.
        """
        return self._prepare(self._supervisor.conversation(voice), voice, lambda: False)

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment. The time it took is measured here, not believed.

        Raises:
            SynthesisError: this text cannot be spoken.
            VoiceError: the voice cannot be prepared, or its sound is longer than any text of this length: it is then
                set aside.
            EngineUnavailable: there is no warm worker now.
            WorkerDied: the worker ended meanwhile, or had to be ended.
            Cancelled: `cancelled()` turned true; the worker may go on for a while, unheard.
        """
        return self.synthesize_batch([segment], cancelled)[0]

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speak several segments of one voice in one run. Raises as `synthesize` does."""
        voice = segments[0].voice
        conversation = self._supervisor.conversation(voice)
        # On its own, so that a voice that ends the worker can be told from a text that does.
        self._prepare(conversation, voice, cancelled)
        request = conversation.render(segments)
        try:
            utterances: list[Utterance] = _await(conversation, request, cancelled)
        except VoiceError:
            if request.misfit is not None:
                self._supervisor.set_aside(voice, request.misfit)
            raise
        self._supervisor.succeeded()
        return utterances

    def close(self) -> None:
        """End the worker. Idempotent."""
        self._supervisor.stop()

    def _prepare(self, conversation: WorkerConnection, voice: str | None, cancelled: IsCancelled) -> VoiceInfo:
        card = conversation.card(voice)
        if card is None:
            card = _await(conversation, conversation.prepare(voice), cancelled)
        return card


def _await(conversation: WorkerConnection, request: Request[Any], cancelled: IsCancelled) -> Any:
    """The answer to a request. It ends: the supervisor bounds every request by a deadline."""
    while True:
        if cancelled():
            conversation.cancel(request)
            raise Cancelled
        try:
            return request.future.result(timeout=_CANCEL_POLL_S)
        except NotYet:
            continue
