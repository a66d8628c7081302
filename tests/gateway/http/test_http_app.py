"""The HTTP interface without a broker: pages, stream, health, and what no route takes."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest

from ishowtts_gateway.http import event_stream
from support.served_app import ServedApp
from support.waiting import eventually


@pytest.fixture(scope="module")
def app() -> Iterator[ServedApp]:
    with ServedApp() as served:
        yield served


def events_of(client: socket.socket, count: int) -> list[tuple[str, str]]:
    """The next events of a stream: kind and data."""
    received = b""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        part = client.recv(65_536)
        assert part, f"the stream has ended: {received!r}"
        received += part
        text = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", received).decode()
        found = re.findall(r"event: (\w+)\ndata: (.*)\n\n", text)
    return found


STREAM = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_the_stream_tells_everything_and_then_each_change(app: ServedApp) -> None:
    with app.raw(STREAM) as client:
        kind, data = events_of(client, 1)[0]
        hello = json.loads(data)
        assert kind == "hello"
        assert [device["name"] for device in hello["devices"]] == ["kitchen"]
        assert set(hello) == {"version", "started", "broker", "devices"}
        app.run(lambda: app.directory.apply("ishowtts/kitchen/availability", b"online"))
        app.run(lambda: app.directory.set_broker(False, "it is away"))
        (_, changed), (_, broker) = events_of(client, 2)
        assert json.loads(changed) == {"device": "kitchen", "fields": {"availability": "online"}}
        assert json.loads(broker) == {"connected": False, "detail": "it is away"}


def test_health_answers_always_and_ready_only_with_a_broker(app: ServedApp) -> None:
    app.run(lambda: app.directory.set_broker(False, "the broker is away"))
    assert app.get("/health").status == 200
    ready = app.get("/ready")
    assert (ready.status, ready.error) == (503, "the broker is away")
    app.run(lambda: app.directory.set_broker(True, None))
    assert app.get("/ready").status == 200


def test_metrics_are_in_the_format_that_the_scraper_asks_for(app: ServedApp) -> None:
    app.run(lambda: app.directory.set_broker(True, None))
    plain = app.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"\nishowtts_broker_connected 1.0\n" in plain.body
    asked = app.get("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"})
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert asked.body.endswith(b"# EOF\n")


def test_a_hello_for_a_client_that_has_gone_is_not_made_to_its_end(
    app: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = 0

    def pieces(_directory: object) -> Iterator[bytes]:
        nonlocal made
        for _ in range(20_000):
            made += 1
            yield b"x"

    monkeypatch.setattr(event_stream, "_joined", pieces)
    with app.raw(STREAM) as client:
        client.recv(100)
    app.open_connections(0)
    eventually(lambda: not app.server._state.tasks, "the end of the stream")
    assert 0 < made < 20_000
