"""The link survives every misbehaviour of a broker, and leaks neither threads nor file descriptors."""

from __future__ import annotations

import os
import random
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from ishowtts.model import Event
from ishowtts.mqtt.mqtt_options import MqttOptions
from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.hostile_broker import HostileBroker, Peer, Script
from support.mqtt_packets import Packet
from support.waiting import eventually

SAY = "ishowtts/unit/say"
OF_EACH_PROTOCOL = pytest.mark.parametrize("protocol", [5, 4])


@pytest.fixture
def options(hostile_options: MqttOptions) -> MqttOptions:
    return hostile_options


def open_files() -> int:
    return psutil.Process().num_fds()


@pytest.fixture
def hostile_link(request: pytest.FixtureRequest, hostile: HostileBroker, make_link: Any) -> Iterator[Any]:
    """A working link. After the test it must work again, without additional threads or open files.

    A test may change its options by indirect parametrisation.
    """
    options = {"retry_min_s": 0.005, "retry_max_s": 0.01, "keepalive_s": 2} | getattr(request, "param", {})
    link = make_link(protocol=request.getfixturevalue("protocol"), **options)
    link.start()
    eventually(lambda: hostile.connections() == 2, "both connections")
    threads, files = threading.active_count(), open_files()
    yield link
    hostile.on_accept = hostile.on_connect = hostile.on_subscribe = hostile.on_publish = None
    hostile.byte_every_s = 0
    eventually(lambda: link.link.connected, "the connection, again", 30)
    hostile.publish(SAY, "at the end")
    eventually(lambda: "at the end" in link.recorder.texts, "a line")
    eventually(lambda: not hostile.unacknowledged("lines"), "its acknowledgement")

    def commanded() -> bool:  # at QoS 0: a connection that is not subscribed yet does not receive it
        hostile.publish("ishowtts/unit/command", "skip")
        time.sleep(0.05)
        return bool(link.recorder.commands)

    eventually(commanded, "a command")
    assert link.link.alive()
    eventually(lambda: threading.active_count() <= threads, "the end of the threads of old connections")
    eventually(lambda: open_files() <= files, "that the sockets of old connections are closed")


def disturb(hostile: HostileBroker, link: Any, script: Script, times: int) -> None:
    """Run the script at the next `times` connections of one role, then of the other."""
    for role in ("lines", "commands"):
        before = hostile.connections(role)
        hostile.on_connect = scripts.of_role(role, script)
        hostile.peer(role).close()
        eventually(lambda role=role, before=before: hostile.connections(role) > before + times, f"{role}, again", 30)
        hostile.on_connect = None
        eventually(lambda: link.link.connected, "both connections", 30)


@OF_EACH_PROTOCOL
@pytest.mark.parametrize("when", ["before", "after"])
def test_random_bytes(hostile: HostileBroker, hostile_link: Any, when: str, protocol: int) -> None:
    rng = random.Random(protocol)

    def garbage(peer: Peer, packet: Packet) -> None:
        if when == "after":
            peer.serve(packet)
        peer.send(rng.randbytes(400))
        peer.close()

    disturb(hostile, hostile_link, garbage, 50)


@OF_EACH_PROTOCOL
def test_random_packets(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    """The frame is valid, its content is not."""
    rng = random.Random(protocol)

    def garbage(peer: Peer, packet: Packet) -> None:
        peer.serve(packet)
        for _ in range(5):
            peer.send(mqtt.frame(rng.randrange(256), rng.randbytes(rng.randrange(40))))
        peer.close()

    disturb(hostile, hostile_link, garbage, 50)


@OF_EACH_PROTOCOL
def test_a_packet_with_one_wrong_bit(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    good = mqtt.publish(
        protocol,
        SAY,
        b"flipped",
        qos=1,
        packet_id=700,
        properties=mqtt.properties(mqtt.user_property("a", "b"), mqtt.text_property(mqtt.CONTENT_TYPE, "text/plain")),
    )
    bits = iter(random.Random(1).sample(range(16, 8 * len(good)), 60))

    def flipped(peer: Peer, packet: Packet) -> None:
        peer.serve(packet)
        if (bit := next(bits, None)) is not None:
            wrong = bytearray(good)
            wrong[bit // 8] ^= 1 << bit % 8
            peer.send(bytes(wrong))
        peer.close()

    disturb(hostile, hostile_link, flipped, 30)


@OF_EACH_PROTOCOL
def test_a_broker_that_closes_at_once(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    tried = 0

    def closed(peer: Peer) -> None:
        nonlocal tried
        tried += 1
        peer.close()

    hostile.on_accept = closed
    hostile.peer("lines").close()
    hostile.peer("commands").close()
    eventually(lambda: tried >= 60, "many attempts")


@OF_EACH_PROTOCOL
def test_a_broker_that_sends_before_the_client_does(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    def banner(peer: Peer) -> None:
        peer.send(b"220 mail.example.org ESMTP\r\n")
        peer.close()

    hostile.on_accept = banner
    for role in ("lines", "commands"):
        hostile.peer(role).close()
    eventually(lambda: not hostile_link.link.connected, "the loss")
    time.sleep(0.3)


@pytest.mark.parametrize("protocol", [5])
@pytest.mark.parametrize("hostile_link", [{"connect_timeout_s": 1.0}], indirect=True)
def test_a_broker_that_never_answers_connect(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    disturb(hostile, hostile_link, scripts.silence, 1)


@pytest.mark.parametrize("protocol", [4])
@pytest.mark.parametrize("hostile_link", [{"keepalive_s": 1}], indirect=True)
def test_a_broker_that_does_not_answer_pings(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    before = hostile.connections()
    hostile.on_ping = scripts.silence
    eventually(lambda: "does not answer our pings" in (hostile_link.link.why_not_connected or ""), "the sentence", 30)
    eventually(lambda: hostile.connections() >= before + 2, "both connections, again", 30)
    hostile.on_ping = None


@OF_EACH_PROTOCOL
def test_a_publish_before_the_connack_is_accepted_at_most_once(
    hostile: HostileBroker, hostile_link: Any, protocol: int
) -> None:
    early = mqtt.publish(protocol, SAY, b"early", qos=1, packet_id=77)
    hostile.on_connect = scripts.of_role("lines", scripts.send_before(early))
    hostile.peer("lines").close()
    hostile.wait_for(lambda p: p.kind == mqtt.CONNECT and p.role == "lines", count=2)
    hostile.publish(SAY, "later")
    eventually(lambda: "later" in hostile_link.recorder.texts, "the line after it")
    assert hostile_link.recorder.texts.count("early") <= 1


@OF_EACH_PROTOCOL
def test_a_line_truncated_at_any_byte_arrives_once(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    whole = len(mqtt.publish(protocol, SAY, b"line 10", qos=1))
    texts = [f"line {number}" for number in range(10, 10 + whole)]
    for count, text in enumerate(texts):
        before = hostile.connections("lines")
        hostile.cut_after_bytes["lines"] = count
        hostile.publish(SAY, text)
        eventually(lambda before=before: hostile.connections("lines") > before, "another connection")
        eventually(lambda count=count: len(hostile_link.recorder.texts) > count, "the line")
        eventually(lambda: not hostile.unacknowledged("lines"), "its acknowledgement")
    assert hostile_link.recorder.texts == texts
    again = [delivery.again for delivery in hostile_link.recorder.deliveries]
    assert again == [True] * whole


@OF_EACH_PROTOCOL
def test_a_storm_of_redeliveries(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    repeated = b"".join(
        mqtt.publish(protocol, SAY, f"line {i}".encode(), qos=1, packet_id=900 + i, dup=True) for i in range(5)
    )
    for count in range(1, 5):
        lines = hostile.peer("lines")
        lines.send(repeated * 100)
        eventually(lambda count=count: len(hostile_link.recorder.texts) == count * 500, "all of them")
        lines.close()
        hostile.wait_for(lambda p: p.kind == mqtt.CONNECT and p.role == "lines", count=count + 1)
    assert set(hostile_link.recorder.texts) == {f"line {i}" for i in range(5)}
    assert all(delivery.again for delivery in hostile_link.recorder.deliveries)


@OF_EACH_PROTOCOL
def test_a_broker_that_sends_a_byte_at_a_time(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    before = hostile.connections()
    hostile.byte_every_s = 0.03
    hostile.publish(SAY, "slow", qos=0)
    hostile.publish("ishowtts/unit/command", "skip", qos=0)
    eventually(lambda: "slow" in hostile_link.recorder.texts, "the slow line")
    eventually(lambda: hostile_link.recorder.commands, "the slow command")
    assert hostile.connections() == before


@OF_EACH_PROTOCOL
def test_a_broker_that_answers_twice(hostile: HostileBroker, hostile_link: Any, protocol: int) -> None:
    """Each CONNACK, SUBACK, PUBACK and PINGRESP comes twice, and each message of ours is forwarded twice."""
    hostile.on_connect = scripts.send_after(mqtt.connack(protocol))
    hostile.on_subscribe = hostile.on_publish = hostile.on_ping = scripts.twice
    hostile.forget_sessions()
    eventually(lambda: hostile.connections() == 4 and hostile_link.link.connected, "both connections, again")
    for number in range(5):
        event = Event("2026-12-01T00:00:00.000Z", "a", "finished", {"n": number})
        assert hostile_link.link.send_events([(number, event)], 10) == 1
        hostile.publish(SAY, f"line {number}")
    eventually(lambda: len(hostile_link.recorder.texts) == 5, "the lines")
    hostile.wait_for(lambda packet: packet.kind == mqtt.PINGREQ)
    assert hostile_link.recorder.texts == [f"line {number}" for number in range(5)]
    assert len(hostile.received_of(mqtt.PUBLISH, "ishowtts/unit/event")) == 5
    assert hostile.connections() == 4
    hostile.on_ping = None


@OF_EACH_PROTOCOL
def test_a_session_that_the_broker_lost_is_created_again(
    hostile: HostileBroker, hostile_link: Any, protocol: int
) -> None:
    for number in range(10):
        before = hostile.connections("lines")
        hostile.forget_sessions()
        eventually(lambda before=before: hostile.connections("lines") > before, "another connection")
        hostile.peer("lines")
        hostile.publish(SAY, f"line {number}")
        eventually(lambda number=number: f"line {number}" in hostile_link.recorder.texts, "a line")
    assert len(hostile_link.recorder.texts) == 10


@pytest.mark.parametrize("lowest_free", [False, True])
def test_a_redelivery_by_a_killed_broker_is_recognised_without_dup(
    hostile: HostileBroker, make_link: Any, lowest_free: bool
) -> None:
    """mosquitto gives it the same packet id after its restart. With another broker it may be another message."""
    hostile.reuse_ids = lowest_free
    link = make_link().start()
    for number in range(3):
        hostile.publish(SAY, f"line {number}")
        eventually(lambda number=number: len(link.recorder.texts) == number + 1, "the line")
        eventually(lambda: not hostile.unacknowledged("lines"), "its acknowledgement")
        assert link.link.send_events([(number, Event("2026-11-29T00:00:00.000Z", "a", "accepted"))], 10) == 1
    packet_id = link.recorder.deliveries[0].packet_id
    again = mqtt.publish(5, SAY, b"line 0", qos=1, packet_id=packet_id)
    hostile.on_connect = scripts.of_role("lines", scripts.times(1, scripts.send_after(again)))
    hostile.peer("lines").close()
    eventually(lambda: len(link.recorder.deliveries) == 4, "the line, again")
    assert link.recorder.deliveries[-1].again is not lowest_free
    assert link.recorder.deliveries[-1].digest == link.recorder.deliveries[0].digest


def test_a_backlog_that_waits_for_the_disk_leaves_the_appliance_online(hostile: HostileBroker, make_link: Any) -> None:
    backlog = mqtt.publish(5, SAY, b"waited", qos=1, packet_id=7)
    hostile.on_connect = scripts.of_role("lines", scripts.send_after(backlog))
    link = make_link()
    link.recorder.acknowledge = False
    link.start()
    eventually(lambda: link.recorder.texts == ["waited"], "the line that waited")
    time.sleep(0.5)  # the connection has checked its probe meanwhile
    link.recorder.acks[0]()
    hostile.wait_for(lambda p: p.topic.endswith("/availability") and p.payload == b"online")


def test_too_many_open_files_are_named(hostile: HostileBroker, make_link: Any) -> None:
    """paho waits with `select`, which knows no descriptor above 1023. It would only say that the connection is lost."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip("this machine allows no descriptor above 1023")
    link = make_link(retry_min_s=0.005, retry_max_s=0.01)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while (copy := os.dup(0)) <= 1023:
            stack.callback(os.close, copy)
        stack.callback(os.close, copy)
        link.link.start()
        eventually(lambda: link.recorder.connection, "the sentence")
    assert "this process has too many open files" in link.recorder.connection[0][1]
    eventually(lambda: link.link.connected, "the connection, with fewer files")
