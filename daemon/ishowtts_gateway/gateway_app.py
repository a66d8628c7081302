"""Builds the gateway from its configuration, and runs it until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from ishowtts.config import Config
from ishowtts.config.gateway_section import is_loopback, split_listen
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.systemd import Notifier
from ishowtts_gateway.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliance_requests import ApplianceRequests, new_reply_root
from ishowtts_gateway.broker_link import BrokerLink
from ishowtts_gateway.history_sync import HistorySync
from ishowtts_gateway.http_app import make_app
from ishowtts_gateway.http_security import AccessRules
from ishowtts_gateway.http_server import HttpServer, bind
from ishowtts_gateway.message_backlog import LinkMessage
from ishowtts_gateway.prometheus_metrics import Metrics
from ishowtts_gateway.session_token import read_token
from ishowtts_gateway.tls_certificate import TlsCertificate

log = logging.getLogger(__name__)

_STOP_LINK_S = 2.0


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
            options, [*self.directory.topics, f"{reply_root}/#"], self._message_arrived, self.directory.set_broker
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

    async def serve(self, server: HttpServer) -> None:
        """Serve HTTP until SIGTERM or SIGINT."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        server.start()
        self._notifier.ready(self._status())
        telling = asyncio.create_task(self._tell_systemd(), name="systemd")
        await stopped.wait()
        telling.cancel()
        self._notifier.stopping()
        self.directory.close()  # ends the streams, for which the server would wait
        await server.stop()

    async def _tell_systemd(self) -> None:
        """Feed the watchdog of systemd, which restarts the gateway if this loop hangs, and keep its status current."""
        interval_s = self._notifier.watchdog_interval_s()
        told, fed_s = self._status(), -math.inf
        with self.directory.watch({"broker", "device", "gone"}) as changes, contextlib.suppress(StopAsyncIteration):
            while True:
                if interval_s is not None and time.monotonic() - fed_s >= interval_s:
                    self._notifier.watchdog()
                    fed_s = time.monotonic()
                if (status := self._status()) != told:
                    self._notifier.status(status)
                    told = status
                await changes.get(None if interval_s is None else max(0.0, fed_s + interval_s - time.monotonic()))

    def _message_arrived(self, message: LinkMessage) -> None:
        if not self.requests.reply_arrived(message):
            self.directory.apply(message.topic, message.payload, retained=message.retained)

    def _status(self) -> str:
        if not self.directory.broker_connected or self.directory.broker_detail:
            return self.directory.broker_detail or "not connected to the broker"
        records = self.directory.records.values()
        online = sum(record.online for record in records)
        return f"connected to {self._broker}; {online} of {len(records)} appliances online"


def run(settings: Config, own_root: str) -> int:
    """Run the gateway until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ConfigError: the configuration is wrong.
        FatalError: the address cannot be used.
    """
    http = settings.gateway.http
    token = read_token(settings, _credentials())
    tls = None if http.tls.cert is None or http.tls.key is None else TlsCertificate(http.tls.cert, http.tls.key)
    if tls is None and not is_loopback(split_listen(http.listen)[0]):
        log.warning(
            "gateway.http.listen: %s has no TLS: others on the network can read the token and every line; "
            "set gateway.http.tls, or listen on 127.0.0.1 behind a proxy with TLS",
            http.listen,
        )
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(listener) for listener in bind(http.listen)]
        asyncio.run(_main(settings, own_root, AccessRules.from_config(http, token), sockets, tls))
    return 0


async def _main(
    settings: Config, own_root: str, rules: AccessRules, sockets: list[socket.socket], tls: TlsCertificate | None
) -> None:
    asyncio.get_running_loop().set_exception_handler(_log_failure)
    async with Gateway(settings, own_root) as gateway:
        app = make_app(rules, gateway.directory, gateway.requests, Metrics(gateway.directory))
        log.info("the page is at %s", page_address(settings.gateway.http.listen, tls=tls is not None))
        await gateway.serve(HttpServer(app, sockets, tls))


def _log_failure(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that nobody handles, as the log of the package writes it."""
    log.error("%s", context.get("message"), exc_info=context.get("exception"))


def page_address(listen: str, *, tls: bool) -> str:
    """Return the address of the page for people. A page that listens everywhere is shown with this machine's name."""
    host, port = split_listen(listen)
    scheme = "https" if tls else "http"
    if host in ("0.0.0.0", "::"):  # noqa: S104  it is compared
        return f"{scheme}://{socket.gethostname()}:{port}/, and at every other address of this machine"
    return f"{scheme}://{listen}/"


def _credentials() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None


def _device_names(settings: Config, own_root: str) -> list[str] | None:
    devices = settings.gateway.devices
    if devices == "+":
        return None
    if devices is None:
        return [own_root.rpartition("/")[2]]
    return [devices] if isinstance(devices, str) else devices


def _options(settings: Config, own_root: str) -> MqttOptions:
    """The options of the link: those of the appliance, with the gateway's own user if it has one."""
    return MqttOptions.from_config(settings, own_root, settings.gateway_user(_credentials()))
