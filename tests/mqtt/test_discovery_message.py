"""The discovery message keeps to the rules of Home Assistant, which drops a message with an unknown key silently."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ishowtts.board import BoardIdentity
from ishowtts.config import Config
from ishowtts.model import FINAL_EVENTS, AlertName
from ishowtts.mqtt.discovery_message import (
    LINE_EVENTS,
    STATES,
    DiscoveryFacts,
    device_id,
    discovery_message,
    discovery_topic,
)
from support.payload_check import schemas

ORIN = BoardIdentity("NVIDIA Jetson AGX Orin Developer Kit", "JetPack 6.2 (L4T 36.4.3)", "1421322055541")
KITCHEN = DiscoveryFacts("ishowtts/kitchen", ORIN, ["anna", "default"])

# Keys and values that Home Assistant 2025.1 accepts, from homeassistant/components/mqtt: schemas.py, config.py and one
# file for each platform. The first three are strict.
TOP = {
    "availability", "availability_mode", "availability_template", "availability_topic", "command_topic", "components",
    "device", "encoding", "origin", "payload_available", "payload_not_available", "qos", "state_topic",
}  # fmt: skip
DEVICE = {
    "configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model", "model_id", "name",
    "serial_number", "suggested_area", "sw_version", "via_device",
}  # fmt: skip
ORIGIN = {"name", "support_url", "sw_version"}
ENTITY = {
    "availability", "availability_mode", "availability_template", "availability_topic", "device", "enabled_by_default",
    "encoding", "entity_category", "entity_picture", "icon", "json_attributes_template", "json_attributes_topic",
    "name", "object_id", "origin", "payload_available", "payload_not_available", "platform", "qos", "unique_id",
}  # fmt: skip
READ = {"state_topic", "value_template"}
WRITE = {"command_template", "command_topic", "optimistic", "retain", "state_topic", "value_template"}
PLATFORMS = {
    "binary_sensor": READ | {"device_class", "expire_after", "force_update", "off_delay", "payload_off", "payload_on"},
    "button": {"command_template", "command_topic", "device_class", "payload_press", "retain"},
    "event": READ | {"device_class", "event_types"},
    "notify": {"command_template", "command_topic", "retain"},
    "number": WRITE | {"device_class", "max", "min", "mode", "payload_reset", "step", "unit_of_measurement"},
    "select": WRITE | {"options"},
    "sensor": READ
    | {"device_class", "expire_after", "force_update", "last_reset_value_template", "options", "state_class"}
    | {"suggested_display_precision", "unit_of_measurement"},
    "switch": WRITE | {"device_class", "payload_off", "payload_on", "state_off", "state_on"},
    "update": READ
    | {"command_topic", "device_class", "display_precision", "latest_version_template", "latest_version_topic"}
    | {"payload_install", "release_summary", "release_url", "retain", "title"},
}
REQUIRED = {
    "binary_sensor": {"state_topic"},
    "button": {"command_topic"},
    "event": {"event_types", "state_topic"},
    "notify": {"command_topic"},
    "number": {"command_topic"},
    "select": {"command_topic", "options"},
    "sensor": {"state_topic"},
    "switch": {"command_topic"},
    "update": {"state_topic"},
}
NEWER = {"message_expiry_interval"}
"""Keys of components that later versions know. All versions ignore an unknown key in a component."""
UNITS = {"frequency": "MHz", "temperature": "°C", "power": "W", "data_size": "MB", "duration": "s"}
ALWAYS_GROWING = {None, "data_size", "duration"}  # device classes for which `total_increasing` is allowed
BINARY_CLASSES = {"connectivity", "problem"}
NO_CONFIG_CATEGORY = {"binary_sensor", "event", "sensor", "update"}


def components(facts: DiscoveryFacts = KITCHEN) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = discovery_message(facts)["components"]
    return found


@pytest.mark.parametrize(
    "facts",
    [KITCHEN, DiscoveryFacts("ishowtts/kitchen", BoardIdentity()), DiscoveryFacts("a/b/c", ORIN, ["x"], private=True)],
)
def test_it_has_only_keys_and_values_that_home_assistant_accepts(facts: DiscoveryFacts) -> None:
    message = discovery_message(facts)
    assert set(message) <= TOP
    assert set(message["device"]) <= DEVICE
    assert message["device"]["identifiers"]
    assert set(message["origin"]) <= ORIGIN
    assert "name" in message["origin"]
    for key, entity in message["components"].items():
        platform = entity["platform"]
        if len(entity) == 1:
            continue  # it removes the entity
        assert set(entity) <= ENTITY | PLATFORMS[platform] | NEWER, key
        assert set(entity) >= REQUIRED[platform] | {"unique_id", "name"}, key
        assert not {"availability", "availability_topic"} <= set(entity), key
        check_values(platform, entity)


def check_values(platform: str, entity: dict[str, Any]) -> None:
    assert entity.get("entity_category") in (None, "diagnostic", "config")
    assert entity.get("entity_category") != "config" or platform not in NO_CONFIG_CATEGORY
    assert re.fullmatch("mdi:[a-z0-9-]+", entity.get("icon", "mdi:x"))
    for key, value in entity.items():
        assert not key.endswith("_topic") or not re.search(r"[+#\s]", value)
    if platform == "sensor":
        check_sensor(entity)
    if platform == "binary_sensor":
        assert entity["device_class"] in BINARY_CLASSES


def check_sensor(sensor: dict[str, Any]) -> None:
    device_class = sensor.get("device_class")
    if "options" in sensor:
        assert device_class == "enum"
        assert not {"state_class", "unit_of_measurement"} & set(sensor)
    elif device_class is not None:
        assert sensor["unit_of_measurement"] == UNITS[device_class]
    if sensor.get("state_class") == "total_increasing":
        assert device_class in ALWAYS_GROWING


def test_ids_are_unique_and_stable() -> None:
    ids = [entity["unique_id"] for entity in components().values()]
    assert len(set(ids)) == len(ids)
    assert components()["volume"]["unique_id"] == "ishowtts_ishowtts_kitchen_volume"
    assert discovery_topic("homeassistant", "ishowtts/kitchen") == (
        "homeassistant/device/ishowtts_ishowtts_kitchen/config"
    )


def test_two_roots_never_have_the_same_id() -> None:
    roots = ["ishowtts/a_b", "ishowtts/a-b", "a/b", "a_b/c", "a/b_c", "a/b/c", "a.b/c", "a:b/c", "ä/b", "ö/b", "A/b"]
    ids = [device_id(root) for root in roots]
    assert len(set(ids)) == len(roots)
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", one) for one in ids)


def test_the_message_is_bounded() -> None:
    many = DiscoveryFacts("ishowtts/kitchen", ORIN, [f"{index:064}" for index in range(10_000)])
    assert len(json.dumps(discovery_message(KITCHEN))) < 25_000
    assert len(json.dumps(discovery_message(many))) < 70_000


def test_every_alert_and_every_outcome_is_there() -> None:
    assert {key for key in components() if key.startswith("alert_")} == {f"alert_{name.value}" for name in AlertName}
    assert set(LINE_EVENTS) >= FINAL_EVENTS | {"accepted", "started"}


def test_the_states_are_those_of_the_contract() -> None:
    assert schemas()["state"]["properties"]["state"]["enum"] == list(STATES)


def test_an_entity_that_does_not_apply_is_removed() -> None:
    found = components(DiscoveryFacts("ishowtts/kitchen", ORIN, [], private=True))
    assert found["voice"] == {"platform": "select"}
    assert found["speaking"] == {"platform": "sensor"}


def test_lines_expire_unless_quiet_hours_hold_them() -> None:
    def expiries(settings: dict[str, Any]) -> list[int | None]:
        found = components(DiscoveryFacts.from_config(Config(**settings), "ishowtts/kitchen", ORIN, []))
        return [found[key].get("message_expiry_interval") for key in ("say", "urgent")]

    hours = {"from": "22:00", "to": "06:00"}
    assert expiries({}) == [900, 900]
    assert expiries({"queue": {"max_age_s": 0.5}}) == [1, 1]
    assert expiries({"queue": {"max_age_s": 1e12}}) == [2**32 - 2] * 2
    assert expiries({"policies": {"quiet": hours}}) == [None, 900]
    assert expiries({"policies": {"quiet": hours | {"action": "quieter"}}}) == [900, 900]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (
            ORIN,
            {
                "manufacturer": "NVIDIA",
                "model": "Jetson AGX Orin Developer Kit",
                "hw_version": "JetPack 6.2 (L4T 36.4.3)",
            },
        ),
        (BoardIdentity("Seeed reComputer"), {"manufacturer": "iShowTTS", "model": "Seeed reComputer"}),
        (BoardIdentity(), {"manufacturer": "iShowTTS"}),
    ],
)
def test_the_device_shows_the_board(identity: BoardIdentity, expected: dict[str, str]) -> None:
    device = discovery_message(DiscoveryFacts("ishowtts/kitchen", identity))["device"]
    assert {key: device[key] for key in ("manufacturer", "model", "hw_version") if key in device} == expected
    assert device["name"] == "iShowTTS kitchen"
