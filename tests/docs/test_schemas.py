"""docs/schemas: they are valid, complete, documented, and agree with the code and with the pages."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import jsonschema_rs
import pytest

from ishowtts.board import BoardReading
from ishowtts.model import FINAL_EVENTS, AlertName, Outcome, Reason, SoundFormat
from ishowtts.mqtt.command_payload import COMMANDS
from ishowtts.mqtt.fields import COMMAND_FIELDS, LINE_FIELDS
from ishowtts.mqtt.renders.render_payload import RENDER_FIELDS
from ishowtts.playback.audibility import SilentCause
from ishowtts.status.payloads import name_in_telemetry
from support import payload_check
from support.payload_check import FOLDER, schemas

README = (FOLDER / "README.md").read_text(encoding="utf-8")
TS = "2026-11-30T08:00:00.000Z"


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema itself and all in it."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from subschemas(each)


@pytest.mark.parametrize("name", schemas())
def test_a_schema_is_valid_and_describes_every_field(name: str) -> None:
    schema = schemas()[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema)
    assert payload_check.validator(name) is not None
    assert schema["title"]
    assert "description" in schema
    conditions = [each["if"] for each in subschemas(schema) if "if" in each]
    for each in subschemas(schema):
        if each.get("type") == "object" and each not in conditions:
            assert each.get("additionalProperties") is False or "oneOf" in each or name == "discovery"
            for field, value in each.get("properties", {}).items():
                assert "$ref" in value or value["description"].endswith((".", ")")), f"{field} has no description"


def test_the_names_are_those_of_the_code() -> None:
    kinds = schemas()["event"]["$defs"]
    outcomes = {outcome.value for outcome in Outcome}
    assert set(kinds) >= FINAL_EVENTS
    assert set(kinds["rejected"]["properties"]["reason"]["enum"]) == {reason.value for reason in Reason}
    assert set(kinds["duplicate"]["properties"]["outcome"]["enum"]) == {*outcomes, None}
    causes = {*(cause.value for cause in SilentCause), None}
    assert set(kinds["finished"]["properties"]["silent"]["enum"]) == causes - {SilentCause.NO_DEVICE.value}
    assert set(schemas()["state"]["properties"]["silent"]["enum"]) == causes
    assert schemas()["state"]["properties"]["alerts"]["items"]["enum"] == [name.value for name in AlertName]
    assert set(schemas()["line"]["properties"]) == set(LINE_FIELDS)
    render, reply = schemas()["render"]["properties"], schemas()["render-reply"]["$defs"]
    assert set(render) == set(RENDER_FIELDS) - {"volume", "priority"}
    formats = [each.value for each in SoundFormat]
    assert render["format"]["enum"] == [*formats, None]
    assert reply["head"]["properties"]["format"]["enum"] == formats
    assert schemas()["info"]["properties"]["render_formats"]["items"]["enum"] == formats
    assert set(reply["error"]["properties"]["reason"]["enum"]) >= {reason.value for reason in Reason}
    sources = schemas()["info"]["properties"]["sources"]["properties"]
    assert set(sources) == {name_in_telemetry(field.name) for field in fields(BoardReading)}
    command = schemas()["command"]["$defs"]
    assert set(command["object"]["properties"]) == set(COMMAND_FIELDS)
    assert set(command["object"]["properties"]["command"]["enum"]) == set(COMMANDS)


def test_each_reading_of_the_board_may_name_its_source() -> None:
    telemetry = schemas()["telemetry"]["properties"]
    sources = schemas()["info"]["properties"]["sources"]["properties"]
    assert len(sources) == len(dataclasses.fields(BoardReading))
    for part, _, field in (name.partition(".") for name in sources):
        assert field in telemetry[part]["properties"]


def test_the_readme_lists_every_schema_with_its_topic() -> None:
    listed = dict(re.findall(r"^\| \[`([a-z-]+)\.json`\]\(\1\.json\) \| (.*?) \|", README, flags=re.M))
    assert set(listed) == set(schemas())
    for name, topics in listed.items():
        for topic in re.findall(r"`([a-z/<>_.]+)`", topics):
            example = re.sub("<[^>]*>", "hot", topic)
            assert payload_check.schema_of(f"ishowtts/kitchen/{example}") in (name, None)


def test_the_example_of_the_readme_works() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", README, flags=re.M | re.S)
    root = FOLDER.parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert all(f"`{line}`" in README for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("topic", "payload", "fault"),
    [
        ("ishowtts/kitchen/event", {"event": "evicted"}, None),
        ("ishowtts/kitchen/event", {"event": "evicted", "why": "x"}, "'why' was unexpected"),
        ("ishowtts/kitchen/event", {"event": "merged"}, '"into" is a required property'),
        ("ishowtts/kitchen/event", {"event": "vanished"}, "not valid under any"),
        ("ishowtts/kitchen/event", {"event": "rejected", "reason": "lazy", "detail": "x"}, "reason: "),
        ("ishowtts/reply/anna/state", {"event": "merged"}, None),
        ("ishowtts/reply/anna/state", {"event": "merged", "into": "b"}, "not valid under any"),
        ("ishowtts/reply/anna/state", {"event": "interrupted"}, "not valid under any"),
        ("ishowtts/kitchen/availability", b"online", None),
        ("ishowtts/kitchen/availability", b'"online"', "is not one of"),
        ("ishowtts/kitchen/probe/commands", b"probe", None),
        ("ishowtts/kitchen/volume", b"101", "greater than the maximum"),
        ("ishowtts/kitchen/volume", b"NaN", "no number of JSON"),
        ("ishowtts/kitchen/telemetry", b"{}", '"speech" is a required property'),
        ("homeassistant/device/ishowtts_kitchen/config", b"", None),
        ("homeassistant/device/ishowtts_kitchen/config", b"{}", '"components" is a required property'),
        ("ishowtts/kitchen/mood", b"{}", "the contract has no such topic"),
    ],
)
def test_what_is_published_is_checked(topic: str, payload: dict[str, Any] | bytes, fault: str | None) -> None:
    body = payload if isinstance(payload, bytes) else json.dumps({"ts": TS, "id": "a", **payload}).encode()
    found = payload_check.fault(topic, body)
    assert found is None if fault is None else fault in str(found)


@pytest.mark.parametrize(
    ("part", "payload", "fault"),
    [
        ("queued", b'{"waiting": 0}', None),
        ("queued", b"{}", "required"),
        ("audio", b"x", None),
        ("audio", b"", "has 0 bytes"),
        ("audio", b"x" * 32_769, "has 32769 bytes"),
        ("error", b'{"reason": "busy", "detail": "x"}', None),
        ("error", b'{"reason": "lazy", "detail": "x"}', "not one of"),
        ("end", b"{", "not JSON"),
        ("other", b"{}", "has no part other"),
    ],
)
def test_the_parts_of_a_render_are_checked(part: str, payload: bytes, fault: str | None) -> None:
    found = payload_check.fault("ishowtts/reply/me/1", payload, part)
    assert found is None if fault is None else fault in str(found)


def test_requests_for_sound_of_a_stage_are_checked() -> None:
    assert payload_check.fault("ishowtts/kitchen/render", b'{"text": "Hi", "format": "pcm", "as": "segment"}') is None
    assert payload_check.fault("ishowtts/kitchen/render", b'{"text": "Hi", "volume": 3}') is not None
    assert payload_check.fault("ishowtts/kitchen/render/cancel", b"") is None


def test_an_active_alert_says_what_to_do() -> None:
    def alert(**fields: Any) -> bytes:
        return json.dumps({"active": False, "since": TS, "detail": None, "value": None, **fields}).encode()

    topic = "ishowtts/kitchen/alert/hot"
    assert payload_check.fault(topic, alert()) is None
    assert payload_check.fault(topic, alert(active=True, detail="it is hot", value=91.5)) is None
    assert payload_check.fault(topic, alert(active=True)) is not None
