"""One segment that a board renders: collects the parts of its reply, and only a complete sound is a result."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

import numpy as np

from ishowtts.engines.remote.board_link import FailureKind, RenderedSound, RenderFailure
from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderPart, RenderQueued, RenderSound
from ishowtts.mqtt.renders.reply_order import BrokenReply, ReplyOrder

_MAX_SOUND_BYTES = 16_000_000
_PROBE_INTERVAL_S = 1.0
_KINDS = {
    "busy": FailureKind.BUSY,
    "expired": FailureKind.BUSY,
    "stopping": FailureKind.BUSY,
    "cancelled": FailureKind.BUSY,
    "rate_limited": FailureKind.BUSY,
    "unknown_voice": FailureKind.VOICE,
    "failed": FailureKind.TEXT,
    "empty": FailureKind.TEXT,
}


class RequestedRender:
    """One segment that a board renders. The thread `mqtt-boards` gives it the parts of the reply.

    Args:
        withdraw: Tells the board that nobody wants the sound any more.
        probe: Asks whether the board is still there. `end` is called if it is not.
    """

    def __init__(
        self,
        board: str,
        withdraw: Callable[[RequestedRender], None],
        probe: Callable[[RequestedRender], None],
    ) -> None:
        self.board = board
        self.correlation = new_correlation()
        self.waiting: int | None = None
        self._withdraw = withdraw
        self._probe = probe
        self.began_s = time.monotonic()
        self._probe_at_s = self.began_s + _PROBE_INTERVAL_S
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._result: RenderedSound | RenderFailure | None = None
        self._order = ReplyOrder(SoundFormat.PCM, _MAX_SOUND_BYTES)
        self._sound: list[bytes] = []

    def wait(self, timeout_s: float) -> RenderedSound | RenderFailure | None:
        """Wait for the result; `None` if there is none after this time."""
        if not self._ended.wait(timeout_s) and time.monotonic() >= self._probe_at_s:
            self._probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
            self._probe(self)
        return self._result

    def cancel(self) -> None:
        """Drop what the board still sends, and tell it so. Idempotent."""
        if self.end(RenderFailure(FailureKind.BUSY, "it was cancelled")):
            self._withdraw(self)

    def end(self, result: RenderedSound | RenderFailure) -> bool:
        """Set the result. Returns whether there was none: the first one counts."""
        with self._lock:
            if self._ended.is_set():
                return False
            self._result = result
            self._ended.set()
            return True

    def take(self, part: RenderPart | None) -> bool:
        """Take a part of the reply. Returns whether it was the last."""
        if part is None:
            return False  # a later version may have other parts
        try:
            is_new = self._order.take(part)
        except BrokenReply:
            self._refuse()
            return True
        if not is_new:
            return False
        if isinstance(part, RenderQueued):
            self.waiting = part.waiting
        elif isinstance(part, RenderSound):
            self._sound.append(part.data)
        elif isinstance(part, RenderError):
            kind = _KINDS.get(part.reason, FailureKind.REFUSED)
            self.end(RenderFailure(kind, f"it answers {part.reason}", part.detail))
        elif isinstance(part, RenderEnd):
            self._finish(part)
        return self._ended.is_set()

    def _finish(self, end: RenderEnd) -> None:
        head, sound = self._order.head, b"".join(self._sound)
        if head is None or not sound or len(sound) % 2:
            self._refuse()
            return
        samples = np.frombuffer(sound, dtype="<i2").astype(np.int16)
        self.end(RenderedSound(samples, head.rate_hz, end.voice, end.engine, end.cached))

    def _refuse(self) -> None:
        """End the render: what has come and what still comes is of no use."""
        self.end(RenderFailure(FailureKind.REFUSED, "its reply has a gap, or breaks the protocol"))
        self._withdraw(self)


def new_correlation() -> bytes:
    """The Correlation Data of a request, which nobody guesses."""
    return secrets.token_bytes(16)
