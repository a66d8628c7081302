"""Server-sent events: everything that is known, then every change, for as long as a page is open."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from ishowtts.mqtt.strict_json import dumps
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.change_feed import ALL_KINDS, ApplianceChange, Kind, Watcher
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.client_presence import run_while_connected
from ishowtts_gateway.http.request_limits import LOOPBACK, client_group

MAX_STREAMS = 200
MAX_STREAMS_OF_ADDRESS = 50
_COMMENT_S = 15.0
_RETRY = b"retry: 2000\n\n"
_COMMENT = b": the connection is open\n\n"
_KINDS: frozenset[Kind] = ALL_KINDS - {"event"}  # the page learns from lines what events told
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


class EventStream:
    """The ASGI application of `GET /api/stream`.

    A slow reader holds one change, and what the directory coalesces for it. A reader that does not read at all loses
    its connection. The stream ends when the directory closes.

    Args:
        directory: What is told.
        about: `version` and `started`, which `hello` begins with.
    """

    def __init__(self, directory: ApplianceDirectory, about: Mapping[str, Any]) -> None:
        self._directory = directory
        self._about = dict(about)
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the client goes or the gateway stops."""
        group = client_group(scope)
        if self._open.total() >= MAX_STREAMS or (group != LOOPBACK and self._open[group] >= MAX_STREAMS_OF_ADDRESS):
            raise GatewayError(429, f"{self._open.total()} pages are open, which is the limit; close some of them")
        self._open[group] += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._open[group] -= 1
            self._open += Counter()  # drops what has come to 0

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "GET":
            # The watcher begins before `hello` is made, so that no change can fall between them.
            with self._directory.watch(_KINDS) as changes:
                await run_while_connected(receive, _Teller(self._directory, self._about, send).tell(changes))
        await send({"type": "http.response.body", "body": b""})


class _Teller:
    """Writes the events of one stream."""

    def __init__(self, directory: ApplianceDirectory, about: dict[str, Any], send: Send) -> None:
        self._directory = directory
        self._about = about
        self._send = send
        self._name = secrets.token_hex(4)
        self._number = 0

    async def tell(self, changes: Watcher) -> None:
        await self._write(_RETRY)
        await self._hello()
        while True:
            try:
                change = await changes.get(_COMMENT_S)
            except StopAsyncIteration:
                return
            if change is None:
                await self._write(_COMMENT)
            elif change.kind == "reset":
                await self._hello()
            elif (data := _data(change)) is not None:
                await self._write(self._beginning(change.kind) + dumps(data) + b"\n\n")

    async def _hello(self) -> None:
        """Writes everything that is known, one appliance at a time: 200 of them may be megabytes."""
        directory = self._directory
        broker = {"connected": directory.broker_connected, "detail": directory.broker_detail}
        known = dumps({**self._about, "broker": broker, "devices": []})
        await self._write(self._beginning("hello") + known.removesuffix(b"]}"))
        for piece in _joined(directory):
            await self._write(piece)
        await self._write(b"]}\n\n")

    def _beginning(self, kind: str) -> bytes:
        self._number += 1
        return f"id: {self._name}-{self._number}\nevent: {kind}\ndata: ".encode()

    async def _write(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        # Sending to a client that has gone returns at once: without this, the rest of a `hello` of 40 MB would be made
        # for it, and nothing else would run for seconds.
        await asyncio.sleep(0)


def _joined(directory: ApplianceDirectory) -> Iterator[bytes]:
    separator = b""
    # A change of an appliance that comes meanwhile follows as an event, also one of an appliance that is new.
    for name in sorted(directory.records):
        if (record := directory.records.get(name)) is not None:
            yield separator + dumps(record.snapshot())
            separator = b","


def _data(change: ApplianceChange) -> Mapping[str, Any] | None:
    """Returns what the page is told of a change; `None` if the page does not need it."""
    if change.kind == "broker":
        return change.data
    if change.kind == "device":
        return {"device": change.device, "fields": change.data}
    if change.kind == "line":
        return {"device": change.device, "line": change.data}
    if change.kind == "telemetry":
        return {"device": change.device, "point": change.data}
    return {"device": change.device} if change.kind == "gone" else None
