"""Messages for voices are parsed, or refused in a sentence. The schema says the same."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ishowtts.model import BadVoiceRequest, VoiceAbout, VoicePart, VoiceRemoval
from ishowtts.mqtt.voice_payload import parse_voice_request
from support.payload_check import validator

DATA = base64.b64encode(b"sound").decode()
PART = {"upload": "u", "part": 1, "parts": 3, "data": DATA}
FIRST = {**PART, "part": 0, "text": "Some words.", "consent": True}


def parse(message: Any, name: str = "anna") -> Any:
    return parse_voice_request(name, message if isinstance(message, bytes) else json.dumps(message).encode())


def test_parts_and_removals_are_parsed() -> None:
    about = VoiceAbout("Some words.", True, "pt-BR")
    assert parse({**FIRST, "replace": True, "language": "pt-br"}) == VoicePart("anna", "u", 0, 3, b"sound", about)
    assert parse({**FIRST, "replace": None, "language": "und"}).about == VoiceAbout("Some words.")
    assert parse(PART) == VoicePart("anna", "u", 1, 3, b"sound")
    assert parse(json.dumps(PART).encode() + b"\n\0") == parse(PART)
    assert parse({"remove": True}) == VoiceRemoval("anna")
    assert parse({"remove": True, "transaction": "t"}) == VoiceRemoval("anna", "t")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({**FIRST, "consent": False}, "consent: must be true: send a voice only if its speaker has agreed"),
        ({**FIRST, "consent": "true"}, "consent: must be true"),
        ({**FIRST, "consent": 1}, "consent: must be true"),
        ({**FIRST, "consent": None}, "consent: is missing; true, if the speaker has agreed"),
        ({**FIRST, "text": None}, "text: is missing; the words that are spoken in the recording"),
        ({**FIRST, "text": 5}, "text: must be a text in quotes"),
        ({**FIRST, "replace": "yes"}, "replace: must be true or false"),
        ({**FIRST, "language": "german"}, "language: must be the tag of a language"),
        ({**FIRST, "speed": 1}, "'speed': unknown field"),
        ({**PART, "text": "Some words."}, "'text': unknown field"),
        ({**PART, "upload": ""}, "upload: must have 1 to 128 characters"),
        ({**PART, "upload": "a" * 65}, "upload: must have 1 to 64 characters (has 65)"),
        ({**PART, "upload": "a\u200bb"}, "upload: must not contain the character U+200B"),
        ({**PART, "upload": None}, "upload: is missing"),
        ({**PART, "part": -1}, "part: must be a whole number from 0 to 999"),
        ({**PART, "part": 1.5}, "part: must be a whole number"),
        ({**PART, "part": True}, "part: must be a whole number"),
        ({**PART, "part": 1000}, "part: must be a whole number from 0 to 999"),
        ({**PART, "parts": 1001}, "parts: must be a whole number from 1 to 1000"),
        ({**PART, "parts": 0}, "parts: must be a whole number from 1 to 1000"),
        ({**PART, "data": ""}, "data: must have 1 to 32768 bytes (has 0)"),
        ({**PART, "data": "a-_b"}, "data: is not base64"),
        ({**PART, "data": "ä"}, "data: is not base64"),
        ({**PART, "data": [1]}, "data: must be a part of the recording in base64"),
        ({"remove": False}, "remove: must be true"),
        ({"remove": 1}, "remove: must be true or false"),
        ({"remove": True, "transaction": "a" * 129}, "transaction: must have 1 to 128 characters"),
        ({"remove": True, "upload": "u"}, "'upload': unknown field"),
        ({}, "upload: is missing; your id of this upload; part: is missing"),
        ([PART], "must be an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_the_schema_forbids_is_refused(message: Any, told: str) -> None:
    found = parse(message)
    assert isinstance(found, BadVoiceRequest)
    assert told in found.detail
    assert not validator("voice-upload").is_valid(message)


@pytest.mark.parametrize("message", [FIRST, PART, {**FIRST, "replace": None, "language": "de"}, {"remove": True}])
def test_what_is_accepted_fits_the_schema(message: dict[str, Any]) -> None:
    assert not isinstance(parse(message), BadVoiceRequest)
    assert validator("voice-upload").is_valid(message)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({**PART, "part": 3}, "part: must be less than parts, 3 (got 3)"),
        ({**PART, "data": base64.b64encode(bytes(32_769)).decode()}, "data: must have 1 to 32768 bytes (has 32769)"),
        ({**PART, "data": "abc"}, "data: is not base64"),
        ({**FIRST, "text": "?"}, "text: has no letter and no digit"),
        ({**FIRST, "text": "Hi \ud83d."}, "text: contains half of a surrogate pair"),
        ({**FIRST, "text": "ä" * 2001}, "text: has 4002 bytes, at most 4000 are allowed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_schema_cannot_say_is_refused_too(message: dict[str, Any], told: str) -> None:
    assert told in parse(message).detail


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"", "is not valid JSON"),
        (b"anna", "is not valid JSON"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b'{"upload": "u", "upload": "v"}', "given twice"),
        (b"[" * 70_000, "is not valid JSON"),
        (b'{"part": ' + b"9" * 70_000 + b"}", "too many digits"),
        (b" " * 80_001, "has 80001 bytes, at most 80000 are allowed"),
    ],
    ids=["empty", "word", "utf-16", "twice", "deep", "digits", "large"],
)
def test_what_is_no_object_is_refused(payload: bytes, told: str) -> None:
    found = parse(payload)
    assert (found.command, found.name, found.transaction) == ("voice_add", "anna", None)
    assert told in found.detail


@pytest.mark.parametrize("name", ["", "..", ".uploads", "Anna", "a b", "a" * 65, "ann\u200b", "\n"])
def test_a_name_that_is_not_valid_reaches_nobody(name: str) -> None:
    for message in (FIRST, {"remove": True}):
        found = parse(message, name)
        assert isinstance(found, BadVoiceRequest)
        assert (found.name, "is not a valid name of a voice" in found.detail) == (None, True)
        assert len(found.detail) < 200


def test_a_refusal_carries_what_its_sender_can_find_it_by() -> None:
    assert parse({**FIRST, "consent": False}).transaction == "u"
    removal = parse({"remove": "x", "transaction": "t"})
    assert (removal.command, removal.transaction) == ("voice_remove", "t")
