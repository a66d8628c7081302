"""The messages of `<root>/render`: builds a request, and builds and parses the parts of its reply."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from ishowtts.limits import RENDER_PART_BYTES
from ishowtts.model import SoundFormat
from ishowtts.mqtt import strict_json

PART_PROPERTY = "part"
"""The user property (MQTT 5) that names the part of a reply."""
SEQ_PROPERTY = "seq"
"""The user property that numbers the parts of the sound, from 0."""
EXPIRY_S = 60
"""Message Expiry Interval of a reply: a requester that comes back later has given up."""
PARTS = 1_000_000
"""Most parts of one render. A text of 4096 characters has about 500."""

_MAX_JSON_BYTES = 16_384
_MAX_NAME_CHARS = 128
_MAX_ENGINES = 16
_MAX_DETAIL_CHARS = 2000
_MAX_WAITING = 1_000_000
_RATE_HZ = (1000, 768_000)
_REASON = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SEQ = re.compile(r"0|[1-9][0-9]{0,6}")


@dataclass(frozen=True)
class RenderQueued:
    """The render waits. It is sent at once.

    Attributes:
        waiting: How many renders are before it.
    """

    part: ClassVar[str] = "queued"
    waiting: int

    def payload(self) -> bytes:
        """The payload of the message."""
        return strict_json.dumps({"waiting": self.waiting})


@dataclass(frozen=True)
class RenderHead:
    """What the sound is. It is sent with the first sound, before it.

    Attributes:
        engine, voice: Those of the first sound.
    """

    part: ClassVar[str] = "head"
    format: SoundFormat
    rate_hz: int
    engine: str
    voice: str

    def payload(self) -> bytes:
        """The payload of the message."""
        return strict_json.dumps(
            {
                "format": self.format.value,
                "rate_hz": self.rate_hz,
                "channels": 1,
                "engine": self.engine,
                "voice": self.voice,
            }
        )


@dataclass(frozen=True)
class RenderSound:
    """A piece of the sound, 1 to RENDER_PART_BYTES bytes.

    Attributes:
        seq: Its number, from 0. A number that is missing is a gap in the sound.
    """

    part: ClassVar[str] = "audio"
    seq: int
    data: bytes

    def payload(self) -> bytes:
        """The payload of the message."""
        return self.data


@dataclass(frozen=True)
class RenderEnd:
    """All sound was sent. `None` stands for what is unknown.

    Attributes:
        audio_s: Length of the sound.
        synth_s: Seconds that the engines took.
        ttfa_s: Seconds from the moment when the render was next until its first sound was sent.
        queue_s: Seconds that it waited.
        engine, voice: Those of the last segment.
        engines: All engines that spoke, in order.
        cached: Whether all sound came from the cache.
        parts: How many parts of sound were sent.
    """

    part: ClassVar[str] = "end"
    audio_s: float
    synth_s: float
    ttfa_s: float | None
    rtf: float | None
    queue_s: float
    engine: str
    engines: tuple[str, ...]
    voice: str
    cached: bool
    parts: int

    def payload(self) -> bytes:
        """The payload of the message."""
        return strict_json.dumps(
            {
                "audio_s": _rounded(self.audio_s),
                "synth_s": _rounded(self.synth_s),
                "ttfa_s": _rounded(self.ttfa_s),
                "rtf": _rounded(self.rtf),
                "queue_s": _rounded(self.queue_s),
                "engine": self.engine,
                "engines": list(self.engines),
                "voice": self.voice,
                "cached": self.cached,
                "parts": self.parts,
            }
        )


@dataclass(frozen=True)
class RenderError:
    """No more sound comes.

    Attributes:
        reason: A word of the contract, as in `busy`. Later versions may have others.
        detail: A sentence with the fix.
    """

    part: ClassVar[str] = "error"
    reason: str
    detail: str

    def payload(self) -> bytes:
        """The payload of the message."""
        return strict_json.dumps({"reason": self.reason, "detail": self.detail})


RenderPart: TypeAlias = "RenderQueued | RenderHead | RenderSound | RenderEnd | RenderError"


def request_payload(
    text: str,
    *,
    format: SoundFormat,  # noqa: A002  the name of the contract
    is_segment: bool = False,
    id: str | None = None,  # noqa: A002  the name of the contract
    voice: str | None = None,
    language: str | None = None,
    speed: float | None = None,
    nfe_step: int | None = None,
    seed: int | None = None,
    author: str | None = None,
    chime: bool | str | None = None,
    ttl_s: float | None = None,
) -> bytes:
    """The payload of a request on `<root>/render`. `None` leaves a field out."""
    fields = {
        "text": text,
        "format": format.value,
        "as": "segment" if is_segment else None,
        "id": id,
        "voice": voice,
        "language": language,
        "speed": speed,
        "nfe_step": nfe_step,
        "seed": seed,
        "author": author,
        "chime": chime,
        "ttl_s": ttl_s,
    }
    return strict_json.dumps({name: value for name, value in fields.items() if value is not None})


def parse_part(payload: bytes, user_properties: Sequence[tuple[str, str]]) -> RenderPart | None:
    """Parse one message of a reply. Never raises.

    Returns: `None` if it is not one that an appliance sends: each value has the type and the bounds of the contract.
    """
    found = dict(reversed(user_properties))  # the first of several counts
    name, seq = found.get(PART_PROPERTY), found.get(SEQ_PROPERTY)
    if name == RenderSound.part:
        valid = seq is not None and _SEQ.fullmatch(seq) and 1 <= len(payload) <= RENDER_PART_BYTES
        return RenderSound(int(seq), payload) if valid and seq is not None else None
    reader = _READERS.get(name or "")
    if reader is None or len(payload) > _MAX_JSON_BYTES:
        return None
    try:
        return reader(_Fields(json.loads(payload)))
    except (ValueError, RecursionError):
        return None


class _Fields:
    """The fields of an object from outside. Each method raises ValueError unless the value is as the contract says."""

    def __init__(self, found: object) -> None:
        if not isinstance(found, dict):
            raise ValueError("no object")
        self._found = found

    def whole(self, name: str, low: int, high: int) -> int:
        value = self._found.get(name)
        if type(value) is not int or not low <= value <= high:
            raise ValueError(name)
        return value

    def number(self, name: str) -> float | None:
        value = self._found.get(name)
        if value is None:
            return None
        if type(value) not in (int, float) or not 0 <= value <= 1e9 or not math.isfinite(value):
            raise ValueError(name)
        return float(value)

    def known_number(self, name: str) -> float:
        value = self.number(name)
        if value is None:
            raise ValueError(name)
        return value

    def name(self, name: str) -> str:
        return _name(self._found.get(name))

    def names(self, name: str) -> tuple[str, ...]:
        values = self._found.get(name)
        if not isinstance(values, list) or len(values) > _MAX_ENGINES:
            raise ValueError(name)
        return tuple(map(_name, values))

    def truth(self, name: str) -> bool:
        value = self._found.get(name)
        if not isinstance(value, bool):
            raise ValueError(name)
        return value

    def reason(self) -> str:
        value = self._found.get("reason")
        if not isinstance(value, str) or not _REASON.fullmatch(value):
            raise ValueError("reason")
        return value

    def sentence(self, name: str) -> str:
        value = self._found.get(name)
        if not isinstance(value, str):
            raise ValueError(name)
        text = "".join(char if char.isprintable() else " " for char in value[:_MAX_DETAIL_CHARS])
        return f"{text}…" if len(value) > _MAX_DETAIL_CHARS else text


def _queued(fields: _Fields) -> RenderQueued:
    return RenderQueued(fields.whole("waiting", 0, _MAX_WAITING))


def _head(fields: _Fields) -> RenderHead:
    fields.whole("channels", 1, 1)
    return RenderHead(
        SoundFormat(fields.name("format")),
        fields.whole("rate_hz", *_RATE_HZ),
        fields.name("engine"),
        fields.name("voice"),
    )


def _end(fields: _Fields) -> RenderEnd:
    return RenderEnd(
        audio_s=fields.known_number("audio_s"),
        synth_s=fields.known_number("synth_s"),
        ttfa_s=fields.number("ttfa_s"),
        rtf=fields.number("rtf"),
        queue_s=fields.known_number("queue_s"),
        engine=fields.name("engine"),
        engines=fields.names("engines"),
        voice=fields.name("voice"),
        cached=fields.truth("cached"),
        parts=fields.whole("parts", 0, PARTS),
    )


def _error(fields: _Fields) -> RenderError:
    return RenderError(fields.reason(), fields.sentence("detail"))


_READERS: dict[str, Callable[[_Fields], RenderPart]] = {
    RenderQueued.part: _queued,
    RenderHead.part: _head,
    RenderEnd.part: _end,
    RenderError.part: _error,
}


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_NAME_CHARS or not value.isprintable():
        raise ValueError("name")
    return value


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
