"""A real Home Assistant finds the appliance, speaks with it and shows how it is doing; nothing is doubled or orphaned.

Left out where Home Assistant is not installed: `scripts/setup home-assistant` does that. `scripts/endure --runs
home-assistant` runs this file alone.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

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
BROKER_IS_GONE = (
    "Disconnected from MQTT server",
    "Failed to connect to MQTT server",
    "[paho.mqtt.client] failed to receive on socket",
    "Error talking to MQTT: The client is not currently connected",
    "Error doing job: Task exception was never retrieved",  # its `online`, published before it was connected again
)
KILLED = ("shutdown cleanly", "Ended unfinished session")
# It removes the device at the first empty message, and then publishes one itself for each disabled entity.
REMOVED = ("No device components to cleanup",)
# Nothing has happened yet that they could show, or the machine of the test has no such reading.
UNKNOWN_AT_FIRST = {"say", "urgent", "skip", "stop", "replay", "line", "speaking", "version", "rtf", "ttfa"}


# Stands for the app on a phone, and for what an automation of the page switches and waits for.
SURROUNDINGS = """
input_button: {good_night: {}}
input_boolean: {living_room: {initial: true}}
script:
  phone:
    sequence:
      - action: mqtt.publish
        data:
          topic: phone
          payload: "{{ dict(title=title, message=message, data=data | default(none)) | to_json }}"
"""
REPLACED = {
    "ishowtts_kitchen": "ishowtts_test",
    "ishowtts/kitchen": "ishowtts/test",
    "notify.mobile_app_phone": "script.phone",
    "light.": "input_boolean.",
}


def automations() -> str:
    """Those of docs/home-assistant.md, as lines of a configuration.yaml."""
    page = (ROOT / "docs/home-assistant.md").read_text(encoding="utf-8")
    for word, other in REPLACED.items():
        page = page.replace(word, other)
    found = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(alias: .*?)```", page, re.DOTALL)]
    return yaml.safe_dump({"automation": found})


def put_voice(folder: Path, name: str) -> None:
    """Adds a voice, as `ishowtts voices add` does: whole, by a rename."""
    new = folder / f".{name}.new"
    new.mkdir(parents=True)
    samples = np.random.default_rng(3).normal(0, 0.12, 72_000)
    soundfile.write(new / "reference.wav", samples, 24_000)
    (new / "reference.txt").write_text("These are the words of the clip.")
    new.rename(folder / name)


class House:
    """A broker, an appliance with simulated sensors and Home Assistant, which started first."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.folder = folder
        self.expected: tuple[str, ...] = ()  # texts in warnings that the test causes
        for name in ("broker", "appliance", "home"):
            (folder / name).mkdir()
        self.broker = stack.enter_context(Broker(folder / "broker"))
        self.home = stack.enter_context(HomeAssistant(folder / "home", SURROUNDINGS + automations()))
        for name in ("sensor.washing_machine_power", "binary_sensor.cellar_leak"):
            self.home.post(f"states/{name}", {"state": "off"})
        self._others = self.home.states().keys()
        self.home.add_mqtt(self.broker)
        self.appliance = self.run({})
        self.client = stack.enter_context(Client(self.broker.host, self.broker.port))
        self.appliance.wait_ready(self.client)
        self.settle()

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
        states = sorted(self.home.states().keys() - self._others)
        return [device["id"] for device in self.home.devices()], self.ids, states

    def is_whole(self) -> bool:
        """Whether each enabled entity of the message is there and available, and no other one is."""
        states = self.home.states()
        available = {entity_id for entity_id, state in states.items() if state["state"] != "unavailable"}
        entities = self.home.entities()
        enabled = {entity_id for entity_id, entity in entities.items() if entity["disabled_by"] is None}
        if (
            not entities
            or not enabled <= available
            or any("restored" in each["attributes"] for each in states.values())
        ):
            return False
        devices, ids, shown = self.inventory()
        message = self.message()
        return (
            message is not None
            and {key for key, component in message["components"].items() if len(component) > 1} == ids.keys()
            and enabled == set(shown)
            and len(devices) == 1
        )

    def settle(self) -> None:
        """Waits until the whole device is there. Home Assistant tries a broker again every 10 s."""
        eventually(self.is_whole, "the whole device", 60)

    def say(self, text: str, key: str = "say") -> None:
        """Says a line as an automation does."""
        self.home.call("notify.send_message", self.ids[key], message=text)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Tests leave it as they found it: everything runs, and nothing is said."""
    with ExitStack() as stack:
        yield House(tmp_path_factory.mktemp("house"), stack)


@pytest.fixture(autouse=True)
def _no_complaints(house: House) -> Iterator[None]:
    """Home Assistant has no warnings and errors, except those that a test expects."""
    house.client.forget()
    house.expected = ()
    before = len(house.home.log)
    yield
    if problems := house.home.problems(before, house.expected):
        pytest.fail("\n".join(problems))


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


def test_a_voice_is_chosen_and_the_choice_follows_the_voices(house: House) -> None:
    voices = house.folder / "appliance/state/voices"

    def offered() -> list[str]:
        options: list[str] = house.home.state(house.ids["voice"])["attributes"]["options"]
        return options

    assert (house.state("voice"), offered()) == ("default", ["default"])
    put_voice(voices, "anna")
    eventually(lambda: offered() == ["anna", "default"], "the new voice")
    house.home.call("select.select_option", house.ids["voice"], option="anna")
    house.shows("voice", "anna")
    house.client.wait_for(f"{house.appliance.root}/voice", lambda message: message.json == "anna")
    house.home.call("select.select_option", house.ids["voice"], option="default")
    house.shows("voice", "default")
    shutil.rmtree(voices / "anna")
    eventually(lambda: offered() == ["default"], "the voices without it")
    assert house.is_whole()


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


def test_what_is_wrong_with_a_board_is_shown(house: House) -> None:
    house.appliance.stop()
    house.run(
        {
            "alerts": {"hot_c": 30},
            "audio": {"device": "hw:99"},
            "engine": {"kind": "f5", "f5": {"weights": str(house.folder / "absent")}},
            "limits": {"min_free_mb": 1_000_000_000},
        }
    )
    house.shows("connection", "on", 60)
    raised = {"hot": "fan", "no_sound": "hw:99", "fallback_voice": "f5", "disk_short": "MB"}
    for name, word in raised.items():
        house.shows(f"alert_{name}", "on", 60)
        assert word in house.home.state(house.ids[f"alert_{name}"])["attributes"]["detail"]
    assert (
        set(
            house.client.wait_for(
                f"{house.appliance.root}/state", lambda message: len(message.json["alerts"]) >= len(raised)
            ).json["alerts"]
        )
        >= raised.keys()
    )
    house.appliance.stop()
    house.run({})
    for name in raised:
        house.shows(f"alert_{name}", "off", 60)
    house.shows("state", "ready")


def test_the_automations_of_the_page_work(house: House) -> None:
    house.client.subscribe("phone")
    root, home = house.appliance.root, house.home

    home.post("states/sensor.washing_machine_power", {"state": "1"})  # its two minutes are not waited for
    home.call("automation.trigger", "automation.the_washing_is_done")
    house.client.wait_for(f"{root}/event", lambda m: m.json.get("text") == "The washing is done.")

    home.post("states/binary_sensor.cellar_leak", {"state": "off"})
    home.post("states/binary_sensor.cellar_leak", {"state": "on"})
    line = house.client.wait_for(f"{root}/event", lambda m: m.json.get("text") == "There is water in the cellar.").json
    assert house.appliance.final(house.client, line["id"])["volume"] == 100

    home.call("input_button.press", "input_button.good_night")
    line = house.client.wait_for(f"{root}/event", lambda m: m.json.get("text") == "Good night.").json
    eventually(lambda: home.state("input_boolean.living_room")["state"] == "off", "the light")
    assert house.appliance.final(house.client, line["id"], 0)["event"] == "finished"

    advert = "Buy my things, buy my things, and then buy some more of my things."
    house.appliance.say(house.client, advert, author="Eve")
    house.appliance.say(house.client, "And again.", author="Eve")
    card = house.client.wait_for("phone", lambda m: m.json["title"] == "Eve").json
    assert card["message"] == advert
    home.post("events/mobile_app_notification_action", {"action": card["data"]["actions"][0]["action"]})
    house.client.wait_for(f"{root}/event", lambda m: m.json["event"] == "cancelled", count=2)

    topic = f"{root}/alert/no_sound"
    quiet = house.client.subscribe(topic).wait_for(topic).json
    house.client.publish(topic, {**quiet, "active": True, "detail": "Plug it in."}, retain=True)
    card = house.client.wait_for("phone", lambda m: m.json["message"] == "Plug it in.").json
    assert card["title"] == "iShowTTS test No sound"
    house.client.publish(topic, quiet, retain=True)
    house.shows("alert_no_sound", "off")
    house.shows("state", "ready")


def test_a_restarted_home_assistant_shows_the_same(house: House) -> None:
    house.expected = (*KILLED, "unknown entity sensor.washing_machine_power")
    before = house.inventory()
    for how in (signal.SIGTERM, signal.SIGKILL):
        house.home.stop(how)
        house.client.forget()
        house.client.subscribe("homeassistant/#")
        house.home.start()
        # Home Assistant may have missed the message: the appliance sends it again a few seconds after it is online.
        house.client.wait_for(TOPIC, lambda message: not message.retain)
        house.settle()
        assert house.inventory() == before
    house.say("Here again.")
    house.client.wait_for(f"{house.appliance.root}/event", lambda m: m.json["event"] == "finished")


def test_a_restarted_broker_changes_nothing(house: House) -> None:
    house.expected = BROKER_IS_GONE
    before = house.inventory()
    house.broker.stop()
    house.shows("volume", "unavailable")
    house.broker.start()
    house.settle()
    house.broker.save()
    house.broker.kill()
    house.shows("volume", "unavailable")
    house.broker.start()
    house.settle()
    assert house.inventory() == before


def test_a_broker_that_forgot_everything_is_told_again(house: House) -> None:
    house.expected = BROKER_IS_GONE
    before = house.inventory()
    house.broker.kill()
    house.broker.database.unlink()
    house.broker.start()
    house.settle()
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
        house.settle()
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
    house.settle()


def test_without_discovery_nothing_of_it_stays_and_all_of_it_comes_back(house: House) -> None:
    house.expected = REMOVED
    before = house.inventory()
    house.appliance.stop()
    house.run({"home_assistant": {"discovery": False}})
    eventually(lambda: house.home.devices() == [] and house.home.entities() == {}, "the removal", 60)
    assert house.message() is None
    assert house.inventory() == ([], {}, [])
    house.appliance.stop()
    house.run({})
    house.settle()
    assert house.inventory()[1:] == before[1:]


def test_a_removal_by_hand_leaves_nothing_behind(house: House) -> None:
    house.expected = REMOVED
    house.appliance.stop()
    command = [sys.executable, "-m", "ishowtts", "ha", "remove", "--config", str(house.appliance.config_file)]
    subprocess.run(command, cwd=ROOT / "daemon", check=True, timeout=60, capture_output=True)
    eventually(lambda: house.home.devices() == [] and house.home.entities() == {}, "the removal")
    assert house.message() is None
    house.appliance.start()
    house.settle()
