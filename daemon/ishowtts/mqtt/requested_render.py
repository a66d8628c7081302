"""One segment that a board renders: collects the parts of its reply, and only a complete sound is a result."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

import numpy as np

from ishowtts.engines.remote.board_link import FailureKind, RenderedSound, RenderFailure
from ishowtts.model import SoundFormat
from ishowtts.mqtt.render_parts import RenderEnd, RenderError, RenderHead, RenderPart, RenderQueued, RenderSound

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
        self._head: RenderHead | None = None
        self._sound: list[bytes] = []
        self._bytes = 0

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
        if part is None or self._has(part):
            return False  # a later version may have other parts, and at QoS 1 a message may come twice
        if isinstance(part, RenderQueued):
            self.waiting = part.waiting
            return False
        if isinstance(part, RenderHead) and part.format is SoundFormat.PCM:
            self._head = part
            return False
        if isinstance(part, RenderSound) and self._head is not None and part.seq == len(self._sound):
            self._sound.append(part.data)
            self._bytes += len(part.data)
            if self._bytes <= _MAX_SOUND_BYTES:
                return False
        if isinstance(part, RenderError):
            kind = _KINDS.get(part.reason, FailureKind.REFUSED)
            self.end(RenderFailure(kind, f"it answers {part.reason}", part.detail))
        elif isinstance(part, RenderEnd) and self._head is not None and self._is_complete(part):
            samples = np.frombuffer(b"".join(self._sound), dtype="<i2").astype(np.int16)
            self.end(RenderedSound(samples, self._head.rate_hz, part.voice, part.engine, part.cached))
        else:
            # A part is missing, is not where it may be, or is too much: the rest is of no use.
            self.end(RenderFailure(FailureKind.REFUSED, "its reply has a gap, or breaks the protocol"))
            self._withdraw(self)
        return True

    def _has(self, part: RenderPart) -> bool:
        """Whether this part has come before."""
        if isinstance(part, RenderHead):
            return self._head is not None
        return isinstance(part, RenderSound) and part.seq < len(self._sound)

    def _is_complete(self, end: RenderEnd) -> bool:
        return end.parts == len(self._sound) and self._bytes > 0 and self._bytes % 2 == 0


def new_correlation() -> bytes:
    """The Correlation Data of a request, which nobody guesses."""
    return secrets.token_bytes(16)
