"""Builds the gateway from its configuration, and runs it until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

from ishowtts.config import Config
from ishowtts.config.gateway_section import is_loopback, split_listen
from ishowtts.systemd import Notifier
from ishowtts.util.stop_signals import has_terminal, release_hang_up
from ishowtts_gateway.appliance_client import ApplianceClient, credentials_folder
from ishowtts_gateway.http.http_security import AccessRules
from ishowtts_gateway.http.http_server import HttpServer, bind
from ishowtts_gateway.http.session_token import read_token
from ishowtts_gateway.http.tls_certificate import TlsCertificate
from ishowtts_gateway.http_app import make_app
from ishowtts_gateway.metrics.prometheus_metrics import Metrics

log = logging.getLogger(__name__)


class GatewayService:
    """Serves HTTP until a signal ends it, and tells systemd how it is.

    Args:
        client: Follows the appliances. It is connected.
    """

    def __init__(self, client: ApplianceClient) -> None:
        self._directory = client.directory
        self._broker = client.broker
        self._notifier = Notifier()

    async def serve(self, server: HttpServer) -> None:
        """Serve HTTP until SIGTERM or SIGINT. SIGHUP stops it only if its terminal closes."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, stopped.set if has_terminal() else _hang_up)
        release_hang_up()
        server.start()
        self._notifier.ready(self._status())
        telling = asyncio.create_task(self._tell_systemd(), name="systemd")
        await stopped.wait()
        telling.cancel()
        self._notifier.stopping()
        self._directory.close()  # ends the streams, for which the server would wait
        await server.stop()

    async def _tell_systemd(self) -> None:
        """Feed the watchdog of systemd, which restarts the gateway if this loop hangs, and keep its status current."""
        interval_s = self._notifier.watchdog_interval_s()
        told, fed_s = self._status(), -math.inf
        with self._directory.watch({"broker", "device", "gone"}) as changes, contextlib.suppress(StopAsyncIteration):
            while True:
                if interval_s is not None and time.monotonic() - fed_s >= interval_s:
                    self._notifier.watchdog()
                    fed_s = time.monotonic()
                if (status := self._status()) != told:
                    self._notifier.status(status)
                    told = status
                await changes.get(None if interval_s is None else max(0.0, fed_s + interval_s - time.monotonic()))

    def _status(self) -> str:
        if not self._directory.broker_connected or self._directory.broker_detail:
            return self._directory.broker_detail or "not connected to the broker"
        records = self._directory.records.values()
        online = sum(record.online for record in records)
        return f"connected to {self._broker}; {online} of {len(records)} appliances online"


def run(settings: Config, own_root: str) -> int:
    """Run the gateway until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ConfigError: the configuration is wrong.
        FatalError: the address cannot be used.
    """
    http = settings.gateway.http
    token = read_token(settings, credentials_folder())
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
    client = ApplianceClient(settings, own_root)
    async with client.connected(), _wyoming(settings, client):
        app = make_app(rules, client.directory, client.requests, client.renders, Metrics(client.directory))
        log.info("the page is at %s", page_address(settings.gateway.http.listen, tls=tls is not None))
        await GatewayService(client).serve(HttpServer(app, sockets, tls))


@contextlib.asynccontextmanager
async def _wyoming(settings: Config, client: ApplianceClient) -> AsyncIterator[None]:
    """Serve Wyoming inside of the block, if the configuration says where."""
    listen = settings.gateway.wyoming.listen
    if listen is None:
        yield
        return
    # Its packages take 0.5 s and 8 MB, which other gateways do without.
    from ishowtts_gateway.wyoming_server.wyoming_server import WyomingServer

    async with WyomingServer(listen, client.directory, client.renders).running():
        yield


def _hang_up() -> None:
    """SIGHUP came, as for the reload of a service."""
    log.info(
        "SIGHUP is ignored: the gateway reads its configuration only at its start (systemctl restart "
        "ishowtts-gateway); new certificates are loaded by themselves"
    )


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
