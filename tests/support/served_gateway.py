"""A gateway that is connected to a broker and serves HTTP, on a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from ishowtts.config import Config
from ishowtts_gateway.appliances.appliance_client import ApplianceClient
from ishowtts_gateway.http.http_app import make_app
from ishowtts_gateway.http.http_security import AccessRules
from ishowtts_gateway.http.http_server import HttpServer
from ishowtts_gateway.metrics.prometheus_metrics import Metrics
from support.served_app import bind_free
from support.waiting import eventually


class ServedGateway:
    """`with ServedGateway(broker.host, broker.port) as gateway: …`: it is connected then, and answers at `url`.

    Args:
        token: Who knows it may use it; `None`: everybody.
        prefix: `mqtt.prefix`.
    """

    def __init__(self, host: str, port: int, *, prefix: str = "ishowtts", token: str | None = None) -> None:
        self._settings = Config(mqtt={"host": host, "port": port, "prefix": prefix}, gateway={"devices": "+"})
        self._rules = AccessRules(frozenset({"localhost"}), token)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="served-gateway")
        self._started = threading.Event()

    def __enter__(self) -> ServedGateway:
        self._thread.start()
        assert self._started.wait(20)
        eventually(lambda: self.client.directory.broker_connected, "the broker")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def wait_for_boards(self, *names: str) -> None:
        """Wait until exactly these can render."""
        eventually(lambda: self.run(self.client.renders.devices) == sorted(names), f"{names}")

    def run(self, work: Callable[[], Any]) -> Any:
        """Call a function on the loop, where everything of the gateway lives."""

        async def call() -> Any:
            return work()

        return self.wait(call())

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self.client = ApplianceClient(self._settings, "ishowtts/test")
        async with self.client.connected(sync_history=False):
            client = self.client
            app = make_app(self._rules, client.directory, client.requests, client.renders, Metrics(client.directory))
            (listener,) = bind_free("127.0.0.1")
            self.port: int = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            server = HttpServer(app, [listener])
            server.start()
            self._started.set()
            await self._stopped.wait()
            client.directory.close()
            await server.stop()
