"""The addresses of OpenAI's speech interface."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ishowtts.model import SoundFormat
from ishowtts.mqtt.strict_json import dumps
from ishowtts.util.logs import Untrusted
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.api_routes import json_response, read_json
from ishowtts_gateway.http.client_presence import run_while_connected
from ishowtts_gateway.http.request_limits import client_group
from ishowtts_gateway.openai.speech_request import ANY_BOARD, DEFAULT_VOICE, SpeechRequest, model_of
from ishowtts_gateway.openai_error import InvalidField, error_object
from ishowtts_gateway.renders.pcm_rate import PcmRate
from ishowtts_gateway.renders.render_client import RenderClient
from ishowtts_gateway.renders.render_stream import RenderStream

log = logging.getLogger(__name__)

_MEDIA_TYPES: Mapping[SoundFormat, bytes] = {
    SoundFormat.MP3: b"audio/mpeg",
    SoundFormat.OPUS: b"audio/ogg",
    SoundFormat.FLAC: b"audio/flac",
    SoundFormat.WAV: b"audio/wav",
    SoundFormat.PCM: b"audio/pcm",
}
_WAIT_S = 300.0
"""For the first sound: OpenAI's clients wait 600 s, and an appliance takes 32 texts at once."""
_LOGGED_FAILURES = 5
"""In 10 s: a client that tries again would fill the log."""
_EVENTS = b"text/event-stream; charset=utf-8"
_PCM_RATE_HZ = 24_000
"""Of `pcm`, which names no rate. OpenAI's documentation says it, and clients play at it."""
_NO_TOKENS = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
"""OpenAI's clients require the field. Nothing is counted in tokens here."""


class SpeechRoutes:
    """The handlers of `/v1/`.

    Args:
        renders: Has appliances render texts.
    """

    def __init__(self, renders: RenderClient) -> None:
        self._renders = renders
        self._started_s = int(time.time())

    def routes(self) -> list[Route]:
        """Returns the routes."""
        return [
            Route("/v1/audio/speech", _SpeechHandler(self._renders), methods=["POST"]),
            Route("/v1/audio/voices", self._list_voices),
            Route("/v1/models", self._list_models),
            Route("/v1/models/{model}", self._model),
        ]

    async def _list_voices(self, _request: Request) -> Response:
        default = {"id": DEFAULT_VOICE, "name": DEFAULT_VOICE, "languages": [], "devices": self._renders.devices()}
        found = [
            {"id": voice.name, "name": voice.name, "languages": voice.languages, "devices": voice.devices}
            for voice in self._renders.voices()
        ]
        listed = found if any(voice["id"] == DEFAULT_VOICE for voice in found) else [default, *found]
        return json_response({"object": "list", "voices": listed})

    async def _list_models(self, _request: Request) -> Response:
        return json_response({"object": "list", "data": [self._described(name) for name in self._models()]})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["model"]
        if name not in self._models():
            raise InvalidField(
                "model", "there is no such model; GET /v1/models lists them", status=404, code="model_not_found"
            )
        return json_response(self._described(name))

    def _models(self) -> list[str]:
        return [ANY_BOARD, *map(model_of, self._renders.devices())]

    def _described(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._started_s, "owned_by": ANY_BOARD}


class _SpeechHandler:
    """The ASGI application of `POST /v1/audio/speech`.

    The response begins with the first sound: what fails before it has a status of its own. The connection breaks if the
    render breaks off later. A client that has gone cancels its render.
    """

    def __init__(self, renders: RenderClient) -> None:
        self._renders = renders
        self._failures = RateLimit(_LOGGED_FAILURES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        asked = SpeechRequest.from_json(await read_json(Request(scope, receive)), self._renders.has_voice)
        stream = self._renders.render(
            asked.text,
            format=asked.format,
            voice=asked.voice,
            device=asked.device,
            speed=asked.speed,
            client=f"openai {client_group(scope)}",
            wait_s=_WAIT_S,
        )
        if await run_while_connected(receive, _answer(asked, stream, send, self._failures)):
            await send({"type": "http.response.body", "body": b""})


async def _answer(asked: SpeechRequest, stream: RenderStream, send: Send, failures: RateLimit) -> None:
    """Send all of a response except its end."""
    async with stream:
        head = await stream.head()
        rate = PcmRate(head.rate_hz, _PCM_RATE_HZ) if asked.format is SoundFormat.PCM else None
        kind = _EVENTS if asked.as_events else _MEDIA_TYPES[asked.format]
        headers = [(b"content-type", kind), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async for piece in stream:
                await _send_sound(send, piece if rate is None else rate.convert(piece), as_events=asked.as_events)
            if rate is not None:
                await _send_sound(send, rate.convert(b"", last=True), as_events=asked.as_events)
        except GatewayError as error:
            if failures.allows():
                log.warning("the sound for a client of OpenAI's interface broke off: %s", Untrusted(error))
            if not asked.as_events:
                raise
            await _send(send, _event({"error": error_object(error)}))
            return
        if asked.as_events:
            await _send(send, _event({"type": "speech.audio.done", "usage": _NO_TOKENS}))


async def _send_sound(send: Send, sound: bytes, *, as_events: bool) -> None:
    if sound:
        delta = {"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode("ascii")} if as_events else None
        await _send(send, sound if delta is None else _event(delta))


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + dumps(value) + b"\n\n"


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
