"""Waits for the answer of an appliance to one request."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from ishowtts_gateway.gateway_error import GatewayError

ANSWER_S = 10.0


class Answer:
    """The answer that a request waits for.

    Attributes:
        correlation: Correlation Data of the request.
    """

    def __init__(self, device: str) -> None:
        self.correlation = secrets.token_bytes(16)
        self._device = device
        self._event: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def set(self, event: dict[str, Any]) -> None:
        """Set the answer. Later answers are ignored."""
        if not self._event.done():
            self._event.set_result(event)

    @property
    def arrived(self) -> bool:
        """Whether the answer is here."""
        return self._event.done()

    async def wait(self, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Wait for the answer. Raises GatewayError with status 504 if none comes in time."""
        # Not `wait_for`: before Python 3.12 it ignores a cancellation that comes together with the answer.
        await asyncio.wait({self._event}, timeout=timeout_s)
        if not self._event.done():
            raise GatewayError(504, f"{self._device} has not answered within {timeout_s:g} s")
        return self._event.result()
