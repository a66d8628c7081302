"""The templates of the discovery message, rendered by Jinja's sandbox as Home Assistant renders them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ishowtts.board import BoardIdentity
from ishowtts.model import FINAL_EVENTS
from ishowtts.mqtt.discovery_message import DiscoveryFacts, discovery_message

pytest.importorskip("jinja2", reason="Jinja comes with PyTorch")
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

ODD_TEXTS = [
    "The tea is ready.",
    'He said "no", and \\left\\.',
    "{{ 7 * 7 }} {% raw %} {# no #}",
    "one\ntwo\r\n\tthree",
    "<b>Tom & Jerry's</b>",
    "茶好了 🍵 é\u2028\u0007",
]
COMPONENTS = discovery_message(DiscoveryFacts("ishowtts/kitchen", BoardIdentity(), ["anna"]))["components"]
JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined)


def render(component: str, key: str, payload: str) -> str:
    """The rendered template, as the value of an entity."""
    template = JINJA.from_string(COMPONENTS[component][key])
    return template.render(value=payload, value_json=json.loads(payload)).strip()


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("component", ["say", "urgent"])
def test_a_notification_becomes_a_line_object(component: str, text: str) -> None:
    body = JINJA.from_string(COMPONENTS[component]["command_template"]).render(value=text)
    assert json.loads(body) == {"text": text, "author": "Home Assistant"}


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_an_event_has_a_type_and_all_fields(text: str) -> None:
    for name in sorted(FINAL_EVENTS):
        event = {"ts": "2026-11-30T08:00:00.000Z", "id": "tea", "text": text, "author": text, "detail": None}
        shown = json.loads(render("line", "value_template", json.dumps({**event, "event": name})))
        assert shown == {**event, "event_type": name}


@pytest.mark.parametrize("name", ["command", "of a later version", 7, None])
def test_an_event_that_is_about_no_line_is_dropped(name: Any) -> None:
    assert render("line", "value_template", json.dumps({"id": "x", "event": name, "ok": True})) == ""


@pytest.mark.parametrize("text", [*ODD_TEXTS, "x" * 255, "x" * 256, "茶" * 1000])
def test_what_is_said_fits_into_a_state(text: str) -> None:
    shown = render("speaking", "value_template", json.dumps({"speaking": {"id": "tea", "text": text}}))
    assert shown == (text if len(text) <= 255 else text[:254] + "…")


STATE = {"state": "ready", "detail": None, "since": "2026-11-30T08:00:00.000Z", "queue_depth": 0, "paused": False}


@pytest.mark.parametrize(
    ("component", "payload", "shown"),
    [
        ("speaking", {"speaking": None}, "None"),
        ("state", STATE, "ready"),
        ("queue_depth", STATE, "0"),
        ("pause", {"paused": True}, "paused"),
        ("pause", {"paused": False}, "running"),
        ("voice", "anna", "anna"),
        ("voice", None, "None"),
        ("alert_hot", {"active": True}, "ON"),
        ("alert_hot", {"active": False}, "OFF"),
        ("alert_hot", {"active": None}, "None"),
        ("gpu_temp", {"gpu": {"temp_c": 41.5}}, "41.5"),
        ("gpu_temp", {"gpu": {"temp_c": None}}, "None"),
        ("gpu_temp", {"gpu": {}}, "None"),
        ("error_rate", {"speech": {"error_rate": 0.1234}}, "12.34"),
        ("error_rate", {"speech": {"error_rate": None}}, "None"),
        ("version", {"version": "1.0"}, '{"installed_version": "1.0"}'),
    ],
)
def test_a_value_is_rendered_and_null_is_unknown(component: str, payload: Any, shown: str) -> None:
    """Home Assistant takes `None` for unknown."""
    assert render(component, "value_template", json.dumps(payload)) == shown


def test_the_state_has_its_reason_as_an_attribute() -> None:
    shown = json.loads(render("state", "json_attributes_template", json.dumps(STATE)))
    assert shown == {"detail": None, "since": STATE["since"], "engine": None, "device": None}
