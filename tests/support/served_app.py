"""Serves the gateway's HTTP interface in this process, without a broker, and asks it as a client would."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import cast

from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.http.http_security import AccessRules
from ishowtts_gateway.http.http_server import HttpServer, bind
from ishowtts_gateway.http.tls_certificate import TlsCertificate
from ishowtts_gateway.http_app import make_app
from ishowtts_gateway.metrics.prometheus_metrics import Metrics
from ishowtts_gateway.renders.render_client import RenderClient
from support.served_loop import ServedLoop
from support.waiting import eventually


@dataclass(frozen=True)
class Reply:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The sentence of a fault."""
        return cast(str, json.loads(self.body)["error"])


class ServedApp(ServedLoop):
    """`with ServedApp() as app: app.get("/health")`.

    Args:
        rules: Who may use it.
        tls: For HTTPS.
        host: Where; the port is a free one.
        requests: Takes the requests to appliances.
        renders: Has them render texts.
    """

    def __init__(
        self,
        rules: AccessRules | None = None,
        tls: TlsCertificate | None = None,
        host: str = "127.0.0.1",
        requests: object = None,
        renders: object = None,
    ) -> None:
        self.directory = ApplianceDirectory("ishowtts", ["kitchen"])
        self.host = host
        self._rules = rules or AccessRules(frozenset({"localhost"}))
        self._tls = tls
        self._requests = cast(ApplianceRequests, requests)
        self._renders = cast(RenderClient, renders)
        super().__init__("served-app")

    def __enter__(self) -> ServedApp:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send GET."""
        return self.ask("GET", path, headers)

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Reply:
        """Send a request on a connection of its own."""
        client = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            client.request(method, path, body, dict(headers or {}))
            answer = client.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            client.close()

    def post(self, path: str, value: object, headers: Mapping[str, str] | None = None) -> Reply:
        """Send JSON."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        return self.ask("POST", path, headers, json.dumps(value).encode())

    def raw(self, sent: bytes = b"") -> socket.socket:
        """Open a connection and send bytes."""
        client = socket.create_connection((self.host, self.port), timeout=20)
        client.sendall(sent)
        return client

    def open_connections(self, count: int) -> None:
        """Wait until the server has so many connections."""
        eventually(lambda: self.server.connections == count, f"{count} connections, not {self.server.connections},")

    async def _serve(self) -> None:
        app = make_app(self._rules, self.directory, self._requests, self._renders, Metrics(self.directory))
        (listener,) = bind_free(self.host)
        self.port: int = listener.getsockname()[1]
        self.server = HttpServer(app, [listener], self._tls)
        self.server.start()
        await self._until_stopped()
        self.directory.close()
        await self.server.stop()


def bind_free(host: str) -> list[socket.socket]:
    """Listen on a free port."""
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    return bind(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
