"""A real Home Assistant finds the appliance, speaks with it and shows how it is doing; nothing is doubled or orphaned.

Left out where Home Assistant is not installed: `scripts/setup home-assistant` does that. `scripts/endure --runs
home-assistant` runs this file alone.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ishowtts import __version__
from ishowtts.model import AlertName
from support import home_assistant
from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.home_assistant import HomeAssistant
from support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("home-assistant"),
    pytest.mark.skipif(home_assistant.missing() is not None, reason=str(home_assistant.missing())),
]

ROOT = Path(__file__).resolve().parents[2]
TOPIC = "homeassistant/device/ishowtts_ishowtts_test/config"
BROKER_IS_GONE = ("Disconnected from MQTT server", "Failed to connect to MQTT server")
# Nothing has happened yet that they could show, or the machine of the test has no such reading.
UNKNOWN_AT_FIRST = {"say", "urgent", "skip", "stop", "replay", "line", "speaking", "version", "rtf", "ttfa"}


class House:
    """A broker, an appliance with simulated sensors and Home Assistant, which started first."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.folder = folder
        for name in ("broker", "appliance", "home"):
            (folder / name).mkdir()
        self.broker = stack.enter_context(Broker(folder / "broker"))
        self.home = stack.enter_context(HomeAssistant(folder / "home"))
        self.home.add_mqtt(self.broker)
        self.appliance = self.run({})
        self.client = stack.enter_context(Client(self.broker.host, self.broker.port))
        self.appliance.wait_ready(self.client)
        eventually(self.is_whole, "the device")

    def run(self, settings: dict[str, Any]) -> Appliance:
        """Starts the daemon with these settings over those of the house."""
        appliance = Appliance(self.folder / "appliance", self.broker, {"board": {"source": "simulated"}, **settings})
        self.appliance = self._stack.enter_context(appliance)
        return self.appliance

    def message(self) -> dict[str, Any] | None:
        """The message that the broker would give to a Home Assistant that connects now."""
        with Client(self.broker.host, self.broker.port) as client:
            client.subscribe("homeassistant/#").subscribe("ishowtts/test/info")
            client.wait_for("ishowtts/test/info")
            found = [message.json for message in client.on(TOPIC) if message.payload]
        return found[-1] if found else None

    @property
    def ids(self) -> dict[str, str]:
        """The ids of its entities in Home Assistant, by the key of the component."""
        prefix = "ishowtts_ishowtts_test_"
        return {
            entity["unique_id"].removeprefix(prefix): entity_id for entity_id, entity in self.home.entities().items()
        }

    def state(self, key: str) -> str:
        """What an entity shows."""
        return str(self.home.state(self.ids[key])["state"])

    def shows(self, key: str, state: str, timeout_s: float = 20) -> None:
        """Waits until an entity shows this."""
        entity_id = self.ids[key]
        eventually(lambda: self.home.state(entity_id)["state"] == state, f"{entity_id} = {state}", timeout_s)

    def inventory(self) -> tuple[list[str], dict[str, str], list[str]]:
        """The devices, the registered entities, and those that have a state."""
        states = [entity_id for entity_id in self.home.states() if not entity_id.startswith(("person.", "zone."))]
        return [device["id"] for device in self.home.devices()], self.ids, sorted(states)

    def is_whole(self) -> bool:
        """Whether each enabled entity of the message is there and available, and no other one is."""
        message = self.message()
        if message is None or len(self.home.devices()) != 1:
            return False
        enabled = {entity_id for entity_id, each in self.home.entities().items() if each["disabled_by"] is None}
        states = self.home.states()
        return (
            {key for key, component in message["components"].items() if len(component) > 1} == self.ids.keys()
            and enabled == set(self.inventory()[2])
            and all(states[entity_id]["state"] != "unavailable" for entity_id in enabled)
            and not any("restored" in state["attributes"] for state in states.values())
        )

    def say(self, text: str, key: str = "say") -> None:
        """Says a line as an automation does."""
        self.home.call("notify.send_message", self.ids[key], message=text)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Tests leave it as they found it: everything runs, and nothing is said."""
    with ExitStack() as stack:
        yield House(tmp_path_factory.mktemp("house"), stack)


@pytest.fixture(autouse=True)
def _no_complaints(house: House, request: pytest.FixtureRequest) -> Iterator[None]:
    """Home Assistant complains of nothing, except of a broker that the test ends (mark `broker_ends`)."""
    house.client.forget()
    before = len(house.home.log)
    yield
    ends = "broker" in request.node.name
    assert house.home.problems(before, BROKER_IS_GONE if ends else ()) == []


def test_the_device_and_its_entities_are_found(house: House) -> None:
    (device,) = house.home.devices()
    assert device["identifiers"] == [["mqtt", "ishowtts_ishowtts_test"]]
    assert (device["name"], device["sw_version"]) == ("iShowTTS test", __version__)
    assert {f"alert_{name.value}" for name in AlertName} <= house.ids.keys()
    states = house.home.states()
    shown = {key: states[entity_id]["state"] for key, entity_id in house.ids.items() if entity_id in states}
    assert {key for key, state in shown.items() if state == "unknown"} == UNKNOWN_AT_FIRST
    assert (shown["state"], shown["volume"], shown["mute"], shown["pause"]) == ("ready", "100", "off", "off")
    assert float(shown["gpu_temp"]) > 20
    assert states[house.ids["version"]]["attributes"]["installed_version"] == __version__


TEXTS = (
    "Tea is ready.",
    """He said: "it's {'text': 1}", and {{ states('sensor.x') }} is 5 % < 6 & more.""",
    "First line.\nSecond line.\tEnd \\ of it.",
    "Grüße, 你好, 안녕, 😀 e\u0301.",
    '{"text": "An object that was meant as text."}',
    "null",
    "42",
    "[1, 2]",
)


def test_each_text_is_spoken_as_it_was_written(house: House) -> None:
    for text in TEXTS:
        house.say(text)
        event = house.client.wait_for(f"{house.appliance.root}/event", lambda m: m.json["event"] == "accepted").json
        assert event["text"] == text
        assert house.appliance.final(house.client, event["id"])["event"] == "finished"
        house.client.forget()


def test_an_urgent_line_interrupts_and_every_step_is_an_event(house: House) -> None:
    with house.home.watch(house.ids["line"]) as changes:
        house.say("One, two, three, four, five, six, seven, eight, nine, ten.")
        changes.until(lambda state: state["attributes"]["event_type"] == "started")
        house.shows("state", "speaking")
        house.shows("speaking", "One, two, three, four, five, six, seven, eight, nine, ten.")
        house.say("Fire!", "urgent")
        changes.until(lambda state: state["attributes"]["event_type"] == "resumed")
        states = changes.until(lambda state: state["attributes"]["event_type"] == "finished")
    events = [state["attributes"] for state in states]
    first, second = (event["id"] for event in events if event["event_type"] == "accepted")
    assert [event["event_type"] for event in events if event["id"] == first] == [
        "accepted", "started", "interrupted", "resumed", "finished",
    ]  # fmt: skip
    assert [event["event_type"] for event in events if event["id"] == second] == ["accepted", "started", "finished"]
    finished = events[-1]
    assert (finished["text"][:3], finished["engine"], finished["audible"]) == ("One", "espeak", True)
    house.shows("speaking", "unknown")
    house.shows("state", "ready")


def test_the_buttons_end_and_repeat_lines(house: House) -> None:
    with house.home.watch(house.ids["line"]) as changes:
        for button, by in (("skip", "skip"), ("stop", "stop")):
            house.say("This is a long line, which somebody ends before all of it was heard.")
            changes.until(lambda state: state["attributes"]["event_type"] == "started")
            house.home.call("button.press", house.ids[button])
            ended = changes.until(lambda state: state["attributes"]["event_type"] in FINAL)[-1]["attributes"]
            assert (ended["event_type"], ended["by"]) == ("cancelled", by)
        house.say("Again.")
        changes.until(lambda state: state["attributes"]["event_type"] == "finished")
        house.home.call("button.press", house.ids["replay"])
        changes.until(lambda state: state["attributes"]["event_type"] == "accepted")
        again = changes.until(lambda state: state["attributes"]["event_type"] == "finished")[-1]["attributes"]
        assert again["text"] == "Again."


def test_volume_mute_and_pause_are_set_and_shown(house: House) -> None:
    house.home.call("number.set_value", house.ids["volume"], value=30)
    house.shows("volume", "30")
    house.home.call("switch.turn_on", house.ids["mute"])
    house.shows("mute", "on")
    house.home.call("switch.turn_on", house.ids["pause"])
    house.shows("pause", "on")
    house.shows("state", "paused")
    house.say("It waits.")
    house.shows("queue_depth", "1")
    house.home.call("switch.turn_off", house.ids["pause"])
    finished = house.client.wait_for(f"{house.appliance.root}/event", lambda m: m.json["event"] == "finished").json
    assert (finished["muted"], finished["volume"], finished["audible"]) == (True, 30, False)
    house.home.call("switch.turn_off", house.ids["mute"])
    house.home.call("number.set_value", house.ids["volume"], value=100)
    house.shows("mute", "off")
    house.shows("pause", "off")
    house.shows("volume", "100")
    house.shows("state", "ready")


@pytest.mark.parametrize("name", [name.value for name in AlertName])
def test_each_alert_is_shown_with_its_reason(house: House, name: str) -> None:
    topic, key = f"{house.appliance.root}/alert/{name}", f"alert_{name}"
    quiet = house.client.subscribe(topic).wait_for(topic).json
    assert not quiet["active"]
    raised = {"active": True, "since": "2026-11-30T08:00:00.000Z", "detail": "Do this.", "value": 1.5}
    house.client.publish(topic, raised, retain=True)
    house.shows(key, "on")
    assert raised.items() <= house.home.state(house.ids[key])["attributes"].items()
    house.client.publish(topic, quiet, retain=True)
    house.shows(key, "off")


def test_a_restarted_home_assistant_shows_the_same(house: House) -> None:
    before = house.inventory()
    for how in (signal.SIGTERM, signal.SIGKILL):
        house.home.stop(how)
        house.client.forget()
        house.client.subscribe("homeassistant/#")
        house.home.start()
        # Home Assistant may have missed the message: the appliance sends it again a few seconds after it is online.
        house.client.wait_for(TOPIC, lambda message: not message.retain)
        eventually(house.is_whole, "the device")
        assert house.inventory() == before
    house.say("Here again.")
    house.client.wait_for(f"{house.appliance.root}/event", lambda m: m.json["event"] == "finished")


def test_a_restarted_broker_changes_nothing(house: House) -> None:
    before = house.inventory()
    house.broker.stop()
    house.shows("volume", "unavailable")
    house.broker.start()
    eventually(house.is_whole, "the device", 60)
    house.broker.save()
    house.broker.kill()
    house.shows("volume", "unavailable")
    house.broker.start()
    eventually(house.is_whole, "the device", 60)
    assert house.inventory() == before


def test_a_broker_that_forgot_everything_is_told_again(house: House) -> None:
    before = house.inventory()
    house.broker.kill()
    house.broker.database.unlink()
    house.broker.start()
    eventually(house.is_whole, "the device", 60)
    assert house.inventory() == before


def test_a_restarted_daemon_is_unavailable_in_between(house: House) -> None:
    before = house.inventory()
    for how in (signal.SIGTERM, signal.SIGKILL):
        house.appliance.stop(how)
        house.shows("volume", "unavailable")
        house.shows("connection", "off")
        others = {key: house.state(key) for key in ("say", "line", "voice", "gpu_temp", "alert_hot", "version")}
        assert set(others.values()) == {"unavailable"}, others
        house.appliance.start()
        house.shows("connection", "on", 60)
        eventually(house.is_whole, "the device")
        assert house.inventory() == before
    house.appliance.wait_ready(house.client)


def test_readings_that_nobody_knows_are_unknown(house: House) -> None:
    house.appliance.stop()
    house.run({"board": {"source": "none"}})
    house.shows("connection", "on", 60)
    for key in ("gpu_clock", "gpu_load", "gpu_temp", "power"):
        house.shows(key, "unknown")
    house.appliance.stop()
    house.run({})
    house.shows("connection", "on", 60)
    eventually(lambda: float(house.state("gpu_temp")) > 20, "a reading")
    eventually(house.is_whole, "the device")


def test_without_discovery_nothing_of_it_stays_and_all_of_it_comes_back(house: House) -> None:
    before = house.inventory()
    house.appliance.stop()
    house.run({"home_assistant": {"discovery": False}})
    eventually(lambda: house.home.devices() == [] and house.home.entities() == {}, "the removal", 60)
    assert house.message() is None
    assert house.inventory() == ([], {}, [])
    house.appliance.stop()
    house.run({})
    eventually(house.is_whole, "the device", 60)
    assert house.inventory()[1:] == before[1:]


def test_a_removal_by_hand_leaves_nothing_behind(house: House) -> None:
    house.appliance.stop()
    command = [sys.executable, "-m", "ishowtts", "ha", "remove", "--config", str(house.appliance.config_file)]
    subprocess.run(command, cwd=ROOT / "daemon", check=True, timeout=60, capture_output=True)
    eventually(lambda: house.home.devices() == [] and house.home.entities() == {}, "the removal")
    assert house.message() is None
    house.appliance.start()
    eventually(house.is_whole, "the device", 60)
