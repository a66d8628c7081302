"""Serves an ASGI application on the running loop, on sockets that listen."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import ASGIApp
from uvicorn.config import Config as UvicornConfig
from uvicorn.server import ServerState

from ishowtts.config.gateway_section import split_listen
from ishowtts_gateway.http.http_connection import HttpConnection
from ishowtts_gateway.http.tls_certificate import TlsCertificate
from ishowtts_gateway.tcp_listener import ConnectionLimits, TcpListener, open_sockets

_T = TypeVar("_T")

MAX_CONNECTIONS = 512
MAX_OF_ADDRESS = 128
"""Of one address beyond loopback. A browser opens six for each page at most."""
_NEW_PER_S, _NEW_AT_ONCE = 20, 200
"""Of one address beyond loopback. Each costs a handshake: 1 ms of a desktop's CPU, several of a board's."""
_ALL_NEW_PER_S, _ALL_NEW_AT_ONCE = 200, 1000
_KEEP_ALIVE_S = 15
_HANDSHAKE_S = 5.0
_STOP_S = 2.0


def bind(listen: str) -> list[socket.socket]:
    """Open the sockets of `gateway.http.listen`, as `open_sockets`."""
    return open_sockets(f"gateway.http.listen: {listen}", *split_listen(listen))


class HttpServer:
    """Serves an application on sockets that listen.

    Args:
        app: The application. It ends its long responses by itself before `stop`.
        sockets: From `bind`. `stop` closes them.
        tls: `None` for HTTP.
    """

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], tls: TlsCertificate | None = None) -> None:
        self._sockets = sockets
        self._tls = tls
        # No lifespan, no log of its own, no headers that it trusts, and WebSocket is plain HTTP to it.
        self._config = UvicornConfig(
            app,
            interface="asgi3",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            h11_max_incomplete_event_size=32_768,
        )
        self._config.load()
        self._state = ServerState()
        self._tasks: set[asyncio.Task[Any]] = set()
        limits = ConnectionLimits(
            MAX_CONNECTIONS, MAX_OF_ADDRESS, _NEW_PER_S, _NEW_AT_ONCE, _ALL_NEW_PER_S, _ALL_NEW_AT_ONCE
        )
        self._listener = TcpListener(limits, self._connect)

    @property
    def connections(self) -> int:
        """How many connections are open, with those that are still in the handshake."""
        return self._listener.connections

    def start(self) -> None:
        """Begins to accept connections on the running loop."""
        self._listener.add(self._sockets)
        if self._tls is not None:
            self._run(self._tls.follow())

    async def stop(self) -> None:
        """Closes the sockets, lets running requests end for 2 s, and ends the others."""
        await self._listener.close()
        for task in list(self._tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        ends_s = asyncio.get_running_loop().time() + _STOP_S
        while self._state.connections and asyncio.get_running_loop().time() < ends_s:
            await asyncio.sleep(0.02)
        for connection in list(self._state.connections):
            connection.transport.abort()
        running = [*self._tasks, *self._state.tasks]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _connect(self, accepted: socket.socket, _group: str, lost: Callable[[], None]) -> None:
        """Hands a socket to its protocol, after the handshake of TLS.

        Raises:
            OSError: The client has gone, or the handshake failed: the client may not trust our certificate.
        """
        options: dict[str, Any] = {}
        if self._tls is not None:
            options = {"ssl": self._tls.context, "ssl_handshake_timeout": _HANDSHAKE_S}
            if sys.version_info >= (3, 11):
                options["ssl_shutdown_timeout"] = _STOP_S
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: HttpConnection(self._config, self._state, lost), accepted, **options
        )
