"""docs/mqtt.md and docs/telemetry.md name every field of the schemas, and no field that no schema has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ishowtts.model import AlertName
from support.payload_check import FOLDER, schemas

MQTT, TELEMETRY = ((FOLDER.parent / name).read_text(encoding="utf-8") for name in ("mqtt.md", "telemetry.md"))
# Of each event; the page describes them in its text.
COMMON = {"ts", "id", "event", "text", "author"}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of all tables whose first columns have this heading."""
    found = []
    for table in re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, flags=re.M):
        found += [[cell.strip() for cell in re.split(r"(?<!\\) \| ", row.strip("|\n"))] for row in table.splitlines()]
    assert found, heading
    return found


def words(text: str) -> set[str]:
    """The words in code style."""
    return set(re.findall(r"`([^`]+)`", text))


def first_cells(page: str, heading: str) -> list[str]:
    """The words in code style of the first column."""
    return [word for row in rows(page, heading) for word in re.findall(r"`([^`]+)`", row[0])]


def values(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The paths of all values in an object, as the page writes them."""
    for name, value in schema.get("properties", {}).items():
        inner = f"{path}{name}"
        if value.get("type") == "object":
            yield from values(value, f"{inner}.")
        else:
            yield inner
            yield from values(value.get("items", {}), f"{inner}[].")


def constants(schema: Any) -> set[Any]:
    """All values that a schema names."""
    if isinstance(schema, list):
        return set().union(*map(constants, schema))
    if not isinstance(schema, dict):
        return set()
    named = {*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])}
    return named | constants(list(schema.values()))


def _types(schema: dict[str, Any]) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def test_each_value_of_telemetry_has_its_row_and_each_row_its_value() -> None:
    listed = first_cells(TELEMETRY, "value")
    assert sorted(listed) == sorted(values(schemas()["telemetry"]))


def test_each_row_of_telemetry_says_when_its_value_is_null() -> None:
    telemetry = schemas()["telemetry"]["properties"]
    for *cells, null_if in rows(TELEMETRY, "value"):
        for path in words(cells[0]):
            part, _, name = path.partition(".")
            place = telemetry[part.removesuffix("[]")]
            place = place.get("items", place) if "[]" in part else place
            schema = place["properties"][name] if name else place
            can_be_null = "null" in _types(schema)
            assert can_be_null or not null_if or "engines[].name" in cells[0], path
            assert null_if or not can_be_null or path in ("memory.used_mb", "memory.total_mb", "audio.device"), path


@pytest.mark.parametrize("name", ["state", "info"])
def test_each_field_has_its_row(name: str) -> None:
    assert sorted(first_cells(MQTT, f"field of `{name}`")) == sorted(schemas()[name]["properties"])


def test_each_field_of_a_line_and_of_a_command_is_documented() -> None:
    assert sorted(first_cells(MQTT, "field | meaning | if absent")) == sorted(schemas()["line"]["properties"])
    command = schemas()["command"]["$defs"]["object"]["properties"]
    assert all(f'"{field}"' in MQTT for field in command)
    assert {"volume", "voice"} <= set(re.findall(r'\{"(\w+)": ', " ".join(map(str, rows(MQTT, "topic")))))


def test_each_field_of_an_event_is_in_its_row() -> None:
    kinds = schemas()["event"]["$defs"]
    events = rows(MQTT, "event") + rows(MQTT, "final event")
    assert {*words(" ".join(row[0] for row in events))} | {"ts", "id", "text", "author"} == set(kinds)
    for name, when, fields, *_ in events:
        (kind,) = words(name)
        schema = kinds[kind]["properties"]
        told = {word.partition(":")[0] for word in words(fields)}
        # The last two report several lines, which a section of its own describes.
        rest = {"count", "detail"} if kind in ("rejected", "duplicate") else set()
        assert set(schema) - COMMON - rest <= told, f"{kind}: {when}"
        assert told <= {*schema, *constants(schema), *kinds, "null"}, kind


def test_each_field_of_the_progress_of_a_line_has_its_row() -> None:
    line = schemas()["state"]["properties"]["speaking"]["anyOf"][1]
    assert sorted(first_cells(MQTT, "field of `speaking`")) == sorted(line["properties"])


def test_each_field_of_a_reply_to_the_history_has_its_row() -> None:
    kinds = schemas()["history"]["$defs"]
    assert sorted(first_cells(MQTT, "field of a line")) == sorted(kinds["line"]["properties"])
    told = first_cells(MQTT, "field of the reply")
    assert sorted(told) == sorted(kinds["page"]["properties"].keys() | kinds["refusal"]["properties"].keys())
    assert set(first_cells(MQTT, "field of the request")) == {"limit", "before", "transaction"}


def test_each_topic_has_its_row() -> None:
    told = {word.removeprefix("<root>/") for row in rows(MQTT, "topic") for word in words(row[0])}
    described = " ".join(re.findall(r"^\| \[`.*?\) \| (.*) \|", (FOLDER / "README.md").read_text(), flags=re.M))
    assert told == {word for word in words(described) if word != "<home_assistant.prefix>/device/<id>/config"}
    assert "<home_assistant.prefix>/device/<id>/config" in MQTT


def test_each_field_of_an_alert_is_documented() -> None:
    (alerts,) = [row for row in rows(MQTT, "topic") if "`<root>/alert/<name>`" in row[0]]
    assert words(alerts[3]) == set(schemas()["alert"]["properties"])
    assert first_cells(MQTT, "name") == [name.value for name in AlertName]


def test_the_fields_of_telegraf_are_texts_and_truth_values_of_telemetry() -> None:
    (found,) = re.findall(r"json_string_fields = (\[.*?\])", TELEMETRY)
    telemetry = schemas()["telemetry"]["properties"]
    for field in json.loads(found):
        part, _, name = field.partition("_")
        kind = telemetry[part]["properties"][name]
        assert "enum" in kind or {"string", "boolean"} & _types(kind)


def test_its_links_exist() -> None:
    for page, folder in ((TELEMETRY, FOLDER.parent), ((FOLDER / "README.md").read_text(), FOLDER)):
        links = {link for link in re.findall(r"\]\(([^)#]+)\)", page) if "://" not in link}
        links |= {link.split("#")[0] for link in re.findall(r"\]\(([^)]+#[^)]+)\)", page)}
        assert not [link for link in links if link and not (folder / link).exists()]
    anchors = set(re.findall(r"\]\(mqtt\.md#([^)]+)\)", TELEMETRY))
    headings = {
        re.sub("[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", MQTT, re.M)
    }
    assert anchors <= headings


def test_each_field_of_a_render_has_its_row() -> None:
    assert sorted(first_cells(MQTT, "field of a render")) == sorted(schemas()["render"]["properties"])
    parts = schemas()["render-reply"]["$defs"]
    assert set(first_cells(MQTT, "`part`")) == {*parts, "audio"}
    for part in ("head", "end"):
        assert sorted(first_cells(MQTT, f"field of `{part}`")) == sorted(parts[part]["properties"])
    reasons = {*first_cells(MQTT, "reason of `error`"), *first_cells(MQTT, "reason of `rejected`")} - {"rejected"}
    assert reasons == set(parts["error"]["properties"]["reason"]["enum"])
