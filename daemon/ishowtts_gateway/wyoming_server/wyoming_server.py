"""The Wyoming server: listens where the configuration says, and serves each client that connects."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ishowtts.config.gateway_section import is_loopback, split_listen
from ishowtts.errors import FatalError
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.renders.render_client import RenderClient
from ishowtts_gateway.tcp_listener import ConnectionLimits, TcpListener
from ishowtts_gateway.wyoming_server.event_reader import HEADER_BYTES
from ishowtts_gateway.wyoming_server.listen_address import ListenAddress
from ishowtts_gateway.wyoming_server.voice_list import VoiceList
from ishowtts_gateway.wyoming_server.wyoming_connection import WyomingConnection, WyomingServices

log = logging.getLogger(__name__)

LIMITS = ConnectionLimits(
    total=128, of_address=64, new_per_s=10, new_at_once=100, all_new_per_s=50, all_new_at_once=500
)
_FOLLOW_S = 5.0
_FAILURES_LOGGED = 5


class WyomingServer:
    """`async with server.running(): …`.

    Args:
        listen: `gateway.wyoming.listen`.
        directory: The appliances.
        renders: Renders texts.

    Raises:
        FatalError: The address cannot be used.
    """

    def __init__(self, listen: str, directory: ApplianceDirectory, renders: RenderClient) -> None:
        self._listen = listen
        self._address = ListenAddress(listen)
        self._sockets: dict[str, list[socket.socket]] = {}
        for address in self._address.addresses():
            if opened := self._address.open(address):
                self._sockets[address] = opened
        self._fault: str | None = None
        self._services = WyomingServices(renders, VoiceList(directory), asyncio.Lock(), RateLimit(_FAILURES_LOGGED))
        self._listener = TcpListener(LIMITS, self._connect, "connections of Wyoming")
        self._serving: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._listener.connections

    @property
    def addresses(self) -> list[str]:
        """The addresses that it listens on."""
        return list(self._sockets)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve clients inside of the block. At its end, what is spoken is cancelled."""
        for sockets in self._sockets.values():
            self._listener.add(sockets)
        self._log_addresses()
        if self._address.is_interface:
            self._following = asyncio.create_task(self._follow(), name="wyoming-interface")
        try:
            yield
        finally:
            if self._following is not None:
                await _end(self._following)
            await self._listener.close()
            self._sockets.clear()
            await _end(*self._serving)

    async def _connect(self, accepted: socket.socket, group: str, lost: Callable[[], None]) -> bool:
        reader, writer = await asyncio.open_connection(sock=accepted, limit=HEADER_BYTES)
        serving = asyncio.create_task(
            WyomingConnection(reader, writer, self._services, group).serve(), name="wyoming-client"
        )
        self._serving.add(serving)

        def ended(task: asyncio.Task[None]) -> None:
            self._serving.discard(task)
            lost()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("a connection of Wyoming has failed", exc_info=error)

        serving.add_done_callback(ended)
        return True

    async def _follow(self) -> None:
        """Listen on the addresses that the interface has now: DHCP may change them, and may give the first one late."""
        while True:
            await asyncio.sleep(_FOLLOW_S)
            before = self.addresses
            current = self._address.addresses()
            for address in set(before) - set(current):
                for each in self._sockets.pop(address):
                    await self._listener.remove(each)
            for address in current:
                if address not in self._sockets:
                    self._add(address)
            if self.addresses != before:
                self._log_addresses()

    def _add(self, address: str) -> None:
        try:
            opened = self._address.open(address)
        except FatalError as error:
            if str(error) != self._fault:
                log.warning("%s", error)
            self._fault = str(error)
            return
        if opened:
            self._sockets[address] = opened
            self._listener.add(opened)

    def _log_addresses(self) -> None:
        if not self._sockets:
            log.warning("gateway.wyoming.listen: %s has no address now; waiting for one", self._listen)
        else:
            _, port = split_listen(self._listen)
            where = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in self._sockets)
            who = "programs on this machine" if all(map(is_loopback, self._sockets)) else "everybody who can reach it"
            log.info("Wyoming listens at %s, for %s", where, who)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
