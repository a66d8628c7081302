"""Faults in the shape of OpenAI: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.renders.render_attempt import RenderRefused

PATHS = "/v1/"
"""The paths whose faults have this shape begin so."""
_CODES: Mapping[int, str] = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_PARAMS: Mapping[str, str] = {
    "unknown_voice": "voice",
    "unknown_device": "model",
    "too_long": "input",
    "empty": "input",
}
"""The field of a request that a render was refused for."""


class InvalidField(GatewayError):
    """A field of a request has a wrong value.

    Args:
        param: The name of the field.
        status: 400 or 404.
        code: OpenAI's word for it.
    """

    def __init__(self, param: str, sentence: str, *, status: int = 400, code: str = "invalid_value") -> None:
        super().__init__(status, sentence)
        self.param = param
        self.code = code


def error_object(error: GatewayError) -> dict[str, Any]:
    """The value of `error` in a response."""
    param, code = None, _CODES.get(error.status)
    if isinstance(error, InvalidField):
        param, code = error.param, error.code
    elif isinstance(error, RenderRefused):
        param = _PARAMS.get(error.reason)
        code = "model_not_found" if param == "model" else code or error.reason
    return {"message": str(error), "type": _type(error.status), "param": param, "code": code}


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
