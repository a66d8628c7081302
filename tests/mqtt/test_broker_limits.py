"""The link respects the limits that a broker states in its CONNACK, as MQTT 5 requires."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ishowtts.model import Event
from ishowtts.mqtt.mqtt_options import MqttOptions
from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.broker import Broker
from support.client import Client
from support.hostile_broker import HostileBroker
from support.waiting import eventually

EVENT, INFO = "ishowtts/unit/event", "ishowtts/unit/info"


@pytest.fixture
def options(hostile_options: MqttOptions) -> MqttOptions:
    return hostile_options


def event(number: int, size: int = 0) -> Event:
    return Event("2026-11-20T10:15:00.000Z", f"e{number}", "finished", {"error": "x" * size} if size else {})


def test_the_receive_maximum_of_the_broker_limits_the_publishes_in_flight(
    hostile: HostileBroker, make_link: Any
) -> None:
    """HiveMQ allows 10 and ends a connection that exceeds that. paho sends 20 at once."""
    limit = 3
    hostile.connack_properties = mqtt.properties(mqtt.number_property(mqtt.RECEIVE_MAXIMUM, limit, 2))
    link = make_link().start()
    hostile.on_publish = scripts.confirm_with(None, EVENT)
    link.link.send_events([(number, event(number)) for number in range(10)], 0.5)
    hostile.wait_for(lambda p: p.topic == EVENT, 5, count=limit)
    assert len(hostile.received_of(mqtt.PUBLISH, EVENT)) == limit
    link.link.stop(0.5)  # its `offline` waits for the events, which are never confirmed


@pytest.mark.parametrize("kind", ["a hostile broker", "mosquitto"])
def test_a_publish_above_the_maximum_packet_size_of_the_broker_is_dropped_alone(
    hostile: HostileBroker, make_broker: Callable[..., Broker], make_link: Any, kind: str
) -> None:
    port = hostile.port if kind == "a hostile broker" else make_broker(extra=["max_packet_size 1000"]).port
    hostile.connack_properties = mqtt.properties(mqtt.number_property(mqtt.MAXIMUM_PACKET_SIZE, 1000, 4))
    link = make_link(port=port)
    link.link.publish_retained("info", {"voices": ["v" * 3000]})
    link.start()
    eventually(lambda: link.link.send_events([(1, event(1, size=3000))], 1.0) == 1, "the end of the large event", 5)
    eventually(lambda: link.link.send_events([(2, event(2))], 1.0) == 1, "the small event", 5)
    assert link.link.reconnects == 0
    assert not hostile.received_of(mqtt.PUBLISH, INFO)


def test_the_server_keep_alive_is_used(hostile: HostileBroker, make_link: Any) -> None:
    hostile.connack_properties = mqtt.properties(mqtt.number_property(mqtt.SERVER_KEEP_ALIVE, 1, 2))
    make_link(keepalive_s=30).start()
    began_s = time.monotonic()
    hostile.wait_for(lambda p: p.kind == mqtt.PINGREQ and p.role == "commands", 5)
    assert time.monotonic() - began_s < 2.5


def test_a_reply_has_room_within_the_maximum_packet_size_of_the_broker(
    make_broker: Callable[..., Broker], make_link: Any
) -> None:
    broker = make_broker(extra=["max_packet_size 60000"])
    link = make_link(port=broker.port).start()
    topic = "ishowtts/reply/a"
    with Client(broker.host, broker.port) as client:
        client.subscribe(topic)
        client.publish("ishowtts/unit/command", "history", ResponseTopic=topic, CorrelationData=b"c" * 4000)
        eventually(lambda: link.recorder.history)
        [(_, reply)] = link.recorder.history
        assert reply.max_bytes == 55_000
        assert reply.send(b"x" * reply.max_bytes, 5.0)
        assert len(client.wait_for(topic).payload) == 55_000
