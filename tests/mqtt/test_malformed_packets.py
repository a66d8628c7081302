"""A packet that breaks the standard affects only itself. The connection stays, and it is not redelivered forever."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ishowtts.model import Line, Reason, Rejection
from ishowtts.mqtt.client import ShortLivedClient as CommandLineClient
from ishowtts.mqtt.mqtt_options import MqttOptions
from support import mqtt_packets as mqtt
from support.broker import Broker
from support.broker_session import Message
from support.hostile_broker import HostileBroker
from support.mqtt_packets import BROKEN_PROPERTIES, STRANGE_PROPERTIES
from support.waiting import eventually

ROOT = "ishowtts/unit"
SAY = f"{ROOT}/say"
BOM = "\ufeff"


@pytest.fixture
def options(hostile_options: MqttOptions) -> MqttOptions:
    return hostile_options


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("topic", ["say", "urgent"])
@pytest.mark.parametrize("what", BROKEN_PROPERTIES)
def test_a_line_with_broken_properties_is_rejected_and_nothing_else_is_lost(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture, what: str, topic: str
) -> None:
    link = make_link().start()
    hostile.publish(f"{ROOT}/{topic}", "broken", properties=BROKEN_PROPERTIES[what])
    hostile.publish(SAY, "next")
    eventually(lambda: link.recorder.texts == ["next"], "the next line", 5)
    eventually(lambda: not hostile.unacknowledged("lines"), "both acknowledgements", 5)
    rejections = [each for each in link.recorder.arrivals if isinstance(each, Rejection)]
    assert [each.reason for each in rejections] == [Reason.BAD_FIELD]
    assert "MQTT 5 properties" in rejections[0].detail
    assert hostile.connections() == 2, "the connections are the first ones"
    assert not tracebacks(caplog)


@pytest.mark.parametrize("topic", ["command", "volume/set"])
@pytest.mark.parametrize("what", BROKEN_PROPERTIES)
def test_a_command_with_broken_properties_is_refused_and_nothing_else_is_lost(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture, what: str, topic: str
) -> None:
    link = make_link().start()
    hostile.publish(f"{ROOT}/{topic}", "50", properties=BROKEN_PROPERTIES[what])
    hostile.publish(f"{ROOT}/command", "skip")
    eventually(lambda: link.recorder.commands, "the next command", 5)
    assert len(link.recorder.faults) == 1
    assert link.recorder.volumes == []
    assert hostile.connections() == 2
    assert not tracebacks(caplog)


@pytest.mark.parametrize("name", ["info", "state", "telemetry"])
@pytest.mark.parametrize("what", [*BROKEN_PROPERTIES, *STRANGE_PROPERTIES])
def test_a_retained_message_with_wrong_properties_does_not_keep_us_away(
    hostile: HostileBroker, make_link: Any, what: str, name: str
) -> None:
    properties = {**BROKEN_PROPERTIES, **STRANGE_PROPERTIES}[what]
    hostile.publish(f"{ROOT}/{name}", "{}", retain=True, properties=properties)
    make_link().start()
    assert hostile.connections() == 2


@pytest.mark.parametrize("what", STRANGE_PROPERTIES)
def test_a_line_with_unusual_properties_is_accepted_or_rejected(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    link = make_link().start()
    hostile.publish(SAY, "strange", properties=STRANGE_PROPERTIES[what])
    hostile.publish(SAY, "next")
    eventually(lambda: "next" in link.recorder.texts, "the next line")
    assert len(link.recorder.arrivals) == 2
    eventually(lambda: not hostile.unacknowledged("lines"), "both acknowledgements", 5)
    assert hostile.connections() == 2
    assert not tracebacks(caplog)
    replies = [line.reply_to.topic for line in link.recorder.arrivals if isinstance(line, Line) and line.reply_to]
    assert not [topic for topic in replies if any(mark in topic for mark in "+#\0")], "no broker lets us publish there"


@pytest.mark.parametrize("protocol", [5, 4])
@pytest.mark.parametrize("role", ["lines", "commands"])
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(lambda p: bytes([0x36]) + mqtt.publish(p, SAY, b"x", qos=1)[1:], id="publish at qos 3"),
        pytest.param(lambda p: mqtt.publish(p, SAY, b"x", qos=2), id="publish at qos 2"),
        pytest.param(lambda p: mqtt.publish(p, SAY, b"x", qos=1, packet_id=0), id="publish with packet id 0"),
        pytest.param(lambda p: mqtt.publish(p, "", b"x", qos=1, packet_id=9), id="publish without a topic"),
        pytest.param(lambda p: mqtt.publish(p, b"\xff", b"x", qos=1, packet_id=9), id="topic that is not utf-8"),
        pytest.param(lambda p: mqtt.publish(p, f"{ROOT}/+", b"x", qos=1, packet_id=9), id="topic with a wildcard"),
        pytest.param(lambda _: mqtt.frame(0x32, b"\xff\xffab"), id="topic longer than the packet"),
        pytest.param(lambda _: mqtt.frame(0x32, b"\0"), id="publish of one byte"),
        pytest.param(lambda _: mqtt.frame(0x32, b""), id="empty publish"),
        pytest.param(lambda _: mqtt.frame(0x32, mqtt.text(SAY) + b"\0"), id="half a packet id"),
        pytest.param(lambda _: mqtt.frame(0x32, mqtt.text(SAY) + b"\0\7"), id="publish that ends at its packet id"),
        pytest.param(lambda _: b"\x30\xff\xff\xff\xff\x01", id="remaining length of five bytes"),
        pytest.param(lambda p: mqtt.puback(p, 60_000), id="puback of nothing"),
        pytest.param(lambda _: mqtt.frame(0x40, b"\0"), id="short puback"),
        pytest.param(lambda p: mqtt.suback(p, 60_000, [0]), id="suback of nothing"),
        pytest.param(lambda _: mqtt.frame(0x90, b"\0"), id="short suback"),
        pytest.param(mqtt.connack, id="second connack"),
        pytest.param(lambda _: mqtt.frame(0x20, b""), id="empty connack"),
        pytest.param(lambda _: mqtt.frame(0x62, b"\0\1"), id="pubrel of nothing"),
        pytest.param(lambda _: mqtt.frame(0xD0, b""), id="pingresp that nobody asked for"),
        pytest.param(lambda _: mqtt.frame(0xD0, b"more"), id="pingresp with a body"),
        pytest.param(lambda _: mqtt.frame(0xF0, b"\0\0"), id="auth"),
        pytest.param(lambda _: mqtt.frame(0x00, b""), id="reserved type"),
        pytest.param(lambda _: mqtt.frame(0x10, b""), id="connect"),
        pytest.param(lambda _: mqtt.frame(0xE0, b"\x85\x04\x11"), id="broken disconnect"),
    ],
)
def test_the_next_line_arrives_after_a_malformed_packet(
    hostile: HostileBroker, make_link: Any, raw: Callable[[int], bytes], role: str, protocol: int
) -> None:
    link = make_link(protocol=protocol).start()
    hostile.peer(role).send(raw(protocol))
    hostile.publish(SAY, "next")
    eventually(lambda: "next" in link.recorder.texts, "the next line", 10)
    eventually(lambda: link.link.connected, "both connections", 10)
    hostile.publish(f"{ROOT}/command", "skip", qos=0)
    eventually(lambda: link.recorder.commands or hostile.connections("commands") > 1, "the command", 10)
    assert link.link.alive()


@pytest.mark.parametrize("topic", [b"\xff", b"ishowtts/\xed\xa0\x80", b"ishowtts/unit/say/" + BOM.encode(), b"a\0b"])
@pytest.mark.parametrize("protocol", [5, 4])
def test_a_message_with_an_invalid_topic_is_acknowledged_and_dropped(
    hostile: HostileBroker, make_link: Any, topic: bytes, protocol: int
) -> None:
    link = make_link(protocol=protocol).start()
    hostile.plant("lines", Message(topic, b"strange"))
    hostile.publish(SAY, "next")
    eventually(lambda: "next" in link.recorder.texts, "the next line", 5)
    eventually(lambda: not hostile.unacknowledged("lines"), "both acknowledgements", 5)
    assert hostile.connections() == 2


@pytest.mark.parametrize("what", [mqtt.user_property("", ""), bytes([mqtt.SUBSCRIPTION_ID, 1])])
def test_a_megabyte_of_properties_is_parsed_quickly(hostile: HostileBroker, make_link: Any, what: bytes) -> None:
    link = make_link().start()
    hostile.publish(SAY, "strange", properties=mqtt.properties(*[what] * (1_000_000 // len(what))))
    hostile.publish(SAY, "next")
    # Parsing takes about 2 s of a busy machine. paho's own reader takes minutes.
    eventually(lambda: "next" in link.recorder.texts, "the next line", 20)
    assert hostile.connections() == 2


# Too large


def peak_rss_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def forget_peak_rss() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


@pytest.mark.parametrize("protocol", [5, 4])
@pytest.mark.parametrize("role", ["lines", "commands"])
def test_a_packet_above_the_maximum_size_uses_no_memory(
    hostile: HostileBroker, make_link: Any, role: str, protocol: int
) -> None:
    link = make_link(protocol=protocol).start()
    peer = hostile.peer(role)
    forget_peak_rss()
    before_mb = peak_rss_mb()
    peer.send_huge(SAY, 200_000_000)
    hostile.publish(SAY, "next")
    eventually(lambda: link.recorder.texts == ["next"], "the next line", 30)
    assert peak_rss_mb() - before_mb < 10
    eventually(lambda: link.link.connected, "both connections")


def test_a_huge_message_in_a_persistent_session_is_not_delivered_forever(broker: Broker, make_link: Any) -> None:
    """MQTT 3.1.1 has no Maximum Packet Size, so mosquitto forwards every packet of a client."""
    link = make_link(port=broker.port, protocol=4).start()
    with subprocess.Popen(
        ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", SAY, "-s"], stdin=subprocess.PIPE
    ) as publisher:
        publisher.communicate(b"x" * (4 << 20), timeout=20)
    mosquitto_pub(broker, SAY, payload="next")
    eventually(lambda: "next" in link.recorder.texts, "the next line", 10)
    assert broker.connections("-lines") <= 2


# With a real broker


def mosquitto_pub(broker: Broker, topic: str, *arguments: str, payload: str = "broken") -> None:
    subprocess.run(
        ["mosquitto_pub", "-V", "5", "-q", "1", "-p", str(broker.port), "-t", topic, "-m", payload, *arguments],
        check=True,
        capture_output=True,
        timeout=20,
    )


POISONS = {
    "user property": ("user-property", "a", BOM),
    "key of a user property": ("user-property", BOM, "a"),
    "content type": ("content-type", BOM),
    "response topic": ("response-topic", f"ishowtts/reply/{BOM}"),
}


@pytest.mark.parametrize("topic", ["say", "urgent", "command", "volume/set"])
@pytest.mark.parametrize("where", POISONS)
def test_a_byte_order_mark_that_mosquitto_forwards_affects_one_message(
    broker: Broker, make_link: Any, where: str, topic: str
) -> None:
    link = make_link(port=broker.port).start()
    mosquitto_pub(broker, f"{ROOT}/{topic}", "-D", "publish", *POISONS[where])
    mosquitto_pub(broker, SAY, payload="next")
    mosquitto_pub(broker, f"{ROOT}/command", payload="skip")
    eventually(lambda: "next" in link.recorder.texts and link.recorder.commands, "the line and the command after it", 5)
    assert link.link.reconnects == 0
    link.link.stop(10)
    again = make_link(port=broker.port).start()
    mosquitto_pub(broker, SAY, payload="later")
    eventually(lambda: again.recorder.texts == ["later"], "the line after a restart, and nothing else", 5)


@pytest.mark.parametrize("topic", ["info", "state", "telemetry", "say", "command"])
def test_a_retained_byte_order_mark_does_not_keep_us_away(broker: Broker, make_link: Any, topic: str) -> None:
    mosquitto_pub(broker, f"{ROOT}/{topic}", "-r", "-D", "publish", *POISONS["user property"])
    link = make_link(port=broker.port)
    link.link.start()
    eventually(lambda: link.link.connected, "the connection", 5)
    mosquitto_pub(broker, SAY, payload="next")
    eventually(lambda: link.recorder.texts == ["next"], "the next line", 5)
    assert link.link.reconnects == 0


# The client of `ishowtts say` and of other commands


@pytest.mark.parametrize("what", [*BROKEN_PROPERTIES, *STRANGE_PROPERTIES])
def test_wrong_properties_do_not_end_the_short_lived_client(
    hostile: HostileBroker, options: MqttOptions, what: str
) -> None:
    with CommandLineClient(options) as client:
        client.subscribe(f"{ROOT}/event")
        hostile.publish(f"{ROOT}/event", "wrong", properties={**BROKEN_PROPERTIES, **STRANGE_PROPERTIES}[what])
        hostile.publish(f"{ROOT}/event", "next")
        assert any(message.payload == b"next" for message in client.messages(5.0))
        eventually(lambda: not hostile.unacknowledged("other"), "both acknowledgements", 5)
        client.publish(SAY, "still here")
    assert hostile.connections() == 1


def test_a_byte_order_mark_does_not_end_the_short_lived_client(broker: Broker, options: MqttOptions) -> None:
    with CommandLineClient(MqttOptions(broker.host, broker.port, ROOT, "ishowtts")) as client:
        client.subscribe(f"{ROOT}/event")
        mosquitto_pub(broker, f"{ROOT}/event", "-D", "publish", *POISONS["user property"])
        mosquitto_pub(broker, f"{ROOT}/event", payload="next")
        assert any(message.payload == b"next" for message in client.messages(5.0))
