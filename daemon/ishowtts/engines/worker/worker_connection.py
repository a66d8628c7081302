"""The daemon's side of one worker: hello, load, warm, ready, then requests and answers.

The supervisor's thread runs it and receives; any thread sends requests. The worker must make progress: while it has
something to do, a deadline runs.
"""

from __future__ import annotations

import math
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from ishowtts.engines import EngineStats, Progress, VoiceInfo
from ishowtts.engines.durations import longest_plausible_s
from ishowtts.engines.worker.frame_headers import read_engine_stats, read_voice_info
from ishowtts.engines.worker.liveness import Liveness
from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.wire import VERSION, Channel, Frame, FrameKind, WireClosed, WireError
from ishowtts.engines.worker.worker_request import WorkerRequest
from ishowtts.errors import (
    Cancelled,
    EngineError,
    IShowError,
    PackageError,
    SynthesisError,
    VoiceError,
    WeightsError,
    WorkerDied,
)
from ishowtts.model import Segment, Utterance

_SEND_TIMEOUT_S = 5.0
_ERRORS: dict[str, type[Exception]] = {
    "Cancelled": Cancelled,
    "SynthesisError": SynthesisError,
    "VoiceError": VoiceError,
    "WeightsError": WeightsError,
    "PackageError": PackageError,
    "EngineError": EngineError,
}
_PERMANENT = (WeightsError, PackageError, VoiceError)


@dataclass(frozen=True)
class Deadlines:
    """How long the worker may take without progress before it is ended, in seconds, by what it does.

    Attributes:
        answer_s: how long a worker that has something to do may leave a ping unanswered.
    """

    hello_s: float = 60.0
    load_s: float = 300.0
    warm_step_s: float = 300.0
    segment_s: float = 120.0
    answer_s: float = 10.0


@dataclass(frozen=True)
class WorkerReady:
    """What the worker reported when it was warm.

    Attributes:
        name: name of the engine.
        rate_hz: sample rate of its sound.
        warm_s: seconds that loading and warming took.
    """

    name: str
    rate_hz: int
    warm_s: float


@dataclass(frozen=True)
class WorkerExit:
    """Why the connection to a worker ended.

    Attributes:
        reason: one sentence.
        hung: the worker still runs, and must be aborted.
        permanent_error: an error that a new worker would only repeat.
        preparing: whether the worker was preparing a voice.
        voice: the voice that it was preparing, as the request named it.
    """

    reason: str
    hung: bool = False
    permanent_error: IShowError | None = None
    preparing: bool = False
    voice: str | None = None


class WorkerConnection:
    """Talks with one worker until either side ends the connection.

    Args:
        channel: connected to a fresh worker.
        kind: name of an engine of the registry.
        options: options of the engine, JSON-able.
        deadlines: how long the worker may take.
        waker: ends `run` when it is told to stop.
        on_phase: called with each phase (`loading`, `warming`, `ready`) and its progress.

    Attributes:
        ready: what the worker reported when it was warm; `None` until then.
        stats: engine stats that the worker reported last.
    """

    def __init__(
        self,
        channel: Channel,
        kind: str,
        options: dict[str, Any],
        deadlines: Deadlines,
        *,
        waker: Waker,
        on_phase: Callable[[str, Progress | None], None],
    ) -> None:
        self.ready: WorkerReady | None = None
        self.stats = EngineStats()
        self._channel = channel
        self._kind = kind
        self._worker = f"the {kind} worker"
        self._options = options
        self._deadlines = deadlines
        self._waker = waker
        self._on_phase = on_phase
        self._deadline_at_s = time.monotonic() + deadlines.hello_s
        self._hello_received = False
        self._lock = threading.Lock()
        self._liveness = Liveness()
        self._requests: deque[WorkerRequest[Any]] = deque()
        self._voice_infos: dict[str | None, VoiceInfo] = {}
        self._last_seq = 0
        self._exit_reason: str | None = None

    def run(self) -> WorkerExit:
        """Receives until the connection ends. Every open request then fails with `WorkerDied`."""
        try:
            worker_exit = self._receive_frames()
        except WireClosed:
            worker_exit = WorkerExit(f"{self._worker} ended")
        except WireError as error:
            worker_exit = WorkerExit(f"{self._worker} broke the protocol: {error}", hung=True)
        return self._fail_requests(worker_exit)

    def voice_info(self, voice: str | None) -> VoiceInfo | None:
        """Returns the info of a voice that this worker has prepared."""
        with self._lock:
            return self._voice_infos.get(voice)

    def forget(self, voice: str | None) -> None:
        """Makes sure that a voice is prepared again before it speaks, also if it is the default one."""
        with self._lock:
            self._voice_infos = {
                asked: info for asked, info in self._voice_infos.items() if voice not in (asked, info.name)
            }

    def prepare(self, voice: str | None) -> WorkerRequest[VoiceInfo]:
        """Sends a request for a voice. Raises WorkerDied if the connection has ended."""
        return self._send_request(FrameKind.PREPARE, voice, {"voice": voice})

    def render(self, segments: Sequence[Segment]) -> WorkerRequest[list[Utterance]]:
        """Sends a request for the sounds of one or more segments of one voice.

        Raises:
            WorkerDied: the connection has ended.
        """
        header = {"segments": [asdict(segment) for segment in segments]}
        longest_s = tuple(longest_plausible_s(segment.text, segment.speed) for segment in segments)
        return self._send_request(FrameKind.RENDER, segments[0].voice, header, longest_s)

    def cancel(self, request: WorkerRequest[Any]) -> None:
        """Tells the worker that the answer is no longer wanted. The worker still answers; nobody uses it."""
        with self._lock:
            request.cancelled_at_s = time.monotonic()
        try:
            self._channel.send(Frame(FrameKind.CANCEL, {"seq": request.seq}), _SEND_TIMEOUT_S)
        except WireError:
            return  # the worker is gone or goes; `run` notices it

    def lateness(self, late_s: float) -> str | None:
        """Returns what the worker has owed for `late_s` or longer, as the end of a sentence; `None` if nothing."""
        now_s = time.monotonic()
        with self._lock:
            if self._liveness.quiet_s(now_s) >= late_s:
                return "does not answer"
            if self._requests and now_s - self._requests[0].cancelled_at_s >= late_s:
                return "still works on something that is no longer wanted"
        return None

    def set_log_private(self, private: bool) -> None:
        """Tells the worker whether its log hides what publishers wrote."""
        with suppress(WireError):  # the worker is gone or goes; `run` notices it
            self._channel.send(Frame(FrameKind.LOG, {"private": private}), _SEND_TIMEOUT_S)

    def _send_request(
        self, kind: FrameKind, voice: str | None, header: dict[str, Any], longest_s: tuple[float, ...] = ()
    ) -> WorkerRequest[Any]:
        with self._lock:
            if self._exit_reason is not None:
                raise WorkerDied(self._exit_reason)
            self._last_seq += 1
            request: WorkerRequest[Any] = WorkerRequest(self._last_seq, kind, voice, longest_s)
            self._requests.append(request)
            self._liveness.owes_answers(time.monotonic())
            self._start_first_request()
            try:
                # Under the lock, so that the worker gets requests in the order in which answers are awaited.
                self._channel.send(Frame(kind, {"seq": request.seq, **header}), _SEND_TIMEOUT_S)
            except WireError as error:
                raise WorkerDied(f"{self._worker} is gone: {error}") from error
        self._waker.wake()
        return request

    def _receive_frames(self) -> WorkerExit:
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(self._waker, select.POLLIN)
        while not self._waker.stopping:
            if (frame := self._channel.receive(0)) is not None:
                worker_exit = self._handle(frame)
                if worker_exit is not None:
                    return worker_exit
                continue
            now_s, answer_s = time.monotonic(), self._deadlines.answer_s
            with self._lock:
                deadline_at_s, quiet_s = self._deadline_at_s, self._liveness.quiet_s(now_s)
                ping_due = self._liveness.ping_due(now_s)
                wait_s = min(deadline_at_s - now_s, self._liveness.wait_s(now_s, answer_s))
            if now_s >= deadline_at_s:
                return WorkerExit(f"{self._worker} made no progress in time while {self._activity()}", hung=True)
            if quiet_s >= answer_s:
                return WorkerExit(
                    f"{self._worker} did not answer for {answer_s:g} s while {self._activity()}", hung=True
                )
            if ping_due:
                self._channel.send(Frame(FrameKind.PING), _SEND_TIMEOUT_S)
            poller.poll(None if math.isinf(wait_s) else wait_s * 1000 + 1)
            self._waker.clear()
        return WorkerExit("the engine is stopped")

    def _fail_requests(self, worker_exit: WorkerExit) -> WorkerExit:
        with self._lock:
            self._exit_reason = worker_exit.reason
            requests = list(self._requests)
            self._requests.clear()
        if requests and requests[0].kind is FrameKind.PREPARE and not self._waker.stopping:
            worker_exit = replace(worker_exit, preparing=True, voice=requests[0].voice)
        for request in requests:
            reason, during = worker_exit.reason, f"while {self._activity(request)}"
            request.future.set_exception(WorkerDied(reason if during in reason else f"{reason} ({during})"))
        return worker_exit

    def _activity(self, request: WorkerRequest[Any] | None = None) -> str:
        if not self._hello_received:
            return "starting"
        if self.ready is None:
            return "loading or warming"
        request = request or (self._requests[0] if self._requests else None)
        return "preparing a voice" if request and request.kind is FrameKind.PREPARE else "speaking a segment"

    def _handle(self, frame: Frame) -> WorkerExit | None:
        with self._lock:
            self._liveness.heard(time.monotonic())
            answers_ping = frame.kind is FrameKind.PONG and self._liveness.pong()
        if answers_ping:
            return None
        if not self._hello_received:
            self._handle_hello(frame)
        elif frame.kind is FrameKind.ERROR:
            return self._handle_error(frame)
        elif self.ready is None:
            self._handle_progress(frame)
        else:
            self._handle_answer(frame, self.ready.rate_hz)
        return None

    def _handle_hello(self, frame: Frame) -> None:
        if frame.kind is not FrameKind.HELLO or frame.integer("version") != VERSION:
            raise WireError(f"it began with {frame.kind.name.lower()} {frame.header.get('version')}")
        self._hello_received = True
        self._deadline_at_s = time.monotonic() + self._deadlines.load_s
        self._channel.send(Frame(FrameKind.CONFIGURE, {"kind": self._kind, "options": self._options}), _SEND_TIMEOUT_S)
        self._on_phase("loading", None)

    def _handle_progress(self, frame: Frame) -> None:
        if frame.kind is FrameKind.PROGRESS:
            progress = Progress(frame.text("phase"), frame.integer("i"), frame.integer("n"))
            warming = progress.phase == "warm"
            allowed_s = self._deadlines.warm_step_s if warming else self._deadlines.load_s
            self._deadline_at_s = time.monotonic() + allowed_s
            self._on_phase("warming" if warming else "loading", progress)
        elif frame.kind is FrameKind.READY:
            rate_hz = frame.integer("rate_hz")
            if not 8000 <= rate_hz <= 192_000:
                raise WireError(f"{rate_hz} Hz is not a plausible sample rate")
            info = read_voice_info(frame)
            self._voice_infos = {None: info, info.name: info}
            self.stats = read_engine_stats(frame)
            self.ready = WorkerReady(frame.text("name"), rate_hz, frame.number("warm_s"))
            self._deadline_at_s = math.inf
            self._on_phase("ready", None)
        else:
            raise WireError(f"it sent {frame.kind.name.lower()} before it was ready")

    def _handle_answer(self, frame: Frame, rate_hz: int) -> None:
        request = self._first_request(frame)
        if frame.kind is FrameKind.AUDIO and request.awaits_sound:
            request.add_sound(frame, rate_hz)
        elif frame.kind is FrameKind.DONE and request.kind is FrameKind.RENDER and not request.awaits_sound:
            self.stats = read_engine_stats(frame)
            future = self._finish_first_request()
            if request.implausible is None:
                info = self.voice_info(request.voice)
                future.set_result(request.timed_sounds((info.reference_s if info else None) or 0.0))
            else:
                future.set_exception(VoiceError(request.implausible))
        elif frame.kind is FrameKind.PREPARED and request.kind is FrameKind.PREPARE:
            info = read_voice_info(frame)
            with self._lock:
                self._voice_infos[request.voice] = info
            self._finish_first_request().set_result(info)
        else:
            raise WireError(f"it sent {frame.kind.name.lower()} out of turn")

    def _handle_error(self, frame: Frame) -> WorkerExit | None:
        message = frame.text("message")
        cls = _ERRORS.get(frame.text("class"), EngineError)
        if self.ready is None:
            permanent_error = cls(message) if issubclass(cls, _PERMANENT) else None
            return WorkerExit(message, permanent_error=permanent_error)
        self._first_request(frame)
        if frame.header.get("fatal") is True:
            return WorkerExit(message)
        self._finish_first_request().set_exception(cls(message))
        return None

    def _first_request(self, frame: Frame) -> WorkerRequest[Any]:
        """Returns the request that the worker works on. Raises WireError if the frame answers another one."""
        with self._lock:
            if not self._requests or self._requests[0].seq != frame.integer("seq"):
                raise WireError(f"it answered request {frame.integer('seq')}, which is not the current one")
            return self._requests[0]

    def _finish_first_request(self) -> Future[Any]:
        with self._lock:
            request = self._requests.popleft()
            if not self._requests:
                self._liveness.owes_nothing()
            self._deadline_at_s = math.inf
            self._start_first_request()
        return request.future

    def _start_first_request(self) -> None:
        """Starts the deadline of the first request, if it does not run yet. The caller holds the lock."""
        if self._requests and math.isinf(self._requests[0].started_at_s):
            self._requests[0].started_at_s = time.monotonic()
            self._deadline_at_s = self._requests[0].started_at_s + self._deadlines.segment_s
