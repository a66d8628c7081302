"""Renders texts for others: admits their requests, has their sound made in fair turns, and sends it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ishowtts.model import Line, Reason, Rejection, RenderRequest
from ishowtts.mqtt.renders.render_parts import RenderError
from ishowtts.mqtt.renders.render_reply import RenderKey
from ishowtts.speech.renders.open_render import OpenRender, RenderOutcome, RenderOutlet, send
from ishowtts.speech.renders.render_turns import RenderTurns
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.speech.synthesis_thread import RenderJob
from ishowtts.util.callbacks import ChangeSignal
from ishowtts.util.logs import Untrusted, log_fields
from ishowtts.util.loop_thread import LoopThread
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_IDLE_S = 5.0
_MOST_RTFS = 100
_MAX_ARRIVED = 10_000  # the connection has 2,000 open requests at most; the others are cancellations
_LOGGED_ALONE = 5  # refusals in 10 s
_STOPPING = RenderError("stopping", "the appliance is being stopped; send it again, or to another one")

Admit = Callable[[Line], Line | Rejection]


@dataclass(frozen=True)
class RenderCounts:
    """What becomes of renders, for telemetry.

    Attributes:
        active, waiting: Those that were begun, and those that were not.
        done, failed, cancelled: Those that have ended so, since the start. One that was refused counts nowhere.
        rtf: Real-time factors of the last of those that an engine has made. Sound from the cache has none.
    """

    active: int
    waiting: int
    done: int
    failed: int
    cancelled: int
    rtf: tuple[float, ...] = ()


class RenderService(LoopThread):
    """The thread `renders`. It post-processes, encodes and sends; the thread `synthesis` makes the sound.

    So neither a requester that reads slowly nor an encoder delays a line.

    Args:
        resources: What lines are spoken with. The post-processor is used on this thread only.
        admit: Applies the policies to a line.
        limit: `limits.renders`: the most that are open. With 0 there is no such thread.

    Attributes:
        ready: Called when the thread `synthesis` may find a job with `next_job`.
    """

    def __init__(self, resources: SpeechResources, admit: Admit, limit: int) -> None:
        super().__init__("renders")
        self.ready = ChangeSignal()
        self._resources = resources
        self._admit = admit
        self._limit = limit
        self._turns = RenderTurns(limit)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._arrived: deque[tuple[RenderRequest | Rejection, RenderOutlet] | RenderKey] = deque()
        self._closed = False
        self._refusals = RateLimit(_LOGGED_ALONE)
        self._ended = dict.fromkeys(RenderOutcome, 0)
        self._rtf: deque[float] = deque(maxlen=_MOST_RTFS)

    def change(self, resources: SpeechResources, admit: Admit) -> None:
        """Render the next requests in another way. Those that are open go on as they began."""
        self._resources, self._admit = resources, admit

    @property
    def enabled(self) -> bool:
        """Whether this appliance renders for others."""
        return self._limit > 0

    def next_job(self, spare_s: float) -> RenderJob | None:
        """The next job for the thread `synthesis`. See SynthesisThread."""
        return self._turns.next_job(spare_s)

    def start(self) -> None:
        """Start the thread, if it is used."""
        if self.enabled:
            super().start()

    def offer(self, request: RenderRequest | Rejection, reply: RenderOutlet) -> None:
        """Take a request. Any thread may call; it never blocks."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._arrived.append((request, reply))
        if closed:
            send(reply, _STOPPING)
        else:
            self.wake()

    def cancel(self, key: RenderKey) -> None:
        """Cancel a render, if it is open. Any thread may call; it never blocks."""
        with self._lock:
            if len(self._arrived) < _MAX_ARRIVED:  # a flood of them is no reason to use more memory
                self._arrived.append(key)
        self.wake()

    def counts(self) -> RenderCounts:
        """What becomes of renders. Any thread may ask."""
        waiting = [render.waiting for render in self._turns.all()]
        ended = self._ended
        return RenderCounts(
            waiting.count(False),
            waiting.count(True),
            ended[RenderOutcome.DONE],
            ended[RenderOutcome.FAILED],
            ended[RenderOutcome.CANCELLED],
            tuple(self._rtf),
        )

    def run_once(self, last: bool) -> float:
        """Take what has arrived, and move every render along by small steps."""
        if refused := self._refusals.held_back(last=last):
            each = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
            fields = log_fields(event="render", outcome="refused", count=refused.total())
            log.warning("%d more renders were refused (%s)", refused.total(), each, extra=fields)
        if last:
            self._stop_all()
            return _IDLE_S
        again = True
        while again and not self._closing:
            self.progressed()
            self._take_arrived()
            again = self._advance_all()
        due_s = min((render.next_due_s() for render in self._turns.all()), default=float("inf"))
        return min(max(0.0, due_s - time.monotonic()), _IDLE_S)

    def _advance_all(self) -> bool:
        """Do one step of each render; whether there is more to do at once."""
        again = False
        for render in self._turns.all():
            try:
                again |= render.advance()
            except Exception:
                log.exception("the sound of a render could not be sent")
                render.end("failed", "the sound could not be sent; the daemon's log says more")
            self._forget_if_over(render)
        self.ready()
        return again

    def _take_arrived(self) -> None:
        with self._lock:
            arrived = list(self._arrived)
            self._arrived.clear()
        for one in arrived:
            if isinstance(one, RenderKey):
                self._cancel(one)
                continue
            try:
                self._begin(*one)
            except Exception:  # one request must not end the thread
                log.exception("a render could not be begun")
                send(one[1], RenderError("failed", "the render could not be begun; the daemon's log says more"))

    def _begin(self, request: RenderRequest | Rejection, reply: RenderOutlet) -> None:
        admitted = self._admitted(request)
        if isinstance(admitted, Rejection):
            self._refuse(reply, admitted.reason.value, admitted.detail)
            return
        render = OpenRender(admitted, reply, self._resources, next(self._numbers), self.wake)
        admission = self._turns.add(render)
        if admission.gave_way is not None:
            admission.gave_way.end("busy", self._busy_sentence())
            self._ended[RenderOutcome.FAILED] += 1
        if admission.before is None:
            self._refuse(reply, "busy", self._busy_sentence())
        else:
            render.queued(admission.before)

    def _refuse(self, reply: RenderOutlet, reason: str, detail: str) -> None:
        """Answer a request that is not taken. Of a flood of them, a few are logged."""
        send(reply, RenderError(reason, detail))
        if self._refusals.allows(reason):
            fields = log_fields(event="render", outcome="refused", reason=reason)
            log.warning("a render was refused (%s): %s", reason, Untrusted(detail), extra=fields)

    def _admitted(self, request: RenderRequest | Rejection) -> RenderRequest | Rejection:
        """The request after the policies. A segment was read before: the policies are those of its appliance."""
        if isinstance(request, Rejection) or request.is_segment:
            return request
        try:
            line = self._admit(request.line)
        except Exception:
            log.exception("the policies could make nothing of a text to render")
            detail = "the policies could make nothing of this text; the daemon's log says more"
            return Rejection(request.line.id, Reason.FILTERED, detail)
        return line if isinstance(line, Rejection) else replace(request, line=line)

    def _busy_sentence(self) -> str:
        return f"{self._limit} renders are open here (limits.renders); send it later, or to another appliance"

    def _cancel(self, key: RenderKey) -> None:
        for render in self._turns.all():
            if render.key == key:
                render.end("cancelled", "its requester has cancelled it", RenderOutcome.CANCELLED)
                self._forget_if_over(render)

    def _forget_if_over(self, render: OpenRender) -> None:
        if render.outcome is not None:
            self._turns.remove(render)
            self._ended[render.outcome] += 1
            if render.rtf is not None:
                self._rtf.append(render.rtf)

    def _stop_all(self) -> None:
        with self._lock:
            self._closed = True
        self._take_arrived()
        for render in self._turns.all():
            render.end(_STOPPING.reason, _STOPPING.detail, RenderOutcome.CANCELLED)
            self._forget_if_over(render)
