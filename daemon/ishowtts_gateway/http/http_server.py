"""Listens, accepts connections within limits, and serves an ASGI application on the running loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import ASGIApp
from uvicorn.config import Config as UvicornConfig
from uvicorn.server import ServerState

from ishowtts.config.gateway_section import split_listen
from ishowtts.errors import ConfigError, FatalError
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.http.http_connection import HttpConnection
from ishowtts_gateway.http.request_limits import LOOPBACK, TokenBuckets, address_group
from ishowtts_gateway.http.tls_certificate import TlsCertificate

log = logging.getLogger(__name__)

_T = TypeVar("_T")

MAX_CONNECTIONS = 512
MAX_OF_ADDRESS = 128
"""Of one address beyond loopback. A browser opens six for each page at most."""
_NEW_PER_S, _NEW_AT_ONCE = 20, 200
"""Of one address beyond loopback. Each costs a handshake: 1 ms of a desktop's CPU, several of a board's."""
_ALL_NEW_PER_S, _ALL_NEW_AT_ONCE = 200, 1000
_BACKLOG = 256
_SEND_BUFFER_BYTES = 131_072
_KEEP_ALIVE_S = 15
_HANDSHAKE_S = 5.0
_STOP_S = 2.0


def bind(listen: str) -> list[socket.socket]:
    """Opens the sockets of `gateway.http.listen`: one for each address of a name.

    Raises:
        ConfigError: This user may not use the port.
        FatalError: The port is taken, or this machine does not have the address. Both may pass.
    """
    host, port = split_listen(listen)
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            both = host == "::" and socket.has_dualstack_ipv6()
            listener = socket.create_server(
                address[:2],
                family=family,
                backlog=_BACKLOG,
                dualstack_ipv6=both,
            )
            # Otherwise the kernel keeps megabytes for a reader that does not read. Connections inherit it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            listener.setblocking(False)
            sockets.append(listener)
    except OSError as error:
        for each in sockets:
            each.close()
        raise _bind_fault(listen, error) from error
    return sockets


def _bind_fault(listen: str, error: OSError) -> FatalError:
    key = f"gateway.http.listen: {listen}"
    if isinstance(error, socket.gaierror):
        return FatalError(f"{key} has no address ({error.strerror}); write an address of this machine")
    if error.errno == errno.EADDRINUSE:
        return FatalError(f"{key} is taken by another program; choose another port, or stop that program")
    if error.errno == errno.EADDRNOTAVAIL:
        return FatalError(f"{key} is not an address of this machine; `ip address` lists them")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError([f"{key}: this user may not use the port; choose one from 1024"])
    return FatalError(f"{key} cannot be used ({error.strerror})")


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
        self._open: Counter[str] = Counter()
        self._new = TokenBuckets(_NEW_PER_S, _NEW_AT_ONCE, _ALL_NEW_PER_S, _ALL_NEW_AT_ONCE)
        self._warnings = RateLimit(1)

    @property
    def connections(self) -> int:
        """How many connections are open, with those that are still in the handshake."""
        return self._open.total()

    def start(self) -> None:
        """Begins to accept connections on the running loop."""
        for listener in self._sockets:
            self._run(self._accept(listener))
        if self._tls is not None:
            self._run(self._tls.follow())

    async def stop(self) -> None:
        """Closes the sockets, lets running requests end for 2 s, and ends the others."""
        for listener in self._sockets:
            listener.close()
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

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # the client has gone already
            except OSError as error:
                if self._warnings.allows():
                    log.warning("no connection can be accepted (%s); trying again", error.strerror)
                await asyncio.sleep(0.2)
                continue
            self._admit(accepted, address_group(address[0]))

    def _admit(self, accepted: socket.socket, group: str) -> None:
        """Takes a connection, or closes it at once if there are too many."""
        if self._new.wait_s(group) > 0:
            self._refuse(accepted, "connections are opened too fast: further ones are closed for some seconds")
            return
        self._new.take(group)
        if self.connections >= MAX_CONNECTIONS or (group != LOOPBACK and self._open[group] >= MAX_OF_ADDRESS):
            self._refuse(accepted, f"{self.connections} connections are open: further ones are closed")
            return
        self._open[group] += 1
        open_now = True

        def lost() -> None:
            nonlocal open_now
            if open_now:
                open_now = False
                self._open[group] -= 1
                if not self._open[group]:
                    del self._open[group]

        def connected(task: asyncio.Task[bool]) -> None:
            if task.cancelled() or not task.result():
                accepted.close()
                lost()

        self._run(self._connect(accepted, lost)).add_done_callback(connected)

    def _refuse(self, accepted: socket.socket, why: str) -> None:
        accepted.close()
        if self._warnings.allows():
            log.warning("%s", why)

    async def _connect(self, accepted: socket.socket, lost: Callable[[], None]) -> bool:
        """Hands a socket to its protocol, after the handshake of TLS. Returns whether that worked."""
        options: dict[str, Any] = {}
        if self._tls is not None:
            options = {"ssl": self._tls.context, "ssl_handshake_timeout": _HANDSHAKE_S}
            if sys.version_info >= (3, 11):
                options["ssl_shutdown_timeout"] = _STOP_S
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: HttpConnection(self._config, self._state, lost), accepted, **options
            )
        except OSError:
            return False  # the client has gone, or its handshake failed: it may not trust our certificate
        return True
