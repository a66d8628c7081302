"""Requests for sound are parsed, or refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ishowtts.limits import RENDER_CHARS
from ishowtts.model import Reason, Rejection, RenderRequest, SoundFormat
from ishowtts.mqtt.line_payload import LineLimits
from ishowtts.mqtt.publish_packet import MessageProperties
from ishowtts.mqtt.renders.render_parts import request_payload
from ishowtts.mqtt.renders.render_payload import parse_render

LIMITS = LineLimits(100, lambda: ["anna"], "ishowtts/reply/", chimes=lambda: ["bell"])


def parse(message: Any, **properties: Any) -> Any:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return parse_render(payload, MessageProperties(**properties), LIMITS)


def test_text_and_objects_are_requests() -> None:
    plain = parse(b"Tea is ready.")
    assert (plain.line.text, plain.format, plain.is_segment) == ("Tea is ready.", SoundFormat.PCM, False)
    assert (plain.line.ttl_s, plain.line.reply_to, plain.line.voice) == (60.0, None, None)
    full = {"text": "Hi", "id": "1", "voice": "anna", "language": "pt-br", "speed": 0.8, "nfe_step": 8, "seed": 3}
    found = parse({**full, "author": "Bob", "chime": "bell", "ttl_s": 9, "format": " FLAC ", "as": "line"})
    line = found.line
    assert (found.format, found.is_segment) == (SoundFormat.FLAC, False)
    assert (line.id, line.voice, line.language, line.speed) == ("1", "anna", "pt-BR", 0.8)
    assert (line.nfe_step, line.seed, line.author, line.chime, line.ttl_s) == (8, 3, "Bob", "bell", 9.0)
    assert parse({"text": "Hi", "as": "segment", "chime": False}).is_segment


def test_what_requesters_build_is_parsed() -> None:
    found = parse(request_payload("Grüß dich", format=SoundFormat.OPUS, is_segment=True, voice="anna", speed=1.25))
    assert (found.line.text, found.line.voice, found.line.speed) == ("Grüß dich", "anna", 1.25)
    assert (found.format, found.is_segment) == (SoundFormat.OPUS, True)
    assert json.loads(request_payload("Hi", format=SoundFormat.PCM)) == {"text": "Hi", "format": "pcm"}


@pytest.mark.parametrize(
    ("ttl_s", "expiry_s", "found"), [(5, 30, 5.0), (None, 30, 30.0), (None, 10_000, 3600.0), (None, None, 60.0)]
)
def test_the_requester_says_how_long_it_waits(ttl_s: float | None, expiry_s: int | None, found: float) -> None:
    assert parse({"text": "Hi", "ttl_s": ttl_s}, expiry_s=expiry_s).line.ttl_s == found


def test_a_text_may_be_as_long_as_those_of_the_interface_of_openai() -> None:
    assert isinstance(parse({"text": "a" * RENDER_CHARS}), RenderRequest)
    longer = parse({"text": "a" * (RENDER_CHARS + 1), "id": "7"})
    assert (longer.id, longer.reason) == ("7", Reason.TOO_LONG)
    assert longer.detail == "the text has more than 4096 characters; send it in parts"


@pytest.mark.parametrize(
    ("message", "reason", "told"),
    [
        ({"text": "Hi", "volume": 50}, "bad_field", "volume: cannot be set for a render"),
        ({"text": "Hi", "priority": "high"}, "bad_field", "priority: cannot be set for a render"),
        ({"text": "Hi", "format": "aac"}, "bad_field", "format: must be pcm, wav, flac, opus or mp3 (got 'aac')"),
        ({"text": "Hi", "format": 1}, "bad_field", "format: must be"),
        ({"text": "Hi", "format": ["pcm"]}, "bad_field", "format: must be"),
        ({"text": "Hi", "as": "words"}, "bad_field", "as: must be line or segment (got 'words')"),
        ({"text": "Hi", "as": True}, "bad_field", "as: must be line or segment"),
        ({"text": "Hi", "as": "segment", "chime": True}, "bad_field", "chime: a segment has none"),
        ({"text": "Hi", "ttl_s": 3601}, "bad_field", "ttl_s: must be a number above 0 and at most 3600"),
        ({"text": "Hi", "ttl_s": 0}, "bad_field", "ttl_s: must be a number above 0 and at most 3600 (got 0)"),
        ({"text": "Hi", "response_format": "mp3"}, "bad_field", "'response_format': unknown field; did you mean"),
        ({"text": "Hi", "voice": "eve"}, "unknown_voice", "there is no voice 'eve'; there are: anna"),
        ({"format": "wav"}, "bad_field", "text: is missing"),
        (b"{'text': 'Hi'}", "bad_json", "the line object is not valid JSON"),
        (b"\xff\xfe\xff", "bad_utf8", "UTF-8"),
        (b"", "empty", "is empty"),
        (b"x" * 70_000, "too_big", "70000 bytes"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_a_sentence(message: Any, reason: str, told: str) -> None:
    found = parse(message)
    assert isinstance(found, Rejection)
    assert (found.reason.value, found.reply_to) == (reason, None)
    assert told in found.detail
