"""A gateway that is connected to a broker and serves HTTP, on a thread of this process."""

from __future__ import annotations

from types import TracebackType

from ishowtts.config import Config
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.http.http_security import AccessRules
from ishowtts_gateway.http.http_server import HttpServer
from ishowtts_gateway.http_app import make_app
from ishowtts_gateway.metrics.prometheus_metrics import Metrics
from support.served_app import bind_free
from support.served_loop import ServedLoop
from support.waiting import eventually


class ServedGateway(ServedLoop):
    """`with ServedGateway(broker.host, broker.port) as gateway: …`: it is connected then, and answers at `url`.

    Args:
        token: Who knows it may use it; `None`: everybody.
        prefix: `mqtt.prefix`.
    """

    def __init__(self, host: str, port: int, *, prefix: str = "ishowtts", token: str | None = None) -> None:
        self._settings = Config(mqtt={"host": host, "port": port, "prefix": prefix}, gateway={"devices": "+"})
        self._rules = AccessRules(frozenset({"localhost"}), token)
        super().__init__("served-gateway")

    def __enter__(self) -> ServedGateway:
        self.start()
        eventually(lambda: self.client.directory.broker_connected, "the broker")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def wait_for_boards(self, *names: str) -> None:
        """Wait until exactly these can render."""
        eventually(lambda: self.run(self.client.renders.devices) == sorted(names), f"{names}")

    async def _serve(self) -> None:
        self.client = ApplianceClient(self._settings, "ishowtts/test")
        async with self.client.connected(sync_history=False):
            client = self.client
            app = make_app(self._rules, client.directory, client.requests, client.renders, Metrics(client.directory))
            (listener,) = bind_free("127.0.0.1")
            self.port: int = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            server = HttpServer(app, [listener])
            server.start()
            await self._until_stopped()
            client.directory.close()
            await server.stop()
