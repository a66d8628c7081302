"""The responses of the HTTP interface: the headers that all of them have, and how they are sent."""

from __future__ import annotations

import json
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from ishowtts_gateway import openai_error
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.request_limits import BoundedBody
from ishowtts_gateway.renders.render_attempt import RenderRefused

RESPONSE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": (
        "microphone=(self), accelerometer=(), autoplay=(self), camera=(), display-capture=(), geolocation=(), "
        "gyroscope=(), magnetometer=(), midi=(), payment=(), serial=(), usb=()"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "origin-agent-cluster": "?1",
}
"""Every response has them. Its own Cache-Control wins over `no-store`."""

_PIECE_BYTES = 65_536
_RETRY_S = "5"
_RENDER_RETRY_S = "1"
"""A place among the renders is free as soon as one of them ends; OpenAI's clients try twice again."""
_REFRESH = b'<!doctype html><html lang="en"><title>iShowTTS</title><meta http-equiv="refresh" content="0; url=./">\n'


class Elsewhere(Exception):
    """A browser must go to another page first.

    Args:
        path: Where to, relative to this page; `refresh`: load this page once more.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class SafeResponse:
    """Sends a response with our headers, in pieces, and closes the connection if the request's body was not read.

    Args:
        path: Of the request: it decides the shape of a fault.
    """

    def __init__(self, send: Send, body: BoundedBody, path: str = "/") -> None:
        self._send = send
        self._path = path
        self._body = body
        self._started = False

    async def send(self, message: Message) -> None:
        """Sends a message of the application."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name, value in RESPONSE_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            headers["date"] = formatdate(usegmt=True)
            if not self._body.complete:
                await self._body.drain()
                headers["connection"] = "close"
            self._started = True
            await self._send({**message, "headers": headers.raw})
            return
        # A reader that is slow holds one piece in memory, not the whole body.
        content, more = message.get("body", b""), message.get("more_body", False)
        for start in range(0, max(1, len(content)), _PIECE_BYTES):
            last = start + _PIECE_BYTES >= len(content)
            piece = content[start : start + _PIECE_BYTES]
            await self._send({"type": "http.response.body", "body": piece, "more_body": more or not last})

    async def fail(self, error: GatewayError) -> None:
        """Answers with an error. If a response has begun, it is cut off: the server closes its connection."""
        if self._started:
            return
        headers = {}
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        if error.status in (429, 503):
            headers["retry-after"] = _RENDER_RETRY_S if isinstance(error, RenderRefused) else _RETRY_S
        await self._whole(error.status, error_body(error, self._path), "application/json", headers)

    async def redirect(self, elsewhere: Elsewhere) -> None:
        """Sends the browser to another page."""
        if elsewhere.path == "refresh":
            await self._whole(200, _REFRESH, "text/html; charset=utf-8", {})
        else:
            await self._whole(303, b"", "text/plain", {"location": elsewhere.path})

    async def _whole(self, status: int, body: bytes, kind: str, extra: dict[str, str]) -> None:
        headers = {"content-type": kind, "content-length": str(len(body)), **extra}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})


def error_body(error: GatewayError, path: str) -> bytes:
    """Returns the body of a fault.

    Args:
        path: Of the request. OpenAI's interface has a shape of its own.
    """
    value = openai_error.error_object(error) if path.startswith(openai_error.PATHS) else str(error)
    return json.dumps({"error": value}, ensure_ascii=False).encode("utf-8", "replace")
