"""Builds the gateway from its configuration, and runs it until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from ishowtts.config import Config
from ishowtts.config.gateway_section import split_listen
from ishowtts.errors import FatalError
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.systemd import Notifier
from ishowtts_gateway.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliance_requests import ApplianceRequests, new_reply_root
from ishowtts_gateway.broker_link import BrokerLink
from ishowtts_gateway.history_sync import HistorySync
from ishowtts_gateway.message_backlog import LinkMessage

log = logging.getLogger(__name__)

_STOP_HTTP_S = 2
_STOP_LINK_S = 2.0
_BACKLOG_CONNECTIONS = 128


class Gateway:
    """The parts of a gateway besides HTTP: `async with Gateway(settings, own_root) as gateway:`.

    Args:
        settings: The configuration.
        own_root: `<prefix>/<device>` of this board, which is shown if `gateway.devices` is null.

    Raises:
        ConfigError: a password cannot be read.
    """

    def __init__(self, settings: Config, own_root: str) -> None:
        self.settings = settings
        self._notifier = Notifier()
        prefix = settings.mqtt.prefix
        options = _options(settings, own_root)
        self._broker = options.broker
        reply_root = new_reply_root(prefix, options.username)
        self.directory = ApplianceDirectory(prefix, _device_names(settings, own_root))
        self.link = BrokerLink(
            options, [*self.directory.topics, f"{reply_root}/#"], self._message_arrived, self._connection_changed
        )
        self.directory.set_broker(False, self.link.detail)
        self.requests = ApplianceRequests(
            self.directory, self.link, reply_root=reply_root, controls=settings.gateway.controls
        )
        for name in self.directory.records:
            self.requests.refresh_controls(name)
        self._history = HistorySync(self.directory, self.requests)
        self._synchronising: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Gateway:
        self._synchronising = asyncio.create_task(self._history.run(), name="history")
        await asyncio.sleep(0)  # it watches the directory from now on
        self.link.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.directory.close()
        await self.link.stop(_STOP_LINK_S)
        if self._synchronising is not None:
            await self._synchronising

    async def serve(self, app: ASGIApp, listener: socket.socket) -> None:
        """Serve HTTP until SIGTERM or SIGINT.

        Args:
            listener: A socket that listens.
        """
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_STOP_HTTP_S,
            )
        )

        def stop() -> None:
            self._notifier.stopping()
            self.directory.close()  # ends the streams, for which the server would wait
            server.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        self._notifier.ready(self._status())
        await server.serve([listener])

    def _message_arrived(self, message: LinkMessage) -> None:
        if not self.requests.reply_arrived(message):
            self.directory.apply(message.topic, message.payload, retained=message.retained)

    def _connection_changed(self, connected: bool, detail: str | None) -> None:
        self.directory.set_broker(connected, detail)
        self._notifier.status(self._status())

    def _status(self) -> str:
        if not self.directory.broker_connected:
            return self.directory.broker_detail or "not connected to the broker"
        return f"connected to {self._broker}"


class _Server(uvicorn.Server):
    """A server whose signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Config, own_root: str) -> int:
    """Run the gateway until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ConfigError: the configuration is wrong.
        FatalError: the address cannot be used.
    """
    with _listener(settings.gateway.http.listen) as listener:
        asyncio.run(_main(settings, own_root, listener))
    return 0


async def _main(settings: Config, own_root: str, listener: socket.socket) -> None:
    async with Gateway(settings, own_root) as gateway:
        log.info("the gateway listens on %s", settings.gateway.http.listen)
        await gateway.serve(Starlette(), listener)


def _listener(listen: str) -> socket.socket:
    host, port = split_listen(listen)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG_CONNECTIONS)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise FatalError(
            f"gateway.http.listen: {listen} cannot be used ({error.strerror or error}); end the program that uses "
            "it, or choose another port"
        ) from error
    return listener


def _device_names(settings: Config, own_root: str) -> list[str] | None:
    devices = settings.gateway.devices
    if devices == "+":
        return None
    if devices is None:
        return [own_root.rpartition("/")[2]]
    return [devices] if isinstance(devices, str) else devices


def _options(settings: Config, own_root: str) -> MqttOptions:
    """The options of the link: those of the appliance, with the gateway's own user if it has one."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return MqttOptions.from_config(settings, own_root, settings.gateway_user(Path(folder) if folder else None))
