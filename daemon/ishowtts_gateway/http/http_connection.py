"""One connection of a client: uvicorn's protocol with deadlines, so that slow clients cannot hold it for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.http_response import RESPONSE_HEADERS, error_body

_HEADERS_S = 10.0
_WRITE_S = 30.0
_quiet = logging.getLogger(f"{__name__}.uvicorn")
# uvicorn would log each malformed request, and each task that ends with the gateway with a traceback. HttpSecurity
# answers and logs what our own code raises.
_quiet.setLevel(logging.CRITICAL + 1)


class HttpConnection(H11Protocol):
    """Ends a connection that sends no complete headers in 10 s, or does not take what was written in 30 s.

    Args:
        config: uvicorn's, loaded.
        state: Holds the open connections and the running requests.
        on_lost: Called once, when the connection is gone.
    """

    def __init__(self, config: Config, state: ServerState, on_lost: Callable[[], None]) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self.logger = _quiet
        self.access_log = False
        self._on_lost = on_lost
        self._headers_due: asyncio.TimerHandle | None = None
        self._write_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        # `pause_writing` must come as soon as something waits, because the deadline of `_write_due` begins there.
        # With 0, the transports of TLS would always pause.
        transport.set_write_buffer_limits(high=1, low=0)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the deadlines."""
        for timer in (self._headers_due, self._write_due):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.transport.close()  # uvicorn leaves it open after a reset, and Python 3.10 warns of that with TLS
        self._unset_keepalive_if_required()
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Takes a part of a request."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            if self._headers_due is not None:
                self._headers_due.cancel()
                self._headers_due = None
        elif self._headers_due is None and not self.transport.is_closing():
            self._wait_for_headers()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, as every fault is answered. If a response has begun, only closes the connection."""
        if self.cycle is None or self.cycle.response_complete:
            body = error_body(GatewayError(400, "this is not a request of HTTP/1.1"), "/")
            headers = {**RESPONSE_HEADERS, "content-type": "application/json", "content-length": str(len(body))}
            lines = [f"{name}: {value}\r\n" for name, value in {**headers, "connection": "close"}.items()]
            self.transport.write(f"HTTP/1.1 400 Bad Request\r\n{''.join(lines)}\r\n".encode("latin-1") + body)
        self.transport.close()

    def pause_writing(self) -> None:
        """Begins to wait for a reader that is slower than the response."""
        super().pause_writing()
        if self._write_due is None:
            self._write_due = self.loop.call_later(_WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Everything that was written is with the system."""
        super().resume_writing()
        if self._write_due is not None:
            self._write_due.cancel()
            self._write_due = None

    def _wait_for_headers(self) -> None:
        self._headers_due = self.loop.call_later(_HEADERS_S, self.transport.abort)
