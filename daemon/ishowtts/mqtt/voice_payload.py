"""Parses what comes on `<root>/voice/<name>/set`: a part of a recording for a voice, or the request to remove one."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from ishowtts import text
from ishowtts.limits import NAME, VOICE_PART_BYTES, VOICE_PARTS, VOICE_WORDS_BYTES
from ishowtts.model import BadVoiceRequest, VoiceAbout, VoicePart, VoiceRemoval, VoiceRequest
from ishowtts.mqtt import json_faults, strict_json
from ishowtts.mqtt.fields import LINE_FIELDS, BadField, FieldCheck, check_fields, joined, name_of
from ishowtts.mqtt.strict_json import BadJson, NotJson, clip

_MAX_UPLOAD_CHARS = 64
_MAX_PAYLOAD_BYTES = 80_000  # base64 takes 43,692 bytes; JSON may write each byte of the words with three
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_A_NAME = "is not a valid name of a voice: use 1 to 64 of a-z, 0-9, _ and -"


def _whole_number(low: int, high: int) -> FieldCheck:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise BadField(f"must be a whole number from {low} to {high} (got {clip(value)})")
        return value

    return check


def _upload(value: Any) -> str:
    upload: str = name_of("a text")(value)
    if len(upload) > _MAX_UPLOAD_CHARS:
        raise BadField(f"must have 1 to {_MAX_UPLOAD_CHARS} characters (has {len(upload)})")
    return upload


def _data(value: Any) -> bytes:
    if not isinstance(value, str):
        raise BadField("must be a part of the recording in base64, in quotes")
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadField("is not base64 (RFC 4648, with + and /); encode the bytes of the recording so") from error
    if not 1 <= len(data) <= VOICE_PART_BYTES:
        raise BadField(f"must have 1 to {VOICE_PART_BYTES} bytes (has {len(data)}); send the recording in more parts")
    return data


def _words(value: Any) -> str:
    words: str = LINE_FIELDS["text"](value)
    if _SURROGATE.search(words):
        raise BadField("contains half of a surrogate pair; send both halves")
    if not text.is_speakable(text.clean(words)):
        raise BadField("has no letter and no digit; send the words that are spoken in the recording")
    if (size := len(words.encode())) > VOICE_WORDS_BYTES:
        raise BadField(f"has {size} bytes, at most {VOICE_WORDS_BYTES} are allowed; a clip of 12 s has about 200")
    return words


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadField(f"must be true or false (got {clip(value)})")
    return value


def _agreed(value: Any) -> bool:
    if value is not True:
        raise BadField("must be true: send a voice only if its speaker has agreed")
    return True


_PART_FIELDS: Mapping[str, FieldCheck] = {
    "upload": _upload,
    "part": _whole_number(0, VOICE_PARTS[1] - 1),
    "parts": _whole_number(*VOICE_PARTS),
    "data": _data,
}
_FIRST_PART_FIELDS: Mapping[str, FieldCheck] = {
    **_PART_FIELDS,
    "text": _words,
    "consent": _agreed,
    "replace": _truth,
    "language": LINE_FIELDS["language"],
}
_REMOVAL_FIELDS: Mapping[str, FieldCheck] = {"remove": _truth, "transaction": name_of("a text")}


def parse_voice_request(name: str, payload: bytes) -> VoiceRequest:
    """Parse a message on `<root>/voice/<name>/set`.

    Returns: a `BadVoiceRequest` with a sentence if it cannot be used.
    """
    valid_name = name if NAME.fullmatch(name) else None
    try:
        found = _object(payload)
    except BadField as error:
        return BadVoiceRequest("voice_add", valid_name, f"the message {error}")
    removes = "remove" in found
    command, transaction = ("voice_remove", "transaction") if removes else ("voice_add", "upload")
    known = _REMOVAL_FIELDS if removes else _FIRST_PART_FIELDS if _is_first(found) else _PART_FIELDS
    valid, problems = check_fields(found, known)
    problems += [] if problems else _missing(valid, removes)
    if valid_name is None:
        problems.insert(0, f"{clip(name)} {_NOT_A_NAME}")
    if problems:
        return BadVoiceRequest(command, valid_name, joined(problems), valid.get(transaction))
    if removes:
        return VoiceRemoval(name, valid.get(transaction))
    about = VoiceAbout(valid["text"], valid.get("replace", False), valid.get("language")) if _is_first(found) else None
    return VoicePart(name, valid["upload"], valid["part"], valid["parts"], valid["data"], about)


def _is_first(found: Mapping[str, Any]) -> bool:
    return found.get("part") == 0


def _missing(valid: Mapping[str, Any], removes: bool) -> list[str]:
    """Return a sentence for each field that an object needs and does not have."""
    if removes:
        return [] if valid.get("remove") else ["remove: must be true, which removes the voice"]
    needed = {
        "upload": "your id of this upload",
        "part": "the number of this part, from 0",
        "parts": "the number of all parts",
        "data": "a part of the recording in base64",
    }
    if valid.get("part") == 0:
        needed |= {
            "text": "the words that are spoken in the recording",
            "consent": "true, if the speaker has agreed",
        }
    problems = [f"{field}: is missing; {what}" for field, what in needed.items() if field not in valid]
    if not problems and valid["part"] >= valid["parts"]:
        problems.append(f"part: must be less than parts, {valid['parts']} (got {valid['part']})")
    return problems


def _object(payload: bytes) -> dict[str, Any]:
    """Return the object. Raises BadField with the end of a sentence."""
    if len(payload) > _MAX_PAYLOAD_BYTES:
        raise BadField(
            f"has {len(payload)} bytes, at most {_MAX_PAYLOAD_BYTES} are allowed; "
            f"a part holds at most {VOICE_PART_BYTES} bytes of the recording"
        )
    try:
        found = strict_json.loads(json_faults.decode(payload))
    except (NotJson, BadJson) as error:
        raise BadField(f"is not valid JSON: {error}") from error
    except ValueError as error:
        raise BadField(str(error)) from error
    if not isinstance(found, dict):
        raise BadField('must be an object, as in {"upload": "1", "part": 0, "parts": 1, "data": "…"}')
    return found
