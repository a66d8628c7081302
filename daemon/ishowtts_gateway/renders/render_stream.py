"""The sound of one text: asks one appliance after another until one renders it, and passes on what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderHead
from ishowtts_gateway.renders.render_attempt import RenderAttempt, RenderRefused

FIRST_SOUND_S = 60.0
"""How long a requester waits for the first sound, if it does not say."""
_ANSWER_S = 10.0
"""An appliance says at once how many renders are before ours."""
_NEXT_SOUND_S = 60.0
"""Between two parts. Lines of the appliance's own loudspeaker go first, and a segment may take 30 s of computing."""

_PROBE_S = 2.0
"""The will of an appliance that has died comes after 10 s. The broker knows at once that nobody subscribes there."""


class RenderBoards(Protocol):
    """What a stream needs of the client."""

    def attempts(self) -> Sequence[Callable[[], RenderAttempt]]:
        """Make attempts for the appliances that can render the text, the best first. Raises GatewayError for none."""

    async def ask(self, attempt: RenderAttempt) -> None:
        """Publish the request."""

    async def probe(self, attempt: RenderAttempt) -> None:
        """Ask the broker if the appliance is still there. If it is not, the attempt fails."""

    def leave(self, attempt: RenderAttempt) -> None:
        """Forget an attempt, and cancel it if it runs."""


class RenderStream:
    """`async with client.render(…) as stream: head = await stream.head()`, then `async for piece in stream`.

    An appliance that refuses, or dies before its first sound, is replaced by the next one. Whoever leaves the block
    early cancels the render.

    Attributes:
        end: What the appliance says of it after the last piece; `None` before.

    Args:
        boards: The appliances that can render the text.
        wait_s: How long to wait for the first sound.
    """

    def __init__(self, boards: RenderBoards, wait_s: float = FIRST_SOUND_S) -> None:
        self.end: RenderEnd | None = None
        self._boards = boards
        self._wait_s = wait_s
        self._attempt: RenderAttempt | None = None

    async def __aenter__(self) -> RenderStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @property
    def device(self) -> str | None:
        """The appliance that renders it; `None` before it was asked."""
        return None if self._attempt is None else self._attempt.device

    async def head(self) -> RenderHead:
        """Wait for the first sound. Returns what it is.

        Raises:
            GatewayError: there is none.
        """
        return (await self._started())[1]

    def __aiter__(self) -> RenderStream:
        return self

    async def __anext__(self) -> bytes:
        """The next piece of the sound. Raises GatewayError if the render breaks off."""
        attempt, _ = await self._started()
        due_s = asyncio.get_running_loop().time() + _NEXT_SOUND_S
        while (piece := attempt.take()) is None:
            if attempt.error is not None:
                raise attempt.error
            if attempt.end is not None:
                self.end = attempt.end
                raise StopAsyncIteration
            await self._wait(attempt, due_s, f"has sent no sound for {_NEXT_SOUND_S:g} s")
        return piece

    async def _started(self) -> tuple[RenderAttempt, RenderHead]:
        """The attempt that has sent its first sound."""
        if self._attempt is not None and self._attempt.head is not None:
            return self._attempt, self._attempt.head
        last: RenderRefused | None = None
        due_s = asyncio.get_running_loop().time() + self._wait_s
        for make in self._boards.attempts():
            try:
                self._attempt = make()
                return self._attempt, await self._first_sound(self._attempt, due_s)
            except RenderRefused as refusal:
                self._leave()
                if not refusal.elsewhere or asyncio.get_running_loop().time() >= due_s:
                    raise
                last = refusal
        raise last or RenderRefused(503, "no_board", "no appliance can render this now")

    async def _first_sound(self, attempt: RenderAttempt, due_s: float) -> RenderHead:
        asked_s = asyncio.get_running_loop().time()
        await self._boards.ask(attempt)
        while attempt.head is None:
            if attempt.error is not None:
                raise attempt.error
            limit_s = due_s if attempt.answered else min(due_s, asked_s + _ANSWER_S)
            await self._wait(attempt, limit_s, "has not answered the request in time")
        return attempt.head

    async def _wait(self, attempt: RenderAttempt, due_s: float, late: str) -> None:
        left_s = due_s - asyncio.get_running_loop().time()
        if left_s <= 0:
            attempt.fail(RenderRefused(504, "unreachable", f"{attempt.device} {late}"))
            return
        if not await attempt.changed(min(left_s, _PROBE_S)):
            await self._boards.probe(attempt)

    def _leave(self) -> None:
        if self._attempt is not None:
            self._boards.leave(self._attempt)
