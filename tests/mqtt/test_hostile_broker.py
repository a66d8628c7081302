"""The hostile broker itself, with paho: it keeps to the standard without a script, and breaks it by script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.broker_session import Message
from support.client import Client
from support.hostile_broker import HostileBroker, Peer
from support.waiting import eventually


class Subscriber:
    """A paho client with a persistent session, which acknowledges only on request."""

    def __init__(self, port: int, protocol: int) -> None:
        five = protocol == 5
        self.came: list[tuple[bool, int, bytes]] = []
        self.resumed: list[bool] = []
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="unit-lines",
            clean_session=None if five else False,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            manual_ack=True,
        )
        self._paho.on_connect = self._connected
        self._paho.on_message = lambda _c, _d, m: self.came.append((m.dup, m.mid, m.payload))
        kept = Properties(PacketTypes.CONNECT)
        kept.SessionExpiryInterval = 60
        self._paho.connect(
            HostileBroker.host, port, clean_start=False if five else 3, properties=kept if five else None
        )
        self._paho.loop_start()

    def _connected(self, client: paho.Client, _d: Any, flags: Any, _code: Any, _p: Any) -> None:
        self.resumed.append(flags.session_present)
        client.subscribe("a/say", 1)

    def acknowledge(self, packet_id: int) -> None:
        self._paho.ack(packet_id, 1)

    def close(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()
        self._paho.on_connect = self._paho.on_message = None


@pytest.fixture
def make_subscriber(hostile: HostileBroker) -> Iterator[Callable[[int], Subscriber]]:
    with ExitStack() as stack:

        def make(protocol: int) -> Subscriber:
            subscriber = Subscriber(hostile.port, protocol)
            stack.callback(subscriber.close)
            return subscriber

        yield make


@pytest.mark.parametrize("protocol", [5, 4])
def test_it_forwards_retains_and_confirms(hostile: HostileBroker, protocol: int) -> None:
    with Client(hostile.host, hostile.port, protocol=protocol) as client:
        client.publish("a/info", "kept", retain=True)
        client.subscribe("a/#").subscribe("b/+/c")
        assert client.wait_for("a/info").retain
        carried = {"ResponseTopic": "r", "CorrelationData": b"\0\1"} if protocol == 5 else {}
        client.publish("a/say/anna", "hello", **carried)
        client.publish("b/x/c", "plus", qos=0)
        client.publish("b/x/d", "nobody")
        assert client.wait_for("a/say/anna").correlation == carried.get("CorrelationData")
        client.wait_for("b/x/c")
        assert not client.on("b/x/d")
    connect = hostile.wait_for(lambda packet: packet.kind == mqtt.CONNECT)
    assert (connect.protocol, connect.keepalive_s) == (protocol, 60)
    assert [packet.topic for packet in hostile.received_of(mqtt.PUBLISH)] == ["a/info", "a/say/anna", "b/x/c", "b/x/d"]


@pytest.mark.parametrize("protocol", [5, 4])
def test_an_unacknowledged_message_is_redelivered_with_dup(
    hostile: HostileBroker, make_subscriber: Callable[[int], Subscriber], protocol: int
) -> None:
    subscriber = make_subscriber(protocol)
    first = hostile.peer("lines")
    hostile.publish("a/say", "one")
    hostile.publish("a/say", "two")
    eventually(lambda: len(subscriber.came) == 2, "both messages")
    subscriber.acknowledge(1)
    hostile.wait_for(lambda packet: packet.kind == mqtt.PUBACK)
    first.close()
    eventually(lambda: len(subscriber.came) == 3, "the second message, again")
    assert subscriber.came[2] == (True, 2, b"two")
    assert subscriber.resumed == [False, True]
    assert hostile.connections("lines") == 2


@pytest.mark.parametrize(("reuse", "second"), [(False, 2), (True, 1)])
def test_packet_ids_ascend_or_are_reused_at_once(
    hostile: HostileBroker, make_subscriber: Callable[[int], Subscriber], reuse: bool, second: int
) -> None:
    hostile.reuse_ids = reuse
    subscriber = make_subscriber(5)
    hostile.peer("lines")
    hostile.publish("a/say", "one")
    eventually(lambda: subscriber.came, "the first message")
    subscriber.acknowledge(1)
    eventually(lambda: not hostile.unacknowledged("lines"), "its acknowledgement")
    hostile.publish("a/say", "two")
    eventually(lambda: len(subscriber.came) == 2, "the second message")
    assert subscriber.came[1] == (False, second, b"two")


def test_a_lost_session_is_not_resumed(hostile: HostileBroker, make_subscriber: Callable[[int], Subscriber]) -> None:
    subscriber = make_subscriber(5)
    hostile.peer("lines")
    hostile.forget_sessions()
    eventually(lambda: subscriber.resumed == [False, False], "the second connection")


@pytest.mark.parametrize("code", [0x87, 0x80])
def test_it_refuses_subscriptions_and_publishes(hostile: HostileBroker, code: int) -> None:
    hostile.on_subscribe = scripts.refuse(code, "a/say")
    hostile.on_publish = scripts.confirm_with(code, "a/event")
    answers: list[Any] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_subscribe = lambda _c, _d, _mid, codes, _p: answers.append([each.value for each in codes])
    client.on_publish = lambda _c, _d, _mid, answer, _p: answers.append(answer.value)
    client.connect(hostile.host, hostile.port)
    client.loop_start()
    try:
        client.subscribe([("a/say", 1), ("a/other", 1)])
        client.publish("a/event", "x", 1)
        client.publish("a/info", "x", 1)
        eventually(lambda: answers == [[code, 1], code, 0], "all three answers")
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_subscribe = client.on_publish = None


def test_it_drops_messages_and_never_confirms_them(hostile: HostileBroker) -> None:
    hostile.on_publish = scripts.drop("a/probe")
    hostile.forwards = lambda _role, topic: topic != "a/deaf"
    with Client(hostile.host, hostile.port) as client:
        client.subscribe("a/#")
        for topic in ("a/probe", "a/deaf", "a/heard"):
            client.publish(topic, "x")
        client.wait_for("a/heard")
        assert [message.topic for message in client.messages] == ["a/heard"]
        hostile.on_publish = scripts.confirm_with(None)
        client.publish("a/event", "x", qos=0)
        hostile.wait_for(lambda packet: packet.topic == "a/event")


def test_scripts_can_be_limited_to_times_and_roles(hostile: HostileBroker) -> None:
    hostile.on_connect = scripts.times(1, scripts.then_close(scripts.silence))
    hostile.on_subscribe = scripts.of_role("lines", scripts.silence)
    with pytest.raises(AssertionError), Client(hostile.host, hostile.port) as client:
        client._wait(lambda: False, "nothing", 0.1)
    with Client(hostile.host, hostile.port) as client:
        client.subscribe("a/say")
    assert hostile.connections("other") >= 2


def test_it_sends_single_bytes_and_malformed_and_truncated_packets(
    hostile: HostileBroker, make_subscriber: Callable[[int], Subscriber]
) -> None:
    hostile.byte_every_s = 0.002
    subscriber = make_subscriber(5)
    hostile.peer("lines")
    hostile.publish("a/say", "slow")
    eventually(lambda: [payload for _, _, payload in subscriber.came] == [b"slow"], "the slow message")
    hostile.byte_every_s = 0
    hostile.plant("lines", Message("", b"empty topic", 0))
    hostile.cut_after_bytes["lines"] = 9
    hostile.publish("a/say", b"cut off")
    eventually(lambda: len(subscriber.came) == 4, "what is not acknowledged, again")
    assert [(dup, payload) for dup, _, payload in subscriber.came[2:]] == [(True, b"slow"), (True, b"cut off")]


def test_a_script_can_act_before_the_first_packet_of_the_client(hostile: HostileBroker) -> None:
    hostile.on_accept = Peer.close
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect(hostile.host, hostile.port)
    while client.loop(0.2) == paho.MQTT_ERR_SUCCESS:
        pass
    assert hostile.packets == []
