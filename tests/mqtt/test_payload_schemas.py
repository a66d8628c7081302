"""The schemas of what publishers send agree with the parsers, apart from what each test names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ishowtts.limits import NAME
from ishowtts.model import Line, RenderRequest
from ishowtts.mqtt.command_payload import COMMANDS, BadCommand, parse_command, parse_voice, parse_volume
from ishowtts.mqtt.fields import COMMAND_FIELDS, LINE_FIELDS
from ishowtts.mqtt.json_faults import looks_like_object
from ishowtts.mqtt.line_payload import LineLimits, parse_line
from ishowtts.mqtt.publish_packet import MessageProperties
from ishowtts.mqtt.renders.render_payload import RENDER_FIELDS, parse_render
from ishowtts.text import is_speakable
from support.payload_check import schemas, validator

LIMITS = LineLimits(1000, lambda: None, "ishowtts/reply/")
AS_JSON = MessageProperties(content_type="application/json")
NUMBERS = ("ttl_s", "speed", "nfe_step", "volume", "seed")

# One of each kind, and the first and the last of some ranges of invisible ones.
_CHARACTERS = "aZ09 ä中!_-\u0301\u00a0\u3000👍" + (
    "\0\x1f\n\x7f\x9f\u00ad\u0600\u0605\u061c\u180e\u200b\u200d\u200f\u2028\u2029\u202e\u2060\u2064\u2066\u206f\ufeff\ufffb"
    "\U000110bd\U0001d173\U000e0001\U000e0020\U000e007f"
)
_texts = (
    st.text(_CHARACTERS, max_size=6)
    | st.just("a" * 128)
    | st.just("a" * 129)
    | st.sampled_from(["a", "Tea.", "!", "", " ", "a\u200bb", "\u202e", '{"text": 1}'])
)
_names = st.from_regex(NAME, fullmatch=True) | _texts
_numbers = (
    st.integers(-2, 130) | st.integers(2**52, 2**65) | st.floats(-1, 130, width=32) | st.sampled_from([1.0, 55.0])
)
_others = st.sampled_from([None, True, False, [], {}, ["a"], {"text": "a"}])
_LIKELY = {
    "text": st.just("Hello.") | _texts,
    "voice": _names,
    "chime": _names | st.booleans(),
    "priority": st.sampled_from(["low", "normal", "high", "urgent", "High ", ""]),
    "language": st.sampled_from(["de", "pt-BR", "zh-Hant-TW", "DE", "und", "x", "de_DE", "en-x-ab", "a" * 36]),
    "format": st.sampled_from(["pcm", "wav", "flac", "opus", "mp3", "aac", ""]),
    "as": st.sampled_from(["line", "segment", "words"]),
    "command": st.sampled_from([*COMMANDS, "Stop.", "volume", "sk", ""]),
    "limit": st.integers(-1, 102),
    "before": st.sampled_from(["1", "12", "0", "01", "x", "9" * 20]),
    **dict.fromkeys(NUMBERS, _numbers | st.sampled_from(["0.9", "55", "55%", "1,5"])),
}


def objects_of(fields: Any, needed: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of some of these fields with likely and unlikely values, and now and then another field."""
    values = {field: _LIKELY.get(field, _texts) | _others for field in (*fields, "mood")}
    some = st.sets(st.sampled_from(sorted(values)), max_size=4)
    usual = st.just({needed}) | st.just(set())
    return st.builds(set.union, usual, some).flatmap(
        lambda names: st.fixed_dictionaries({n: values[n] for n in sorted(names)})
    )


def line_is_accepted(value: dict[str, Any]) -> bool:
    return isinstance(parse_line("say", json.dumps(value).encode(), AS_JSON, LIMITS), Line)


def command_is_accepted(value: Any) -> bool:
    return _is_accepted(parse_command, json.dumps(value))


def _is_accepted(parse: Any, payload: str) -> bool:
    try:
        parse(payload.encode())
    except BadCommand:
        return False
    return True


def more_than_the_schema(field: str, value: Any) -> bool:
    """What the parser accepts in addition: values that template engines make; names that are looked up later."""
    if not isinstance(value, str):
        return False
    return field in NUMBERS or field == "priority" or (field in ("voice", "chime") and not NAME.fullmatch(value))


def less_than_the_schema(field: str, value: Any) -> bool:
    """What a schema cannot say."""
    if field == "text" and isinstance(value, str):
        return not is_speakable(value) or looks_like_object(value.strip())
    return field == "volume" and isinstance(value, float) and 0 < value <= 1


@given(objects_of(LINE_FIELDS, "text"))
@example({"text": "Hello.", "seed": 2**63 - 1, "nfe_step": 64.0, "chime": False, "ttl_s": 31_622_400})
@example({"text": "Hello.", "seed": 2**63})
@example({"text": "Hello.", "author": "a\u200db", "id": "b"})
@example({"text": "Hello.", "id": "a\u200db"})
@example({"text": "Hello.", "ttl_s": 0})
@example({"text": None})
def test_a_line_is_accepted_if_its_schema_allows_it(value: dict[str, Any]) -> None:
    if any(less_than_the_schema(*item) or more_than_the_schema(*item) for item in value.items()):
        line_is_accepted(value)  # whatever it says, it does not raise
    else:
        assert line_is_accepted(value) == validator("line").is_valid(value)


@given(objects_of(RENDER_FIELDS, "text"))
@example({"text": "Hello.", "format": "flac", "as": "segment", "ttl_s": 3600})
@example({"text": "Hello.", "format": None, "as": None, "chime": None})
@example({"text": "Hello.", "volume": 3})
@example({"text": "Hello.", "ttl_s": 3601})
def test_a_render_is_accepted_if_its_schema_allows_it(value: dict[str, Any]) -> None:
    accepted = isinstance(parse_render(json.dumps(value).encode(), AS_JSON, LIMITS), RenderRequest)
    absent = any(value.get(field, "") is None for field in ("volume", "priority"))  # the schema does not name them
    chimes = value.get("as") == "segment" and value.get("chime") not in (None, False)
    other = any(less_than_the_schema(*item) or more_than_the_schema(*item) for item in value.items())
    if not (absent or chimes or other):
        assert accepted == validator("render").is_valid(value)


@given(objects_of(COMMAND_FIELDS, "command"))
@example({"command": "cancel", "id": "a"})
@example({"command": "history", "limit": 100, "before": "12", "id": None})
@example({"command": "history", "id": "a"})
@example({"command": "skip", "limit": 1})
@example({"command": "skip", "limit": None, "before": None})
@example({"command": "cancel", "id": None})
@example({"command": "cancel", "author": "Bob"})
@example({"command": "skip", "author": "Bob"})
@example({"command": "skip", "transaction": "t-17", "author": None})
def test_a_command_object_is_accepted_if_its_schema_allows_it(value: dict[str, Any]) -> None:
    if value.get("command") == "Stop.":
        value["command"] = "stop"  # the parser takes capitals and a full stop too
    assert command_is_accepted(value) == validator("command").is_valid(value)


@pytest.mark.parametrize("word", [*COMMANDS, "volume", ""])
def test_a_word_is_accepted_if_the_schema_allows_it(word: str) -> None:
    assert command_is_accepted(word) == validator("command").is_valid(word)


@pytest.mark.parametrize(
    "value",
    [0, 1, 55, 55.0, 100, 101, -1, 0.5, None, True, {"volume": 55}, {"volume": None}, {"volume": 1, "x": 1}, {}, []],
)
def test_a_volume_is_accepted_if_its_schema_allows_it(value: Any) -> None:
    assert _is_accepted(parse_volume, json.dumps(value)) == validator("volume-set").is_valid(value)


@pytest.mark.parametrize(
    "value", ["anna", "", "a\u200b", None, {"voice": "anna"}, {"voice": None}, {"voice": 1}, {"voice": "a", "x": 1}, {}]
)
def test_a_default_voice_is_accepted_if_its_schema_allows_it(value: Any) -> None:
    assert _is_accepted(parse_voice, json.dumps(value, ensure_ascii=False)) == validator("voice-set").is_valid(value)


def test_the_parsers_accept_what_template_engines_make_although_no_schema_allows_it() -> None:
    tolerated = {"speed": "0.9", "nfe_step": "7.0", "volume": "55%", "priority": "High", "chime": "On"}
    for field, value in tolerated.items():
        line = {"text": "Hello.", field: value}
        assert (line_is_accepted(line), validator("line").is_valid(line)) == (True, False), field
    assert not line_is_accepted({"text": "Hello.", "volume": 1.0})
    assert validator("line").is_valid({"text": "Hello.", "volume": 1.0}), "JSON Schema does not tell 1.0 from 1"


@pytest.mark.parametrize("field", sorted(set(LINE_FIELDS) - {"text", "chime", "voice"}))
def test_the_bounds_of_a_field_are_those_of_the_parser(field: str) -> None:
    schema = schemas()["line"]["properties"][field]
    allowed = [*schema.get("enum", []), *(schema[bound] for bound in ("minimum", "maximum") if bound in schema)]
    beyond = [schema["minimum"] - 0.001 if field == "speed" else schema["minimum"] - 1] if "minimum" in schema else []
    if "maximum" in schema:
        beyond.append(schema["maximum"] + (0.001 if field == "speed" else 1))
    if "exclusiveMinimum" in schema:
        allowed.append(0.001)
        beyond.append(schema["exclusiveMinimum"])
    if "maxLength" in schema:
        words = "en" + "-a1b2c3d" * 5 if field == "language" else "a" * 200
        allowed.append(words[: schema["maxLength"]].rstrip("-"))
        beyond.append(words[: schema["maxLength"] + 1])
    assert all(line_is_accepted({"text": "Hello.", field: value}) for value in allowed), allowed
    assert not any(line_is_accepted({"text": "Hello.", field: value}) for value in beyond), beyond
    assert len(allowed) > 1 or "maxLength" in schema


@pytest.mark.parametrize("field", ["id", "author"])
def test_each_invisible_character_is_allowed_by_both_or_by_none(field: str) -> None:
    for character in _CHARACTERS:
        line = {"text": "Hello.", field: f"a{character}"}
        assert line_is_accepted(line) == validator("line").is_valid(line), ascii(character)
