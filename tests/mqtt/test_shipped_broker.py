"""The shipped broker configuration: the rights of each role, and what survives a kill. Only ports and paths differ."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ishowtts.config import Config
from ishowtts.engines.remote.remote_engine import RemoteEngine
from ishowtts.errors import Cancelled
from ishowtts.model import AlertName, Segment
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.renders.render_requester import RenderRequester
from support.appliance import Appliance
from support.broker import ShippedBroker
from support.certificates import Authority
from support.client import Client
from support.scripted_board import Script, ScriptedBoard
from support.waiting import eventually

ROOT = "ishowtts/test"
SAY = [f"{ROOT}/say", f"{ROOT}/say/anna"]
STEER = [f"{ROOT}/urgent", f"{ROOT}/command", f"{ROOT}/volume/set", f"{ROOT}/voice/set"]
VOICES = [f"{ROOT}/voice/anna/set"]
RENDERS = [f"{ROOT}/render", f"{ROOT}/render/cancel"]
GROUPS = [f"ishowtts/group/all/{name}" for name in ("say", "say/anna", "urgent", "command")]
SEEN = [
    f"{ROOT}/{name}" for name in ("availability", "event", "info", "muted", "state", "telemetry", "voice", "volume")
]
ALERTS = [f"{ROOT}/alert/{name.value}" for name in AlertName]
PROBES = [f"{ROOT}/probe", f"{ROOT}/probe/commands", f"{ROOT}/probe/voices", f"{ROOT}/probe/renders"]
DISCOVERY = "homeassistant/device/ishowtts_ishowtts_test/config"
HOME_ASSISTANT = [DISCOVERY, "homeassistant/status", "homeassistant/sensor/other/config"]
ROLES = ("publisher", "controller", "observer", "gateway", "homeassistant", "ishowtts", "renderer")
REPLIES = [f"ishowtts/reply/{role}/1" for role in ROLES]
EVERYTHING = [*SAY, *STEER, *VOICES, *RENDERS, *GROUPS, *SEEN, *ALERTS, *PROBES, *REPLIES, *HOME_ASSISTANT]

MAY_PUBLISH = {
    "publisher": [*SAY, *GROUPS[:2]],
    "controller": [*SAY, *STEER, *VOICES, *GROUPS],
    "observer": [],
    "gateway": [*SAY, *STEER, *VOICES, *RENDERS, *GROUPS],
    "homeassistant": [SAY[0], *STEER, GROUPS[0], *GROUPS[2:], *HOME_ASSISTANT],
    "ishowtts": [*SAY, *STEER, *VOICES, *RENDERS, *GROUPS, *SEEN, *ALERTS, *PROBES, *REPLIES, DISCOVERY],
    "renderer": RENDERS,
}
MAY_READ = {
    "publisher": [REPLIES[0]],
    "controller": [REPLIES[1]],
    "observer": [*SEEN, *ALERTS, REPLIES[2]],
    "gateway": [*SEEN, *ALERTS, REPLIES[3]],
    "homeassistant": [*SEEN, *ALERTS, REPLIES[4], *HOME_ASSISTANT],
    "ishowtts": [
        *SAY,
        *STEER,
        *VOICES,
        *RENDERS,
        *GROUPS,
        *PROBES,
        *ALERTS,
        *(topic for topic in SEEN if not topic.endswith(("/muted", "/voice", "/volume"))),
        "homeassistant/status",
        REPLIES[5],
    ],
    "renderer": [*(f"{ROOT}/{name}" for name in ("availability", "info", "state", "telemetry")), REPLIES[6]],
}
PASSWORDS = {role: f"password of {role}" for role in ROLES}


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[ShippedBroker]:
    """A broker for one test, which may stop it or leave retained messages."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    with ShippedBroker(folder, PASSWORDS) as broker:
        yield broker


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShippedBroker]:
    """A broker for the tests that leave nothing behind in it."""
    with ShippedBroker(tmp_path_factory.mktemp("shared"), PASSWORDS) as broker:
        yield broker


@pytest.fixture
def enter() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(enter: ExitStack, broker: ShippedBroker, role: str) -> Client:
    return enter.enter_context(Client(broker.host, broker.port, username=role, password=PASSWORDS[role]))


def as_appliance(broker: ShippedBroker, folder: Path) -> dict[str, object]:
    password = folder / "mqtt-password"
    password.write_text(PASSWORDS["ishowtts"])
    return {"host": broker.host, "port": broker.port, "username": "ishowtts", "password_file": str(password)}


def test_each_user_has_one_block_of_rights() -> None:
    # Two blocks of one user add up: a right that is removed from one of them would remain.
    acl = (Path(__file__).parents[2] / "config/mosquitto/ishowtts.acl").read_text(encoding="utf-8")
    users = [line.removeprefix("user ") for line in acl.splitlines() if line.startswith("user ")]
    assert sorted(users) == sorted(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_publish_only_on_its_topics(shared: ShippedBroker, enter: ExitStack, role: str) -> None:
    witnesses = [connect(enter, shared, name).subscribe("#") for name in ROLES]
    author = connect(enter, shared, role)
    for topic in EVERYTHING:
        author.publish(topic, f"from {role}")
    appliance = connect(enter, shared, "ishowtts")
    fences = [SAY[0], SEEN[0], *REPLIES]
    for fence in fences:
        appliance.publish(fence, "fence")
    seen = [REPLIES[0], REPLIES[1], SEEN[0], SEEN[0], SEEN[0], SAY[0], SEEN[0]]
    for witness, fence in zip(witnesses, seen, strict=True):
        witness.wait_for(fence, lambda message: message.text == "fence")
    arrived = {m.topic for witness in witnesses for m in witness.messages if m.text == f"from {role}"}
    assert arrived == set(MAY_PUBLISH[role])


@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_read_only_its_topics(shared: ShippedBroker, enter: ExitStack, role: str) -> None:
    # mosquitto grants a forbidden subscription too: only the messages that arrive show the rights.
    reader = connect(enter, shared, role).subscribe("#")
    for topic in EVERYTHING:
        reader.subscribe(topic)
    for name in ("ishowtts", "controller", "homeassistant"):
        author = connect(enter, shared, name)
        for topic in MAY_PUBLISH[name]:
            author.publish(topic, "x")
    connect(enter, shared, "ishowtts").publish(REPLIES[ROLES.index(role)], "fence")
    reader.wait_for(REPLIES[ROLES.index(role)], lambda message: message.text == "fence")
    assert {message.topic for message in reader.messages} == set(MAY_READ[role])


@pytest.mark.parametrize("arguments", [[], ["-u", "publisher", "-P", "wrong"], ["-u", "nobody", "-P", "x"]])
def test_a_wrong_password_is_refused(shared: ShippedBroker, arguments: list[str]) -> None:
    done = subprocess.run(
        ["mosquitto_pub", "-h", shared.host, "-p", str(shared.port), "-t", SAY[0], "-m", "x", *arguments],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0
    assert "not authorised" in (done.stdout + done.stderr).lower()


def test_the_appliance_works_with_the_rights_of_its_user(
    shipped: ShippedBroker, enter: ExitStack, tmp_path: Path
) -> None:
    observer, controller = connect(enter, shipped, "observer"), connect(enter, shipped, "controller")
    with Appliance(tmp_path, shipped, {"mqtt": as_appliance(shipped, tmp_path)}) as appliance:
        appliance.wait_ready(observer)
        for topic in SEEN:
            if not topic.endswith("/event"):
                observer.wait_for(topic)
        controller.subscribe("ishowtts/reply/controller/#")
        controller.publish(SAY[0], "one", ResponseTopic="ishowtts/reply/controller/7", CorrelationData=b"7")
        answer = controller.wait_for("ishowtts/reply/controller/7", timeout_s=60)
        assert (answer.json["event"], answer.correlation) == ("finished", b"7")
        controller.publish(f"{ROOT}/volume/set", "30")
        observer.wait_for(f"{ROOT}/volume", lambda message: message.text == "30")
        denied = subprocess.run(
            ["mosquitto_pub", "-V", "5", "-h", shipped.host, "-p", str(shipped.port), "-t", f"{ROOT}/command"]
            + ["-u", "publisher", "-P", PASSWORDS["publisher"], "-q", "1", "-m", "mute"],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert "not authorized" in (denied.stdout + denied.stderr).lower()
        gateway = connect(enter, shipped, "gateway").subscribe("ishowtts/reply/gateway/#")
        gateway.publish(f"{ROOT}/command", {"command": "history"}, ResponseTopic="ishowtts/reply/gateway/x/test")
        assert len(gateway.wait_for("ishowtts/reply/gateway/x/test").json["lines"]) == 1
        controller.publish(f"{ROOT}/command", "pause")
        observer.wait_for(f"{ROOT}/event", lambda message: message.json["event"] == "command")
        assert not any(message.text == "true" for message in observer.on(f"{ROOT}/muted"))
        assert "ACL" not in appliance.log


def test_a_payload_that_the_broker_accepts_is_answered_by_the_appliance(
    shipped: ShippedBroker, enter: ExitStack, tmp_path: Path
) -> None:
    observer, publisher = connect(enter, shipped, "observer"), connect(enter, shipped, "publisher")
    with Appliance(tmp_path, shipped, {"mqtt": as_appliance(shipped, tmp_path)}) as appliance:
        appliance.wait_ready(observer)
        publisher.publish(SAY[0], b"x" * (1 << 20), CorrelationData=b"c" * 1000)
        rejected = observer.wait_for(f"{ROOT}/event", lambda message: message.json["event"] == "rejected").json
        assert rejected["reason"] == "too_big"
        # With one more byte the broker does not accept it.
        larger = tmp_path / "larger"
        larger.write_bytes(b"x" * ((1 << 20) + 1))
        subprocess.run(
            ["mosquitto_pub", "-h", shipped.host, "-p", str(shipped.port), "-t", SAY[0], "-f", str(larger)]
            + ["-u", "publisher", "-P", PASSWORDS["publisher"]],
            capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        final = appliance.final(observer, appliance.say(publisher, "one"))
        assert final["event"] == "finished"
        assert len([e for e in appliance.events(observer) if e["event"] == "rejected"]) == 1


def test_a_line_for_an_absent_appliance_survives_a_kill_of_the_broker(shipped: ShippedBroker, tmp_path: Path) -> None:
    settings = {"mqtt": as_appliance(shipped, tmp_path)}
    with ExitStack() as before, Appliance(tmp_path, shipped, settings) as appliance:
        appliance.wait_ready(connect(before, shipped, "observer"))
        appliance.stop()
        connect(before, shipped, "publisher").publish(SAY[0], {"id": "kept", "text": "one two three"})
        saved = tmp_path / "shipped/mosquitto.db"
        eventually(lambda: saved.exists() and b"one two three" in saved.read_bytes(), "the database of the broker")
        shipped.kill()
    shipped.start()
    with ExitStack() as after, Appliance(tmp_path, shipped, settings) as appliance:
        observer = connect(after, shipped, "observer").subscribe(f"{ROOT}/event")
        assert appliance.final(observer, "kept")["event"] == "finished"


def test_the_tls_listener_requires_a_certificate_and_a_password(enter: ExitStack, tmp_path: Path) -> None:
    folder = tmp_path / "shipped"
    folder.mkdir()
    authority = Authority(tmp_path / "tls")
    authority.issue("broker")
    authority.issue("board")
    broker = enter.enter_context(ShippedBroker(folder, PASSWORDS, tls=authority.folder))
    mqtt = as_appliance(broker, tmp_path) | {
        "port": broker.tls_port,
        "tls": {"ca": str(authority.ca), "cert": str(authority.cert("board")), "key": str(authority.key("board"))},
    }
    observer = connect(enter, broker, "observer")
    with Appliance(tmp_path, broker, {"mqtt": mqtt}) as appliance:
        appliance.wait_ready(observer)
        line_id = appliance.say(connect(enter, broker, "publisher"), "one")
        assert appliance.final(observer, line_id)["event"] == "finished"


def test_the_broker_does_not_write_its_database_for_each_line_of_a_flood(
    shipped: ShippedBroker, enter: ExitStack
) -> None:
    publisher = connect(enter, shipped, "publisher")
    before = shipped.log.count("Saving in-memory database")
    for number in range(300):
        publisher.publish(SAY[0], f"line {number}", retain=True)
    assert shipped.log.count("Saving in-memory database") - before < 100


def test_a_huge_connect_packet_ends_the_connection(shared: ShippedBroker) -> None:
    with socket.create_connection((shared.host, shared.port), timeout=20) as client:
        client.sendall(b"\x10" + b"\xff\xff\xff\x7f")  # a CONNECT of 256 MB
        client.settimeout(20)
        assert client.recv(1) == b""


def test_a_stage_has_its_segments_rendered_with_the_rights_of_an_appliance(
    shipped: ShippedBroker, enter: ExitStack, tmp_path: Path
) -> None:
    config = Config.model_validate({"mqtt": as_appliance(shipped, tmp_path), "engine": {"kind": "remote"}})
    engine = RemoteEngine(20.0, "default")
    requester = RenderRequester.for_engine(engine, config, "ishowtts/hall", lambda: None)
    assert requester is not None
    connection = requester.connection(MqttOptions.from_config(config, "ishowtts/hall"), lambda: 0.0)
    enter.callback(connection.join, 20.0)
    connection.start()
    enter.callback(connection.stop)
    user = {"username": "ishowtts", "password": PASSWORDS["ishowtts"]}
    board = enter.enter_context(ScriptedBoard(shipped.host, shipped.port, script=Script(segments=1), **user))
    eventually(requester.any_ready, "the board")
    utterance = engine.synthesize(Segment("line", 0, 1, "one"), lambda: False)
    assert utterance.audio_s == board.script.segment_s
    board.script = Script(late_s=20.0)
    with pytest.raises(Cancelled):
        engine.synthesize(Segment("line", 1, 2, "two"), lambda: len(board.asked) > 1)
    eventually(lambda: board.cancelled, "the cancel")
