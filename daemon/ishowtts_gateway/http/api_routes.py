"""The JSON API: what is known of the appliances, and requests to them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ishowtts.limits import NAME, VOLUME
from ishowtts.mqtt.strict_json import BadJson, NotJson, dumps, loads
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.appliances.telemetry_series import COLUMNS, KEPT_S
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.http_security import UPLOAD_BYTES

_HISTORY_LINES = 50
_MAX_UPLOADS = 2
_MAX_FIELD_BYTES = 65_536
_FIELDS = {"audio", "text", "consent", "replace", "language"}
_TRUTHS = {"true": True, "false": False}
# It would log each form that is not one, and a client may send as many as it likes.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL + 1)


class ApiRoutes:
    """The handlers of `/api/devices`.

    Args:
        directory: What is known.
        requests: Asks the appliances.
    """

    def __init__(self, directory: ApplianceDirectory, requests: ApplianceRequests) -> None:
        self._directory = directory
        self._requests = requests
        self._uploads = 0

    def routes(self) -> list[Route]:
        """Returns the routes."""
        device = "/api/devices/{device}"
        return [
            Route("/api/devices", self._devices),
            Route(device, self._device),
            Route(f"{device}/series", self._series),
            Route(f"{device}/lines", self._lines),
            Route(f"{device}/say", self._say, methods=["POST"]),
            Route(f"{device}/command", self._command, methods=["POST"]),
            Route(f"{device}/volume", self._volume, methods=["POST"]),
            Route(f"{device}/voice", self._voice, methods=["POST"]),
            Route(f"{device}/voices/{{name}}", self._change_voice, methods=["PUT", "DELETE"]),
        ]

    async def _devices(self, _request: Request) -> Response:
        broker = {"connected": self._directory.broker_connected, "detail": self._directory.broker_detail}
        devices = [
            {"name": record.name, "root": record.root, "availability": record.availability}
            for _, record in sorted(self._directory.records.items())
        ]
        return json_response({"broker": broker, "devices": devices})

    async def _device(self, request: Request) -> Response:
        return json_response(self._record(request).snapshot())

    async def _series(self, request: Request) -> Response:
        record = self._record(request)
        ended = record.lines.ended_since(time.time() - KEPT_S)
        rtf = [[at_s, line.rtf, line.engine] for at_s, line in ended if line.rtf is not None and not line.cached]
        return json_response({"columns": COLUMNS, "points": record.series.points(), "rtf": rtf})

    async def _lines(self, request: Request) -> Response:
        limit = request.query_params.get("limit", str(_HISTORY_LINES))
        if not (limit.isascii() and limit.isdecimal() and len(limit) <= 9):
            raise GatewayError(400, "limit must be a whole number, as in ?limit=50")
        before = request.query_params.get("before")
        return json_response(await self._requests.history(self._record(request).name, int(limit), before))

    async def _say(self, request: Request) -> Response:
        line = await _read_object(request)
        urgent = line.pop("urgent", False)
        if not isinstance(urgent, bool):
            raise GatewayError(400, '"urgent" must be true or false')
        return json_response(await self._requests.say(self._record(request).name, line, urgent))

    async def _command(self, request: Request) -> Response:
        command = await _read_object(request)
        return _executed(await self._requests.command(self._record(request).name, command))

    async def _volume(self, request: Request) -> Response:
        volume = (await _read_object(request)).get("volume")
        if isinstance(volume, bool) or not isinstance(volume, int) or not VOLUME[0] <= volume <= VOLUME[1]:
            raise GatewayError(400, f'"volume" must be a whole number from {VOLUME[0]} to {VOLUME[1]}')
        return _executed(await self._requests.set_volume(self._record(request).name, volume))

    async def _voice(self, request: Request) -> Response:
        body = await _read_object(request)
        voice = body.get("voice")
        if "voice" not in body or not (voice is None or (isinstance(voice, str) and NAME.fullmatch(voice))):
            raise GatewayError(400, '"voice" must be the name of a voice, or null for the configured one')
        return _executed(await self._requests.set_voice(self._record(request).name, voice))

    async def _change_voice(self, request: Request) -> Response:
        device, name = self._record(request).name, _voice_name(request)
        if request.method == "DELETE":
            return _executed(await self._requests.remove_voice(device, name))
        kind, parameters = parse_options_header(request.headers.get("content-type"))
        # starlette would use any codec of Python that the header names.
        if kind != b"multipart/form-data" or parameters.get(b"charset", b"utf-8").lower() != b"utf-8":
            raise GatewayError(415, "send the voice as multipart/form-data in UTF-8: audio, text and consent")
        if self._uploads >= _MAX_UPLOADS:
            raise GatewayError(429, f"{_MAX_UPLOADS} voices are being uploaded; try again when they are done")
        self._uploads += 1
        try:
            return _executed(await self._upload(request, device, name))
        finally:
            self._uploads -= 1

    async def _upload(self, request: Request, device: str, name: str) -> Mapping[str, Any]:
        # A field without a file is kept in memory, so its size is bounded apart from the body's.
        parser = _VoiceForm(
            request.headers,
            request.stream(),
            max_files=1,
            max_fields=len(_FIELDS),
            max_part_size=_MAX_FIELD_BYTES,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise GatewayError(400, f"the form cannot be read: {error.message}") from error
        except FormParserError as error:
            raise GatewayError(400, "the form cannot be read: it is not multipart/form-data") from error
        try:
            audio = form.get("audio")
            if audio is None or isinstance(audio, str):
                raise GatewayError(400, "the field audio must be a file")
            fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
            content = await audio.read()
        finally:
            await form.close()
        if unknown := sorted(set(fields) - _FIELDS):
            raise GatewayError(400, f"a voice has no field {unknown[0][:40]!r}; it has {', '.join(sorted(_FIELDS))}")
        if fields.get("consent") != "true":
            raise GatewayError(400, "consent must be true: the speaker of the clip must have agreed to this use")
        replace = fields.get("replace", "false")
        if replace not in _TRUTHS:
            raise GatewayError(400, "replace must be true or false")
        return await self._requests.add_voice(
            device,
            name,
            audio=content,
            text=fields.get("text", ""),
            replace=_TRUTHS[replace],
            language=fields.get("language") or None,
        )

    def _record(self, request: Request) -> ApplianceRecord:
        record = self._directory.records.get(request.path_params["device"])
        if record is None:
            raise GatewayError(404, "there is no device of that name; GET /api/devices lists them")
        return record


class _VoiceForm(MultiPartParser):
    """Reads a form. Its file stays in memory: otherwise starlette writes it to a disk, on a thread of its own."""

    spool_max_size = UPLOAD_BYTES + 1


def json_response(value: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """Returns a response in JSON."""
    return Response(dumps(value), status, headers, media_type="application/json")


async def read_json(request: Request) -> Any:
    """Returns the body of a request.

    Raises:
        GatewayError: It is not JSON, or not sent as `application/json`. A form of another site cannot send that.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise GatewayError(415, "send JSON with the header Content-Type: application/json")
    try:
        return loads((await request.body()).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise GatewayError(400, "the body is not UTF-8") from error
    except (NotJson, BadJson) as error:
        raise GatewayError(400, f"the body is not JSON: {error}") from error


async def _read_object(request: Request) -> dict[str, Any]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise GatewayError(400, 'the body must be an object, as in {"text": "Hello."}')
    return body


def _executed(event: Mapping[str, Any]) -> Response:
    """Returns the `command` event of a request. One that the appliance has not executed is a fault."""
    if event.get("ok") is False:
        raise GatewayError(502, str(event.get("detail") or "the appliance has refused it; its log says why"))
    return json_response(event)


def _voice_name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not NAME.fullmatch(name):
        raise GatewayError(400, "the name of a voice has 1 to 64 characters of a-z, 0-9, _ and -")
    return name
