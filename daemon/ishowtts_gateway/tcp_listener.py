"""Opens listening sockets, and accepts connections on them within limits."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from ishowtts.errors import ConfigError, FatalError
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.http.request_limits import LOOPBACK, TokenBuckets, address_group

log = logging.getLogger(__name__)

_BACKLOG = 256
_SEND_BUFFER_BYTES = 131_072

Connect = Callable[[socket.socket, str, Callable[[], None]], Awaitable[None]]
"""Takes a connected socket, the `address_group` of the client, and what to call once the connection is gone.

If it raises, the listener closes the socket. OSError means that the client has gone or that its handshake failed.
"""


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections are allowed. Addresses of loopback share only the limits of all.

    Attributes:
        total, of_address: Open at a time: of all addresses, of one beyond loopback.
        new_per_s, new_at_once: New ones of one address beyond loopback.
        all_new_per_s, all_new_at_once: New ones of all addresses.
    """

    total: int
    of_address: int
    new_per_s: float
    new_at_once: int
    all_new_per_s: float
    all_new_at_once: int


def open_sockets(key: str, host: str, port: int) -> list[socket.socket]:
    """Open the sockets of an address: one for each address of a name.

    Args:
        key: The key of the configuration and its value, for the errors.

    Raises:
        ConfigError: This user may not use the port.
        FatalError: The port is taken, or this machine does not have the address. Both may pass.
    """
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
        raise _fault(key, error) from error
    return sockets


def _fault(key: str, error: OSError) -> FatalError:
    if isinstance(error, socket.gaierror):
        return FatalError(f"{key} has no address ({error.strerror}); write an address of this machine")
    if error.errno == errno.EADDRINUSE:
        return FatalError(f"{key} is taken by another program; choose another port, or stop that program")
    if error.errno == errno.EADDRNOTAVAIL:
        return FatalError(f"{key} is not an address of this machine; `ip address` lists them")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError([f"{key}: this user may not use the port; choose one from 1024"])
    return FatalError(f"{key} cannot be used ({error.strerror})")


class TcpListener:
    """Accepts connections on the running loop, and counts those that are open.

    Args:
        limits: Connections beyond them are closed at once.
        connect: Makes a connection of an accepted socket.
        what: What connects, for the log, as in `connections of Wyoming`.
    """

    def __init__(self, limits: ConnectionLimits, connect: Connect, what: str = "connections") -> None:
        self._limits = limits
        self._connect = connect
        self._what = what
        self._accepting: dict[socket.socket, asyncio.Task[None]] = {}
        self._connecting: set[asyncio.Future[None]] = set()
        self._open: Counter[str] = Counter()
        self._new = TokenBuckets(limits.new_per_s, limits.new_at_once, limits.all_new_per_s, limits.all_new_at_once)
        self._warnings = RateLimit(1)

    @property
    def connections(self) -> int:
        """How many connections are open, with those that are still in the handshake."""
        return self._open.total()

    def add(self, sockets: Iterable[socket.socket]) -> None:
        """Begin to accept connections on sockets of `open_sockets`."""
        for listener in sockets:
            self._accepting[listener] = asyncio.get_running_loop().create_task(self._accept(listener))

    async def remove(self, listener: socket.socket) -> None:
        """Close a listening socket. Its connections stay."""
        accepting = self._accepting.pop(listener)
        accepting.cancel()
        try:
            # The loop must have forgotten the descriptor before another socket can get the same one.
            await asyncio.gather(accepting, return_exceptions=True)
        finally:
            listener.close()

    async def close(self) -> None:
        """Close all listening sockets, and end what is still in the handshake. Connections stay."""
        for listener in list(self._accepting):
            await self.remove(listener)
        connecting = list(self._connecting)
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)

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
        """Take a connection, or close it at once if there are too many."""
        if self._new.wait_s(group) > 0:
            self._refuse(accepted, f"{self._what} are opened too fast: further ones are closed for some seconds")
            return
        self._new.take(group)
        limits = self._limits
        if self.connections >= limits.total or (group != LOOPBACK and self._open[group] >= limits.of_address):
            self._refuse(accepted, f"{self.connections} {self._what} are open: further ones are closed")
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

        def connected(task: asyncio.Future[None]) -> None:
            self._connecting.discard(task)
            failure = None if task.cancelled() else task.exception()
            if failure is not None and not isinstance(failure, OSError):
                log.error("a connection could not be made", exc_info=failure)
            if task.cancelled() or failure is not None:
                accepted.close()
                lost()

        task = asyncio.ensure_future(self._connect(accepted, group, lost))
        self._connecting.add(task)
        task.add_done_callback(connected)

    def _refuse(self, accepted: socket.socket, why: str) -> None:
        accepted.close()
        if self._warnings.allows():
            log.warning("%s", why)
