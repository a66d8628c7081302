"""One render that was accepted: sends its sound as it is made, and its end."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from ishowtts.model import RenderRequest
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderPart, RenderQueued, RenderSound
from ishowtts.mqtt.renders.render_reply import RenderKey
from ishowtts.speech.renders.render_task import MadeSegment, RenderTask
from ishowtts.speech.renders.sound_stream import SoundStream
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.util.logs import Untrusted, log_fields

log = logging.getLogger(__name__)

_STALLED_S = 60.0  # the parts of a reply expire after that time


class RenderOutlet(Protocol):
    """The part of `mqtt.RenderReply` that a render needs."""

    key: RenderKey
    gone: str | None
    wake: Callable[[], None]

    @property
    def client(self) -> str:
        """Who has asked: clients take turns."""

    @property
    def part_bytes(self) -> int:
        """The largest part of the sound that reaches it."""

    def send(self, part: str, payload: bytes, *, seq: int | None = None) -> bool:
        """Sends a part; `False` if there is no room for it now. It never blocks."""


class RenderOutcome(Enum):
    """How a render ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def send(reply: RenderOutlet, part: RenderPart) -> None:
    """Send a part that is no sound: there is always room for it."""
    reply.send(part.part, part.payload())


class OpenRender:
    """One render. Only the thread `renders` calls `advance` and `end`.

    Args:
        request: What to render, after the policies.
        number: Unique among the renders.
        wake: Called when `advance` may have more to do.

    Attributes:
        client: Who has asked: clients take turns.
        outcome: How it ended; `None` while it is open.
        rtf: Real-time factor of its sound, once it was sent to its end; `None` if all came from the cache.
    """

    def __init__(
        self,
        request: RenderRequest,
        reply: RenderOutlet,
        resources: SpeechResources,
        number: int,
        wake: Callable[[], None],
    ) -> None:
        self.client = reply.client
        self.key = reply.key
        self.task = RenderTask(request, resources, wake)
        self.outcome: RenderOutcome | None = None
        self.rtf: float | None = None
        self._id = Untrusted(request.line.id)
        self._request = request
        self._reply = reply
        self._stream = SoundStream(request, resources, f"render {number}", reply.part_bytes)
        self._arrived_s = self._last_sent_s = time.monotonic()
        self._first_sent_s: float | None = None
        self._head_sent = False
        self._sent_parts = 0
        self._synth_s = 0.0
        self._all_cached = True
        self._engines: dict[str, None] = {}  # in the order in which they spoke
        self._last: MadeSegment | None = None
        reply.wake = wake

    @property
    def waiting(self) -> bool:
        """Whether nothing was done for it yet."""
        return self.task.began_s is None

    def wants_engine(self, now_s: float, max_unsent_s: float) -> bool:
        """Whether its next job may run now. Any thread may ask.

        Args:
            max_unsent_s: It may not while more of its sound than this was made and not sent.
        """
        if self.outcome is not None or self.task.ended or now_s < self.task.retry_at_s:
            return False
        made_s = sum(made.utterance.audio_s for made in tuple(self.task.made))
        return made_s + sum(part.audio_s for part in tuple(self._stream.parts)) <= max_unsent_s

    def next_due_s(self) -> float:
        """When `advance` must be called though nothing has happened, in monotonic seconds."""
        if self._first_sent_s is not None:
            return self._last_sent_s + _STALLED_S if self._stream.parts else math.inf
        retry_at_s = self.task.retry_at_s
        return min(self._expires_s, retry_at_s if retry_at_s > time.monotonic() else math.inf)

    def queued(self, before: int) -> None:
        """Tell the requester how many renders are before this one."""
        send(self._reply, RenderQueued(before))

    def advance(self) -> bool:
        """Do a small step: process a segment or encode a piece of it, and send what can be sent.

        Returns: whether there is more to do at once.
        """
        if self._reply.gone is not None:
            fields = self._log_fields(RenderOutcome.CANCELLED)
            log.info("the render (id %r) is cancelled: %s", self._id, self._reply.gone, extra=fields)
            self._close(RenderOutcome.CANCELLED)
            return False
        worked = self._process()
        self._send_sound()
        self._end_if_over()
        return worked and self.outcome is None

    def end(self, reason: str, detail: str, outcome: RenderOutcome = RenderOutcome.FAILED) -> None:
        """End it with an error, unless it has ended."""
        if self.outcome is None:
            level = logging.WARNING if outcome is RenderOutcome.FAILED else logging.INFO
            became = "has failed" if outcome is RenderOutcome.FAILED else f"is {outcome.value}"
            fields = self._log_fields(outcome, reason=reason)
            log.log(level, "the render (id %r) %s: %s", self._id, became, Untrusted(detail), extra=fields)
            self._close(outcome)
            send(self._reply, RenderError(reason, detail))

    @property
    def _expires_s(self) -> float:
        """Until when the requester waits for the first sound, in monotonic seconds."""
        ttl_s = self._request.line.ttl_s
        return math.inf if ttl_s is None else self._arrived_s + ttl_s

    def _process(self) -> bool:
        """Encode a piece of the current segment, or of the next one; `False` if there is none."""
        if not self._stream.encoding:
            if not self.task.made:
                return False
            self._begin_segment(self.task.made[0])
        self._stream.encode_next()
        if not self._stream.encoding:
            self.task.made.popleft()
        return True

    def _begin_segment(self, made: MadeSegment) -> None:
        self._last = made
        self._synth_s += made.utterance.synth_s
        self._all_cached &= made.utterance.cached
        self._engines[made.utterance.engine] = None
        self._stream.add(made)

    def _send_sound(self) -> None:
        parts = self._stream.parts
        while parts:
            self._send_head()
            if not self._reply.send(RenderSound.part, parts[0].data, seq=self._sent_parts):
                return
            parts.popleft()
            self._sent_parts += 1
            self._last_sent_s = time.monotonic()
            if self._first_sent_s is None:
                self._first_sent_s = self._last_sent_s

    def _send_head(self) -> None:
        if self._head_sent or self._last is None or self._stream.rate_hz is None:
            return
        self._head_sent = True
        first = self._last.utterance
        send(self._reply, RenderHead(self._request.format, self._stream.rate_hz, first.engine, first.voice))

    def _end_if_over(self) -> None:
        now_s, task = time.monotonic(), self.task
        if self._first_sent_s is None and now_s >= self._expires_s:
            why = f": {task.waits_for}" if task.waits_for else "; this appliance has too much to do"
            self.end("expired", f"no sound was made within the {self._request.line.ttl_s:g} s of ttl_s{why}")
        elif self._stream.parts:
            if now_s >= self._last_sent_s + _STALLED_S:
                detail = f"no part of the sound could be sent for {_STALLED_S:.0f} s"
                self.end("cancelled", detail, RenderOutcome.CANCELLED)
        elif not task.made and task.failure is not None:
            self.end("failed", str(task.failure))
        elif not task.made and self._last is not None and self._last.is_last:
            self._finish(self._last)

    def _finish(self, last: MadeSegment) -> None:
        began_s = self._arrived_s if self.task.began_s is None else self.task.began_s
        audio_s = self._stream.audio_s
        self.rtf = self._synth_s / audio_s if audio_s > 0 and self._synth_s > 0 else None
        self._close(RenderOutcome.DONE)
        end = RenderEnd(
            audio_s=audio_s,
            synth_s=self._synth_s,
            ttfa_s=None if self._first_sent_s is None else self._first_sent_s - began_s,
            rtf=self.rtf,
            queue_s=began_s - self._arrived_s,
            engine=last.utterance.engine,
            engines=tuple(self._engines),
            voice=last.utterance.voice,
            cached=self._all_cached,
            parts=self._sent_parts,
        )
        send(self._reply, end)
        engines, waited_s = ", ".join(end.engines), round(end.queue_s, 3)
        fields = self._log_fields(RenderOutcome.DONE, engine=end.engines, voice=end.voice)
        words = "rendered (id %r): %.3f s of speech by %s, waited %s s"
        log.info(words, self._id, audio_s, engines, waited_s, extra=fields)

    def _log_fields(self, outcome: RenderOutcome, **others: Any) -> dict[str, dict[str, object]]:
        return log_fields(event="render", outcome=outcome.value, line_id=str(self._id), **others)

    def _close(self, outcome: RenderOutcome) -> None:
        self.outcome = outcome
        self.task.stop()
