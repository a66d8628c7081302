"""Receives the sound of one render from one appliance, within a budget of memory that all renders share."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping

from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderPart, RenderSound
from ishowtts.mqtt.renders.reply_order import BrokenReply, ReplyOrder
from ishowtts_gateway.gateway_error import GatewayError

_MAX_SOUND_BYTES = 64_000_000
"""Of one render. 4096 characters take about 5 minutes: 14 MB at 24 kHz."""
_STATUS: Mapping[str, int] = {
    **dict.fromkeys(("empty", "bad_utf8", "bad_json", "bad_field", "unknown_voice", "filtered"), 400),
    **dict.fromkeys(("too_long", "too_big"), 413),
    **dict.fromkeys(("rate_limited", "busy"), 429),
    "stopping": 503,
    "expired": 504,
}
"""Status of HTTP by the reason of an `error`; 502 for the others."""
_TOO_SLOW = "the sound was not read fast enough, and the gateway has no room for more of it; read it while it comes"
_ELSEWHERE = frozenset({"busy", "stopping", "failed", "expired", "unknown_voice", "unreachable"})


class RenderRefused(GatewayError):
    """A render has no sound, or no more of it.

    Args:
        reason: A word: one of an `error` of the contract, `unreachable` if the appliance has died or is silent,
            `no_board` if none can render the text, `slow_reader` if the sound was not taken.
    """

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(status, sentence)
        self.reason = reason

    @property
    def elsewhere(self) -> bool:
        """Whether another appliance may do better."""
        return self.reason in _ELSEWHERE


class SoundBudget:
    """Bounds the sound that has arrived and was not read, of all renders together.

    If it is exceeded, the render that holds most of it is ended: readers that keep up lose nothing.

    Attributes:
        held_bytes: What is held now.

    Args:
        max_bytes: The bound.
    """

    def __init__(self, max_bytes: int) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._held: dict[RenderAttempt, int] = {}

    def hold(self, attempt: RenderAttempt, count: int) -> None:
        """Count bytes that have arrived (or, below 0, that were read)."""
        self._held[attempt] = self._held.get(attempt, 0) + count
        self.held_bytes += count
        while self.held_bytes > self._max_bytes:
            fullest = max(self._held, key=lambda each: self._held[each])
            fullest.drop()
            fullest.fail(RenderRefused(503, "slow_reader", _TOO_SLOW))

    def release(self, attempt: RenderAttempt) -> None:
        """Forget a render."""
        self.held_bytes -= self._held.pop(attempt, 0)


class RenderAttempt:
    """One render on one appliance.

    Attributes:
        device: The name of the appliance.
        root: Its root topic.
        response_topic, correlation: Where its replies come, and their Correlation Data.
        answered: Whether anything came.
        settled: Whether the appliance has sent `end` or `error`: it does not work on it any more.
        end: As it came.
        error: Why there is no more sound.

    Args:
        sound_format: What was asked for.
        budget: Bounds what is not read.
    """

    def __init__(
        self, device: str, root: str, response_topic: str, sound_format: SoundFormat, budget: SoundBudget
    ) -> None:
        self.device = device
        self.root = root
        self.response_topic = response_topic
        self.correlation = secrets.token_bytes(16)
        self.answered = False
        self.settled = False
        self.end: RenderEnd | None = None
        self.error: GatewayError | None = None
        self._order = ReplyOrder(sound_format, _MAX_SOUND_BYTES)
        self._budget = budget
        self._pieces: deque[bytes] = deque()
        self._changed = asyncio.Event()

    @property
    def head(self) -> RenderHead | None:
        """What the sound is; `None` before it has come."""
        return self._order.head

    @property
    def over(self) -> bool:
        """Whether the appliance has sent everything, or nothing more is wanted of it."""
        return self.end is not None or self.error is not None

    def receive(self, part: RenderPart | None) -> None:
        """Take a reply. One that follows no contract, or comes a second time, is ignored."""
        if part is None or self.over:
            return
        self.answered = True
        self.settled = isinstance(part, (RenderEnd, RenderError))
        try:
            self._use(part)
        except BrokenReply as error:
            self.fail(RenderRefused(502, "failed", f"{self.device}: {error}; try again"))
        self._changed.set()

    def fail(self, error: GatewayError) -> None:
        """End the render with an error. The sound that has come can still be read."""
        if self.error is None:
            self.error = error
            self._changed.set()

    def take(self) -> bytes | None:
        """The next piece of sound; `None` if none is here now."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        self._budget.hold(self, -len(piece))
        return piece

    def drop(self) -> None:
        """Drop the sound that was not read."""
        self._pieces.clear()
        self._budget.release(self)

    async def changed(self, timeout_s: float) -> bool:
        """Wait until something has come, for at most this time. Returns whether it has."""
        if not self._changed.is_set():
            # Not `wait_for`: before Python 3.12 it ignores a cancellation that comes together with the answer.
            waiting = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({waiting}, timeout=timeout_s)
            finally:
                waiting.cancel()
        found = self._changed.is_set()
        self._changed.clear()
        return found

    def _use(self, part: RenderPart) -> None:
        """Use a part, unless it has come before. Raises BrokenReply."""
        if not self._order.take(part):
            return
        if isinstance(part, RenderError):
            self.fail(RenderRefused(_STATUS.get(part.reason, 502), part.reason, f"{self.device}: {part.detail}"))
        elif isinstance(part, RenderEnd):
            self.end = part
        elif isinstance(part, RenderSound):
            self._pieces.append(part.data)
            self._budget.hold(self, len(part.data))
