"""Parses a request on `<root>/render`: a line, and in which form its sound is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ishowtts.model import Reason, Rejection, RenderRequest, SoundFormat
from ishowtts.mqtt.fields import LINE_FIELDS, BadField, FieldCheck, number_field
from ishowtts.mqtt.line_payload import LineFault, LineLimits, read_line
from ishowtts.mqtt.publish_packet import MessageProperties
from ishowtts.mqtt.strict_json import clip

USUAL_TTL_S = 60.0
MAX_TTL_S = 3600.0

_LINE, _SEGMENT = "line", "segment"


def _sound_format(value: Any) -> SoundFormat:
    word = value.strip().lower() if isinstance(value, str) else None
    try:
        return SoundFormat(word)
    except ValueError as error:
        raise BadField(f"must be {_listed([each.value for each in SoundFormat])} (got {clip(value)})") from error


def _as(value: Any) -> bool:
    """Whether the text is a segment."""
    if value not in (_LINE, _SEGMENT):
        raise BadField(f"must be {_LINE} or {_SEGMENT} (got {clip(value)})")
    return bool(value == _SEGMENT)


def _not_played_here(_value: Any) -> Any:
    raise BadField("cannot be set for a render, since its sound is not played here; leave it out")


RENDER_FIELDS: Mapping[str, FieldCheck] = {
    **LINE_FIELDS,
    "ttl_s": number_field(0, MAX_TTL_S, above=True),
    "volume": _not_played_here,
    "priority": _not_played_here,
    "format": _sound_format,
    "as": _as,
}


def parse_render(payload: bytes, properties: MessageProperties, limits: LineLimits) -> RenderRequest | Rejection:
    """Parse a request. Returns a rejection if it is not accepted. Never raises.

    `ttl_s` of the line is always set: the one of the request, else its Message Expiry Interval, else 60 s. The line has
    no `reply_to`: the caller knows where the sound goes.
    """
    try:
        line, fields = read_line(
            "render", payload, properties, replace(limits, max_chars=limits.render_chars), RENDER_FIELDS
        )
        is_segment = fields.get("as", False)
        if is_segment and line.chime not in (None, False):
            raise LineFault(Reason.BAD_FIELD, "chime: a segment has none; leave it out", line.id)
    except LineFault as fault:
        if fault.reason is Reason.TOO_LONG:
            fault.detail = f"the text has more than {limits.render_chars} characters; send it in parts"
        return fault.rejection(payload)
    ttl_s = USUAL_TTL_S if line.ttl_s is None else min(line.ttl_s, MAX_TTL_S)
    return RenderRequest(replace(line, ttl_s=ttl_s), fields.get("format", SoundFormat.PCM), is_segment)


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
