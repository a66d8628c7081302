"""One worker's life as the daemon hears it: hello, load, warm, ready, then requests and answers.

The supervisor's thread hears; any thread asks. Liveness is progress: whoever's turn it is has a deadline.
"""

from __future__ import annotations

import math
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ishowtts.engines import EngineStats, Progress, VoiceInfo
from ishowtts.engines.shares import shared
from ishowtts.engines.worker import card_header, stats_header
from ishowtts.engines.worker.requests import Deadlines, Ready, Request, WorkerExit, longest_s
from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.wire import VERSION, Channel, Frame, FrameKind, WireClosed, WireError
from ishowtts.errors import Cancelled, EngineError, SynthesisError, VoiceError, WeightsError, WorkerDied
from ishowtts.model import Segment, Utterance

_SEND_TIMEOUT_S = 5.0
_ERRORS: dict[str, type[Exception]] = {
    "Cancelled": Cancelled,
    "SynthesisError": SynthesisError,
    "VoiceError": VoiceError,
    "WeightsError": WeightsError,
    "EngineError": EngineError,
}


class WorkerConnection:
    """Talks with one worker until it or the daemon ends it.

    Args:
        channel: connected to a fresh worker.
        kind: name of an engine.
        options: its options, JSON-able.
        deadlines: what it may take.
        waker: ends `hear` when it is told to stop.
        on_phase: told of each phase (`loading`, `warming`, `ready`) and its progress.
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
        self.ready: Ready | None = None
        self.vitals = EngineStats()
        self._channel = channel
        self._kind = kind
        self._options = options
        self._deadlines = deadlines
        self._waker = waker
        self._on_phase = on_phase
        self._due_s = time.monotonic() + deadlines.hello_s
        self._greeted = False
        self._lock = threading.Lock()
        self._requests: deque[Request[Any]] = deque()
        self._cards: dict[str | None, VoiceInfo] = {}
        self._last_seq = 0
        self._over: str | None = None

    def hear(self) -> WorkerExit:
        """Listen until the conversation is over; every open request then ends with `WorkerDied`."""
        try:
            ending = self._listen()
        except WireClosed:
            ending = WorkerExit("the worker ended")
        except WireError as error:
            ending = WorkerExit(f"the worker speaks nonsense: {error}", hung=True)
        return self._conclude(ending)

    def card(self, voice: str | None) -> VoiceInfo | None:
        """The card of a voice that this worker has prepared."""
        with self._lock:
            return self._cards.get(voice)

    def forget(self, voice: str | None) -> None:
        """Have a voice prepared anew before it speaks again, also where it is the default one."""
        with self._lock:
            self._cards = {asked: card for asked, card in self._cards.items() if voice not in (asked, card.name)}

    def prepare(self, voice: str | None) -> Request[VoiceInfo]:
        """Ask for a voice. Raises WorkerDied where the conversation is over."""
        return self._ask(FrameKind.PREPARE, voice, {"voice": voice})

    def render(self, segments: Sequence[Segment]) -> Request[list[Utterance]]:
        """Ask for the sounds of one or more segments of one voice. Raises WorkerDied where the conversation is over."""
        header = {"segments": [asdict(segment) for segment in segments]}
        longest = tuple(longest_s(one.text, one.speed) for one in segments)
        return self._ask(FrameKind.RENDER, segments[0].voice, header, longest)

    def cancel(self, request: Request[Any]) -> None:
        """Tell the worker that an answer is no longer wanted; it still answers, unheard."""
        try:
            self._channel.send(Frame(FrameKind.CANCEL, {"seq": request.seq}), _SEND_TIMEOUT_S)
        except WireError:
            return  # the worker is going; `hear` ends by it

    def _ask(
        self, kind: FrameKind, voice: str | None, header: dict[str, Any], longest_s: tuple[float, ...] = ()
    ) -> Request[Any]:
        with self._lock:
            if self._over is not None:
                raise WorkerDied(self._over)
            self._last_seq += 1
            request: Request[Any] = Request(self._last_seq, kind, voice, longest_s)
            self._requests.append(request)
            self._begin_next()
            try:
                # Under the lock, so that the worker gets requests in the order in which answers are awaited.
                self._channel.send(Frame(kind, {"seq": request.seq, **header}), _SEND_TIMEOUT_S)
            except WireError as error:
                raise WorkerDied(f"the worker is gone: {error}") from error
        self._waker.wake()
        return request

    def _listen(self) -> WorkerExit:
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(self._waker, select.POLLIN)
        while not self._waker.stopping:
            if (frame := self._channel.receive(0)) is not None:
                ending = self._take(frame)
                if ending is not None:
                    return ending
                continue
            with self._lock:
                late_s = time.monotonic() - self._due_s
            if late_s >= 0:
                return WorkerExit(f"the worker made no progress in time while {self._doing()}", hung=True)
            poller.poll(None if math.isinf(late_s) else -late_s * 1000 + 1)
            self._waker.clear()
        return WorkerExit("the engine is stopped")

    def _conclude(self, ending: WorkerExit) -> WorkerExit:
        with self._lock:
            self._over = ending.reason
            requests = list(self._requests)
            self._requests.clear()
        if requests and requests[0].kind is FrameKind.PREPARE and not self._waker.stopping:
            ending = WorkerExit(ending.reason, ending.hung, ending.hopeless, True, requests[0].voice)
        for request in requests:
            request.future.set_exception(WorkerDied(f"{ending.reason} (while {self._doing(request)})"))
        return ending

    def _doing(self, request: Request[Any] | None = None) -> str:
        if not self._greeted:
            return "starting"
        if self.ready is None:
            return "loading or warming"
        request = request or (self._requests[0] if self._requests else None)
        return "preparing a voice" if request and request.kind is FrameKind.PREPARE else "speaking a segment"

    def _take(self, frame: Frame) -> WorkerExit | None:
        if not self._greeted:
            self._greet(frame)
        elif frame.kind is FrameKind.ERROR:
            return self._take_error(frame)
        elif self.ready is None:
            self._take_progress(frame)
        else:
            self._take_answer(frame)
        return None

    def _greet(self, frame: Frame) -> None:
        if frame.kind is not FrameKind.HELLO or frame.integer("version") != VERSION:
            raise WireError(f"it began with {frame.kind.name.lower()} {frame.header.get('version')}")
        self._greeted = True
        self._due_s = time.monotonic() + self._deadlines.load_s
        self._channel.send(Frame(FrameKind.CONFIGURE, {"kind": self._kind, "options": self._options}), _SEND_TIMEOUT_S)
        self._on_phase("loading", None)

    def _take_progress(self, frame: Frame) -> None:
        if frame.kind is FrameKind.PROGRESS:
            progress = Progress(frame.text("phase"), frame.integer("i"), frame.integer("n"))
            warming = progress.phase == "warm"
            allowed_s = self._deadlines.warm_step_s if warming else self._deadlines.load_s
            self._due_s = time.monotonic() + allowed_s
            self._on_phase("warming" if warming else "loading", progress)
        elif frame.kind is FrameKind.READY:
            rate_hz = frame.integer("rate_hz")
            if not 8000 <= rate_hz <= 192_000:
                raise WireError(f"{rate_hz} Hz is no sample rate")
            card = card_header.of(frame)
            self._cards = {None: card, card.name: card}
            self.vitals = stats_header.of(frame)
            self.ready = Ready(frame.text("name"), rate_hz, frame.number("warm_s"), card)
            self._due_s = math.inf
            self._on_phase("ready", None)
        else:
            raise WireError(f"it sent {frame.kind.name.lower()} before it was ready")

    def _take_answer(self, frame: Frame) -> None:
        request = self._head(frame)
        if frame.kind is FrameKind.AUDIO and request.awaits_sound:
            request.sounds.append(self._check_sound(request, frame))
        elif frame.kind is FrameKind.DONE and request.kind is FrameKind.RENDER and not request.awaits_sound:
            self.vitals = stats_header.of(frame)
            done = self._finish()
            if request.misfit is None:
                done.set_result(self._timed(request))
            else:
                done.set_exception(VoiceError(request.misfit))
        elif frame.kind is FrameKind.PREPARED and request.kind is FrameKind.PREPARE:
            card = card_header.of(frame)
            with self._lock:
                self._cards[request.voice] = card
            self._finish().set_result(card)
        else:
            raise WireError(f"it sent {frame.kind.name.lower()} out of turn")

    def _take_error(self, frame: Frame) -> WorkerExit | None:
        message = frame.text("message")
        cls = _ERRORS.get(frame.text("class"), EngineError)
        if self.ready is None:
            hopeless = cls(message) if issubclass(cls, (WeightsError, VoiceError)) else None
            return WorkerExit(message, hopeless=hopeless)
        self._head(frame)
        if frame.header.get("sticky") is True:
            return WorkerExit(message)
        self._finish().set_exception(cls(message))
        return None

    def _head(self, frame: Frame) -> Request[Any]:
        with self._lock:
            if not self._requests or self._requests[0].seq != frame.integer("seq"):
                raise WireError(f"it answered request {frame.integer('seq')}, which is not the one it has")
            return self._requests[0]

    def _finish(self) -> Future[Any]:
        with self._lock:
            request = self._requests.popleft()
            self._due_s = math.inf
            self._begin_next()
        return request.future

    def _begin_next(self) -> None:
        """Give the request at the head its time, which begins now. The lock is held."""
        if self._requests and math.isinf(self._requests[0].began_s):
            self._requests[0].began_s = time.monotonic()
            self._due_s = self._requests[0].began_s + self._deadlines.segment_s

    def _check_sound(self, request: Request[Any], frame: Frame) -> Utterance:
        index = len(request.sounds)
        rate_hz = frame.integer("rate_hz")
        if self.ready is None or rate_hz != self.ready.rate_hz or frame.integer("index") != index:
            raise WireError("it sent sound that was not asked for")
        if not frame.payload or len(frame.payload) % 2:
            raise WireError(f"{len(frame.payload)} bytes are no S16 sound")
        audio_s = len(frame.payload) / 2 / rate_hz
        samples = np.frombuffer(frame.payload, dtype=np.int16)
        if audio_s > request.longest_s[index]:
            # The length follows from the voice's clip and its words: a new worker would only repeat it.
            request.misfit = (
                f"a segment came out as {audio_s:.0f} s of sound; {request.longest_s[index]:.0f} s is plausible. "
                f"The words of the voice do not fit its clip; correct its reference.txt"
            )
            samples = samples[:0].copy()
        nfe_step = None if frame.header.get("nfe_step") is None else frame.integer("nfe_step")
        return Utterance(samples, rate_hz, 0.0, frame.text("engine"), frame.text("voice"), nfe_step)

    def _timed(self, request: Request[Any]) -> list[Utterance]:
        """Its sounds, each with its share of the time that they took together: by our clock, not the worker's."""
        synth_s = time.monotonic() - request.began_s
        card = self.card(request.voice)
        reference_s = (card.reference_s if card else None) or 0.0
        shares = shared(synth_s, [reference_s + sound.audio_s for sound in request.sounds])
        return [replace(sound, synth_s=share_s) for sound, share_s in zip(request.sounds, shares, strict=True)]
