"""Validates every payload that a daemon publishes against the schemas of docs/schemas.

`install` replaces the one function through which payloads leave a process. A payload that its schema does not allow is
written to a file, which the test reads after the daemon has ended (`support.appliance`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import paho.mqtt.client as paho

from ishowtts.limits import RENDER_PART_BYTES

FOLDER = Path(__file__).resolve().parents[2] / "docs/schemas"
FAULTS_FILE = "ISHOWTTS_TEST_PAYLOAD_FAULTS"
"""The variable of a daemon that names the file for payloads that no schema allows; without it nothing is validated."""

_BASE = "json-schema:///"
_TEXTS = ("availability", "probe")  # payloads that are plain text
_BY_TOPIC = (  # a publisher chooses the rest of a response topic, so this one comes first
    (re.compile(r"/reply/."), "answer"),
    (re.compile(r"/alert/[a-z_]+$"), "alert"),
    (re.compile(r"/probe(/commands|/voices|/renders|/boards)?$"), "probe"),
    (re.compile(r"/device/[a-zA-Z0-9_-]+/config$"), "discovery"),
    (re.compile(r"/(availability|event|info|muted|state|telemetry|voice|volume)$"), None),
)
_RENDER = re.compile(r"/render(/cancel)?$")
_REQUESTS = (
    (re.compile(r"/render$"), "render"),
    (re.compile(r"/(say(/[^/]+)?|urgent)$"), "line"),
    (re.compile(r"/command$"), "command"),
    (re.compile(r"/volume/set$"), "volume-set"),
    (re.compile(r"/voice/set$"), "voice-set"),
    (re.compile(r"/voice/[^/]+/set$"), "voice-upload"),
)


def schemas() -> dict[str, dict[str, Any]]:
    """All schemas, by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


@cache
def _registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(f"{_BASE}{name}.json", schema) for name, schema in schemas().items()])


@cache
def validator(name: str, part: str = "") -> Any:
    """The compiled schema of this name, or a part of it such as `#/$defs/finished`."""
    return jsonschema_rs.validator_for({"$ref": f"{_BASE}{name}.json{part}"}, registry=_registry())


def compile_schemas() -> None:
    """Compile all schemas now: the first use of one takes some milliseconds otherwise."""
    for name in schemas():
        validator(name)


def schema_of(topic: str) -> str | None:
    """The name of the schema for what the appliance publishes on a topic; `None` if the contract has no such topic."""
    for pattern, name in _BY_TOPIC:
        if found := pattern.search(topic):
            return name or found[1]
    return None


def fault(topic: str, payload: bytes, part: str | None = None) -> str | None:
    """What is wrong with a payload of the appliance; `None` if its schema allows it.

    Args:
        part: Which part of the reply to a render it is; `None`: it is none.
    """
    if part is not None:
        return _part_fault(part, payload)
    if _RENDER.search(topic):  # a stage has others render
        return request_fault(topic, payload.decode()) if payload else None
    name = schema_of(topic)
    if name is None:
        return "the contract has no such topic"
    if name == "discovery" and not payload:  # an empty retained message removes the one before
        return None
    try:
        value = payload.decode() if name in _TEXTS else json.loads(payload, parse_constant=_no_constant)
    except ValueError as error:
        return f"it is not JSON: {error}"
    if name == "answer" and isinstance(value, dict) and "command" in value:
        name = "history"
    return "; ".join(_sentences(name, value)) if not validator(name).is_valid(value) else None


def _part_fault(part: str, payload: bytes) -> str | None:
    if part == "audio":
        return None if 1 <= len(payload) <= RENDER_PART_BYTES else f"a part of the sound has {len(payload)} bytes"
    if part not in schemas()["render-reply"]["$defs"]:
        return f"the contract has no part {part}"
    try:
        value = json.loads(payload, parse_constant=_no_constant)
    except ValueError as error:
        return f"it is not JSON: {error}"
    return "; ".join(error.message for error in validator("render-reply", f"#/$defs/{part}").iter_errors(value)) or None


def request_fault(topic: str, payload: str | dict[str, Any]) -> str | None:
    """What is wrong with what a command publishes, as text or as an object; `None` if its schema allows it."""
    if schema_of(topic) == "discovery":
        return fault(topic, str(payload).encode())
    if topic.endswith("/render/cancel"):
        return "its payload is not empty" if payload else None
    name = next((name for pattern, name in _REQUESTS if pattern.search(topic)), None)
    if name is None:
        return "the contract has no such topic"
    if isinstance(payload, str) and (name == "line" or (name == "render" and not payload.startswith("{"))):
        return None  # plain text
    value = json.loads(payload) if isinstance(payload, str) else payload
    return None if validator(name).is_valid(value) else "; ".join(_sentences(name, value))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _sentences(name: str, value: Any) -> Iterator[str]:
    """What the schema says; of an event, what the schema of its kind says."""
    kind = value.get("event") if isinstance(value, dict) else None
    kinds = schemas()["event"]["$defs"]
    if name in ("event", "answer") and kind in kinds and not validator("event", f"#/$defs/{kind}").is_valid(value):
        found = validator("event", f"#/$defs/{kind}").iter_errors(value)
    else:
        found = validator(name).iter_errors(value)
    for error in found:
        place = "/".join(str(step) for step in error.instance_path)
        yield f"{place}: {error.message}" if place else error.message


def install() -> None:
    """Validate from now on what paho publishes in this process, if the environment names a file for the faults."""
    path = os.environ.get(FAULTS_FILE)
    if path is None:
        return
    publish, noted = paho.Client.publish, set()

    def checked(self: paho.Client, topic: str, payload: bytes, *args: Any, **named: Any) -> Any:
        properties = named.get("properties", args[2] if len(args) > 2 else None)
        part = dict(getattr(properties, "UserProperty", ())).get("part")
        found = fault(topic, payload, part)
        if found is not None and (topic, found) not in noted:
            noted.add((topic, found))
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{topic}: {found}\n    in {payload.decode('utf-8', 'replace')}\n")
        return publish(self, topic, payload, *args, **named)

    paho.Client.publish = checked
