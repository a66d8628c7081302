"""Reads the body of `POST /v1/audio/speech`. Fields that we do not know are ignored, as OpenAI's servers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ishowtts.limits import NAME, RENDER_CHARS, SPEED
from ishowtts.model import SoundFormat
from ishowtts_gateway.openai_error import InvalidField

ANY_BOARD = "ishowtts"
"""The model that every appliance is. `ishowtts:kitchen` is one appliance. Any other name means `ishowtts`."""
DEFAULT_VOICE = "default"
_OPENAI_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)
_SPEED = (0.25, 4.0)
_FORMATS = tuple(each.value for each in SoundFormat)
_STREAM_FORMATS = ("audio", "sse")
_MAX_MODEL_CHARS = 256


@dataclass(frozen=True)
class SpeechRequest:
    """What to render, and how to send it.

    Attributes:
        voice: `None`: the default voice.
        device: `None`: any appliance.
        as_events: Send server-sent events, not the sound itself.
    """

    text: str
    format: SoundFormat
    voice: str | None
    device: str | None
    speed: float | None
    as_events: bool

    @classmethod
    def from_json(cls, body: object, is_voice: Callable[[str], bool]) -> SpeechRequest:
        """Read a request.

        Args:
            is_voice: Whether an appliance has a voice of this name. Then a name of OpenAI's means that voice.

        Raises:
            InvalidField: a field has a wrong value.
        """
        if not isinstance(body, dict):
            raise InvalidField("body", 'the body must be an object, as in {"model": "ishowtts", "input": "Hello."}')
        return cls(
            text=_text(body.get("input")),
            format=_format(body.get("response_format")),
            voice=_voice(body.get("voice"), is_voice),
            device=_device(body.get("model")),
            speed=_speed(body.get("speed")),
            as_events=_as_events(body.get("stream_format")),
        )


def model_of(device: str) -> str:
    """The name of the model that is one appliance."""
    return f"{ANY_BOARD}:{device}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidField("input", "input must be the text to speak", code="invalid_type")
    if not value.strip():
        raise InvalidField("input", "input is empty; send a text to speak", code="string_below_min_length")
    if len(value) > RENDER_CHARS:
        raise InvalidField(
            "input",
            f"input has {len(value)} characters; at most {RENDER_CHARS} are allowed, so send it in parts",
            code="string_above_max_length",
        )
    return value


def _format(value: Any) -> SoundFormat:
    if value is None:
        return SoundFormat.MP3
    if value == "aac":
        raise InvalidField(
            "response_format", f"response_format aac is not offered here; use one of {', '.join(_FORMATS)}"
        )
    if value not in _FORMATS:
        raise InvalidField("response_format", f"response_format must be one of {', '.join(_FORMATS)}")
    return SoundFormat(value)


def _voice(value: Any, is_voice: Callable[[str], bool]) -> str | None:
    if isinstance(value, dict):
        value = value.get("id")
        if not isinstance(value, str):
            raise InvalidField("voice", 'a voice that is an object must have an id, as in {"id": "anna"}')
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidField("voice", "voice must be the name of a voice; GET /v1/audio/voices lists them")
    if (value in _OPENAI_VOICES or value == DEFAULT_VOICE) and not is_voice(value):
        return None
    if not NAME.fullmatch(value):
        raise InvalidField("voice", "there is no voice of that name; GET /v1/audio/voices lists them")
    return value


def _device(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _MAX_MODEL_CHARS:
        raise InvalidField("model", "model must be a name; GET /v1/models lists them", code="invalid_type")
    family, colon, device = value.partition(":")
    if family != ANY_BOARD or not colon:
        return None
    if not NAME.fullmatch(device):
        raise InvalidField(
            "model", "there is no such model; GET /v1/models lists them", status=404, code="model_not_found"
        )
    return device


def _speed(value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not _SPEED[0] <= value <= _SPEED[1]:
        raise InvalidField("speed", f"speed must be a number from {_SPEED[0]} to {_SPEED[1]:g}")
    return min(SPEED[1], max(SPEED[0], float(value)))


def _as_events(value: Any) -> bool:
    if value is None:
        return False
    if value not in _STREAM_FORMATS:
        raise InvalidField("stream_format", "stream_format must be audio or sse")
    return bool(value == "sse")
