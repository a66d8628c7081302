"""Checks that the gateway's readers of what clients and appliances send take or refuse any bytes."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

from uvicorn.config import Config as UvicornConfig
from uvicorn.server import ServerState

from ishowtts.limits import RENDER_CHARS, SPEED
from ishowtts.model import VoiceAbout
from ishowtts.mqtt import strict_json
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.published_value import parse
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.http_connection import HttpConnection
from ishowtts_gateway.http.http_security import AccessRules
from ishowtts_gateway.http.session_token import SessionKey
from ishowtts_gateway.http_app import make_app
from ishowtts_gateway.metrics.prometheus_metrics import Metrics
from ishowtts_gateway.openai.speech_request import SpeechRequest
from ishowtts_gateway.openai_error import InvalidField
from ishowtts_gateway.renders.render_client import RenderVoice
from ishowtts_gateway.wyoming_server.event_reader import HEADER_BYTES, EventReader, WyomingProtocolError

TOKEN = "0123456789abcdef0123"
TOPICS = ("state", "info", "telemetry", "event", "availability", "volume", "muted", "voice", "alert/hot", "alert/x")
_STEPS = 200
"""So many turns of the loop are enough for every answer of `_Appliance`."""


def check_http(data: bytes) -> None:
    """A connection of HTTP ends with responses, none of which says that our own code failed."""
    written = asyncio.run(_served(data[1:], TOKEN if data[:1] == b"\1" else None))
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", written)]
    assert 500 not in statuses, written[:400]


def check_wyoming(data: bytes) -> None:
    """A connection of Wyoming is read as events, or refused in a sentence: never what follows a bad length."""
    names: list[str] = []
    with suppress(WyomingProtocolError):
        asyncio.run(_read_events(data, names))
    assert len(names) <= _wyoming_events(data)
    assert all(1 <= len(name) <= 64 for name in names)


def check_openai(data: bytes) -> None:
    """The body of a request for speech becomes one, or names the field that is wrong. Sessions are never made up."""
    # A session that this test did not ask for would be a forged one.
    assert not SessionKey(TOKEN).is_session(data.decode("latin-1"))
    try:
        body = strict_json.loads(data.decode("utf-8"))
    except ValueError:
        return
    try:
        asked = SpeechRequest.from_json(body, lambda name: name == "nova")
    except InvalidField as error:
        strict_json.dumps(str(error))
        return
    assert 0 < len(asked.text) <= RENDER_CHARS
    assert asked.speed is None or SPEED[0] <= asked.speed <= SPEED[1]


def check_published(data: bytes) -> None:
    """Whatever is published as an appliance's, the gateway can show the appliance as JSON."""
    with suppress(ValueError):
        json.dumps(parse(data, 4096), allow_nan=False).encode()
    directory = ApplianceDirectory("ishowtts", None)
    first = data[0] if data else 0
    for place, payload in enumerate(data[1:].split(b"\0")):
        topic = TOPICS[(first + place) % len(TOPICS)]
        directory.apply(f"ishowtts/kitchen/{topic}", payload, retained=bool(first & 128))
    for record in directory.records.values():
        strict_json.dumps(record.snapshot())
        strict_json.dumps(record.series.points())
    Metrics(directory).render("")


async def _served(data: bytes, token: str | None) -> bytes:
    loop = asyncio.get_running_loop()
    faults: list[Any] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    transport, state = _Transport(), ServerState()
    connection = HttpConnection(_server_config(token), state, lambda: None)
    connection.connection_made(cast(asyncio.Transport, transport))
    for part in data.split(b"\0\0"):
        if part and not transport.closed:  # asyncio never hands over nothing
            connection.data_received(part)
            await asyncio.sleep(0)
    for _ in range(_STEPS):
        if not state.tasks:
            break
        await asyncio.sleep(0)
    connection.connection_lost(None)
    for task in list(state.tasks):  # an open stream
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    assert not faults, faults
    return bytes(transport.written)


async def _read_events(data: bytes, names: list[str]) -> None:
    stream = asyncio.StreamReader(limit=HEADER_BYTES)
    stream.feed_data(data)
    stream.feed_eof()
    reader = EventReader(stream, asyncio.Lock())
    while (event := await reader.next_event(1.0)) is not None:
        names.append(event.type)


def _wyoming_events(data: bytes) -> int:
    """How many events there are before the first bad header, by the lengths in the headers alone."""
    count = at = 0
    while at < len(data):
        end = data.find(b"\n", at) + 1
        try:
            header = json.loads(data[at:end])
            lengths = [header.get(name) or 0 for name in ("data_length", "payload_length")]
        except (ValueError, AttributeError, RecursionError):
            break
        if not all(type(length) is int for length in lengths):
            break
        count, at = count + 1, end + sum(lengths)
    return count


class _Transport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 8770)})
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits here."""

    def pause_reading(self) -> None:
        """All has come already."""

    def resume_reading(self) -> None:
        """All has come already."""


class _Appliance:
    """Answers every request as an appliance would that does what it is told."""

    async def say(self, device: str, line: dict[str, Any], urgent: bool) -> dict[str, Any]:
        strict_json.dumps(line)
        return {"id": "a", "event": "accepted"}

    async def command(self, device: str, command: dict[str, Any]) -> dict[str, Any]:
        strict_json.dumps(command)
        return {"event": "command", "ok": False, "detail": "no"}

    async def set_volume(self, device: str, volume: int) -> dict[str, Any]:
        assert 0 <= volume <= 100
        return {"event": "command", "ok": True, "detail": "yes"}

    async def set_voice(self, device: str, voice: str | None) -> dict[str, Any]:
        return {"event": "command", "ok": True, "detail": "yes"}

    async def add_voice(self, device: str, name: str, *, audio: bytes, **about: Any) -> dict[str, Any]:
        VoiceAbout(about["text"], about["replace"], about["language"])
        return {"event": "command", "ok": True, "detail": "yes"}

    async def remove_voice(self, device: str, name: str) -> dict[str, Any]:
        return {"event": "command", "ok": True, "detail": "yes"}

    async def history(self, device: str, limit: int, before: str | None) -> dict[str, Any]:
        return {"lines": [], "next": before, "limit": limit}


class _Renders:
    """Has a voice, and renders nothing."""

    def voices(self) -> list[RenderVoice]:
        return []

    def devices(self) -> list[str]:
        return ["kitchen"]

    def has_voice(self, name: str) -> bool:
        return name == "anna"

    def render(self, text: str, **_: Any) -> Any:
        strict_json.dumps(text)
        raise GatewayError(503, "no appliance renders now")


@lru_cache
def _server_config(token: str | None) -> UvicornConfig:
    directory = ApplianceDirectory("ishowtts", ["kitchen"])
    directory.apply("ishowtts/kitchen/availability", b"online", retained=True)
    rules = AccessRules(frozenset({"localhost"}), token)
    app = make_app(rules, directory, cast(Any, _Appliance()), cast(Any, _Renders()), Metrics(directory))
    config = UvicornConfig(
        app, interface="asgi3", http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
        proxy_headers=False, h11_max_incomplete_event_size=32_768,
    )  # fmt: skip
    config.load()
    return config


def http_seeds() -> list[bytes]:
    """Returns requests: the first byte says whether the gateway has a token, two NULs divide what comes at once."""
    session = SessionKey(TOKEN).new_session()
    plain = [
        _request("GET", "/api/devices"),
        _request("GET", "/api/devices/kitchen/lines?limit=5&before=12"),
        _request("GET", "/api/devices/kitchen/series"),
        _request("POST", "/api/devices/kitchen/say", b'{"text": "Hi.", "urgent": true, "id": "a"}'),
        _request("POST", "/api/devices/kitchen/command", b'{"command": "cancel", "id": "a"}'),
        _request("POST", "/api/devices/kitchen/volume", b'{"volume": 5}'),
        _request("POST", "/api/devices/kitchen/voice", b'{"voice": null}'),
        _request("PUT", "/api/devices/kitchen/voices/anna", _FORM, "Content-Type: multipart/form-data; boundary=b"),
        _request("DELETE", "/api/devices/kitchen/voices/anna"),
        _request("POST", "/v1/audio/speech", b'{"model": "ishowtts:kitchen", "input": "Hi.", "voice": "anna"}'),
        _request("GET", "/metrics", None, "Accept: application/openmetrics-text; version=1.0.0"),
        _request("GET", "/static/app.js", None, "Range: bytes=0-5", 'If-None-Match: "a"', "Accept-Encoding: gzip"),
        _request("GET", "/api/stream", None, "Last-Event-ID: 5"),
        b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n\0\x000\r\n\r\n",
    ]
    cookie = f"Cookie: ishowtts-8770={session}; a=b"
    guarded = [
        _request("GET", "/", None, cookie),
        _request("GET", "/api/session", None, cookie, "Origin: http://localhost"),
        _request("GET", "/api/devices", None, f"Authorization: Bearer {TOKEN}"),
        _request("POST", "/api/session", json.dumps({"token": TOKEN}).encode()),
    ]
    return [*(b"\0" + each for each in plain), *(b"\1" + each for each in guarded)]


_FORM = b"\r\n".join(
    [
        b'--b\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\nRIFF',
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nHello.',
        b'--b\r\nContent-Disposition: form-data; name="consent"\r\n\r\ntrue',
        b"--b--\r\n",
    ]
)


def _request(method: str, path: str, body: bytes | None = None, *headers: str) -> bytes:
    sized = [] if body is None else [f"Content-Length: {len(body)}"]
    kind = [] if body is None or any(each.startswith("Content-Type") for each in headers) else [_JSON_HEADER]
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, *kind, *sized])
    return head.encode() + b"\r\n\r\n" + (body or b"")


_JSON_HEADER = "Content-Type: application/json"
