"""docs/mqtt.md: its examples are run, or parsed, without changes, with the rights of the shipped broker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ishowtts.model import AlertName, Outcome, Reason
from ishowtts.mqtt.command_payload import COMMANDS
from ishowtts.mqtt.fields import COMMAND_FIELDS, LINE_FIELDS
from ishowtts.text import plain_text
from support.appliance import Appliance
from support.broker import Broker, ShippedBroker
from support.client import Client
from support.voice_sender import WORDS, speech

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "mqtt.md").read_text(encoding="utf-8")
ROOT = "ishowtts/kitchen"
TOPICS = {
    f"{ROOT}/{name}"
    for name in (
        *("say", "urgent", "command", "volume/set", "voice/set"),
        *("availability", "state", "event", "telemetry", "info", "volume", "muted"),
    )
}


def blocks(language: str, page: str = PAGE) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.M | re.S)
    assert found, f"no {language} in the page"
    return found


def cells(heading: str) -> set[str]:
    """The words in code style in the first column of the table with this first heading."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*?\n\n", PAGE + "\n\n", flags=re.M | re.S)
    assert table is not None, heading
    first = [line.split("|")[1] for line in table[0].splitlines()[2:] if line.startswith("|")]
    return {word for cell in first for word in re.findall(r"`([^`]+)`", cell)}


PASSWORD = "its-password"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """The shipped broker, with the password of the examples for the users that they name."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    with ShippedBroker(folder, dict.fromkeys(("controller", "observer", "renderer", "ishowtts"), PASSWORD)) as broker:
        yield broker


@pytest.fixture
def mqtt_client(broker: Broker) -> Iterator[Client]:
    """Reads what the appliance publishes."""
    with Client(broker.host, broker.port, username="observer", password=PASSWORD) as client:
        yield client


@pytest.fixture
def kitchen(make_appliance: Callable[..., Appliance], broker: Broker, mqtt_client: Client, tmp_path: Path) -> Appliance:
    password = tmp_path / "mqtt-password"
    password.write_text(PASSWORD)
    mqtt = {
        "host": broker.host,
        "port": broker.port,
        "username": "ishowtts",
        "password_file": str(password),
        "groups": ["all"],
    }
    engine = {"kind": "espeak", "f5": {"voices_over_mqtt": True}}
    appliance = make_appliance(settings={"device": {"name": "kitchen"}, "mqtt": mqtt, "engine": engine})
    appliance.root = ROOT
    appliance.wait_ready(mqtt_client)
    return appliance


@pytest.fixture
def shell(tmp_path: Path, broker: Broker) -> Callable[[str], str]:
    """Run a block. Only the port of the broker is replaced, in the block that writes the files of options."""
    (tmp_path / "home").mkdir()

    def run(block: str) -> str:
        block = block.replace("-p 1883", f"-p {broker.port}")
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["bash", "-eu", "-c", block], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


def events(client: Client, name: str) -> list[dict[str, Any]]:
    return [m.json for m in client.on(f"{ROOT}/event") if m.json["event"] == name]


def finished_lines(client: Client, count: int) -> list[dict[str, Any]]:
    """Wait until so many lines are finished since the last `forget`."""
    client.wait_for(f"{ROOT}/event", lambda m: m.json["event"] == "finished", count=count, timeout_s=60)
    assert not events(client, "rejected")
    return events(client, "finished")


def test_the_shell_examples_work(
    kitchen: Appliance, mqtt_client: Client, shell: Callable[[str], str], tmp_path: Path
) -> None:
    options, lines, commands, older, voice, removal, group, retained, watched, alerts, requested = blocks("sh")
    shell(options)
    shell(lines)
    assert "tea-2" in [event["id"] for event in finished_lines(mqtt_client, 4)]
    mqtt_client.forget()
    shell(commands)
    mqtt_client.wait_for(f"{ROOT}/event", lambda m: m.json.get("transaction") == "t-17")
    mqtt_client.wait_for(f"{ROOT}/volume", lambda m: m.text == "60")
    mqtt_client.wait_for(f"{ROOT}/event", lambda m: m.json.get("command") == "voice")
    assert sorted(event["command"] for event in events(mqtt_client, "command")) == ["cancel", "skip", "voice", "volume"]
    speech(tmp_path)
    shell(voice.replace("anna.wav", str(tmp_path / "speech.wav")).replace("The words of the recording.", WORDS))
    mqtt_client.wait_for(f"{ROOT}/event", lambda m: m.json.get("command") == "voice_add")
    shell(removal)
    mqtt_client.wait_for(f"{ROOT}/event", lambda m: m.json.get("transaction") == "t-18")
    added, removed = (event for event in events(mqtt_client, "command") if event.get("voice") == "anna")
    assert (added["command"], added["ok"]) == ("voice_add", True), added
    assert (removed["command"], removed["ok"]) == ("voice_remove", True), removed
    history = json.loads(shell(older))
    assert [line["status"] for line in history["lines"]].count("finished") == 4
    mqtt_client.forget()
    shell(group)
    finished_lines(mqtt_client, 1)
    availability, state = shell(retained).splitlines()
    assert availability == "online"
    assert json.loads(state)["volume"] == 60
    assert [json.loads(each)["event"] for each in shell(watched).splitlines()] == ["accepted", "started", "finished"]
    known = dict(line.split(" ", 1) for line in shell(alerts).splitlines())
    assert known.keys() == {f"{ROOT}/alert/{name.value}" for name in AlertName}
    assert not any(json.loads(payload)["active"] for payload in known.values())
    assert cells("name") == {name.value for name in AlertName}
    mqtt_client.forget()
    answer = json.loads(shell(requested))
    assert answer["event"] == "finished"
    finished_lines(mqtt_client, 2)
    telemetry, *_ = blocks("sh", (DOCS / "telemetry.md").read_text(encoding="utf-8"))
    assert json.loads(shell(telemetry))["mqtt"]["connected"]
    assert kitchen.root == ROOT


def test_the_python_example_works(kitchen: Appliance, broker: Broker) -> None:
    _, program = blocks("python")
    assert program.count('"localhost", 1883') == program.count("answered.wait(60)") == 1
    program = program.replace('"localhost", 1883', f'"{broker.host}", {broker.port}')
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "finished", ""), kitchen.log
    # With the topic of another user the line is spoken, but no answer comes: the example must end.
    impatient = program.replace("answered.wait(60)", "answered.wait(1)").replace("reply/{USER}", "reply/me")
    done = subprocess.run([sys.executable, "-c", impatient], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no answer within 60 s" in done.stderr


def test_the_python_example_of_a_render_works(kitchen: Appliance, broker: Broker, tmp_path: Path) -> None:
    program, _ = blocks("python")
    assert program.count('"localhost", 1883') == 1
    program = program.replace('"localhost", 1883', f'"{broker.host}", {broker.port}')
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), kitchen.log
    with wave.open(str(tmp_path / "tea.wav")) as sound:
        assert sound.getparams()[:2] == (1, 2)
        assert 0.5 < sound.getnframes() / sound.getframerate() < 5


def test_the_node_red_flow_is_consistent() -> None:
    (flow,) = (json.loads(block) for block in blocks("json"))
    nodes = {node["id"]: node for node in flow}
    assert len(nodes) == len(flow)
    for node in flow:
        assert {target for wires in node.get("wires", []) for target in wires} <= set(nodes)
        assert node.get("z", "ishowtts-tab") in nodes
        if node["type"].startswith("mqtt "):
            assert node["topic"] in TOPICS
            assert nodes[node["broker"]]["type"] == "mqtt-broker"
    line = json.loads(nodes["ishowtts-inject"]["payload"])
    assert set(line) <= set(LINE_FIELDS)


def test_the_home_assistant_example_uses_our_topics_and_takes_any_text(
    kitchen: Appliance, broker: Broker, mqtt_client: Client
) -> None:
    jinja2 = pytest.importorskip("jinja2", reason="jinja2, which renders templates of Home Assistant, is not installed")
    (page,) = (yaml.safe_load(block) for block in blocks("yaml"))
    entities = [entity for platform in page["mqtt"] for kind in platform.values() for entity in kind]
    assert len({entity["unique_id"] for entity in entities}) == len(entities)
    for entity in entities:
        assert {value for key, value in entity.items() if key.endswith("_topic")} <= TOPICS
        assert not {entity.get(key) for key in ("payload_press", "payload_off")} - {None, "offline", *COMMANDS}
    state = mqtt_client.wait_for(f"{ROOT}/state").json
    telemetry = mqtt_client.wait_for(f"{ROOT}/telemetry").json
    shown = {"state": state, "telemetry": telemetry}
    for entity in entities:
        if template := entity.get("value_template"):
            values = shown[entity["state_topic"].rpartition("/")[2]]
            strict = jinja2.Environment(undefined=jinja2.StrictUndefined)
            assert strict.from_string(template).render(value_json=values)
    text = 'She said: "Tea\'s \\ ready."\nGrüße & <b>{{ 世界 }}</b>'
    for entity in page["mqtt"][0]["notify"]:
        payload = jinja2.Environment().from_string(entity["command_template"]).render(value=text)
        mqtt_client.forget()
        with Client(broker.host, broker.port, username="controller", password=PASSWORD) as controller:
            controller.publish(entity["command_topic"], payload)
        finished_lines(mqtt_client, 1)
        spoken = [m.json["speaking"]["text"] for m in mqtt_client.on(f"{ROOT}/state") if m.json["speaking"]]
        assert plain_text(text) in spoken


def test_the_tables_are_complete() -> None:
    assert cells("field") == set(LINE_FIELDS)
    assert cells("reason of `rejected`") == {reason.value for reason in Reason}
    assert cells("final event") == {outcome.value for outcome in Outcome} | {"duplicate"}
    words = {word for word in cells("command") if not word.startswith("{")}
    assert words == set(COMMANDS) - {"cancel"}
    cancel = next(json.loads(word) for word in cells("command") if word.startswith("{"))
    assert set(cancel) <= set(COMMAND_FIELDS)


def test_its_links_exist() -> None:
    folder = Path(__file__).resolve().parents[2] / "docs"
    links = set(re.findall(r"\]\(([^)#]+)\)", PAGE))
    assert not [link for link in links if not (folder / link).exists()]
