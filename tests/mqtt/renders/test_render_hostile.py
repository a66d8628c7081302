"""A broker that misbehaves costs a render at most: the requester is told, and the connection comes back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.renders.render_parts import RenderEnd
from ishowtts.mqtt.renders.render_reply import RenderReply
from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.hostile_broker import HostileBroker
from support.waiting import eventually

TOPIC, REPLY = "ishowtts/unit/render", "ishowtts/reply/me"
ASKING = mqtt.properties(
    mqtt.text_property(mqtt.RESPONSE_TOPIC, REPLY), mqtt.text_property(mqtt.CORRELATION, b"\0\xff")
)
END = RenderEnd(1.0, 0.5, None, None, 0.0, "f5", ("f5",), "anna", cached=True, parts=1)


@pytest.fixture
def options(hostile_options: MqttOptions) -> MqttOptions:
    return hostile_options


@pytest.fixture
def start(hostile: HostileBroker, make_link: Any) -> Any:
    """`start(…)`: a link that renders, and the reply to a request that came."""

    def started(**changes: Any) -> tuple[Any, RenderReply]:
        link = make_link(takes_renders=True, **changes).start()
        hostile.wait_for(lambda packet: packet.topic == "ishowtts/unit/probe/renders")
        hostile.publish(TOPIC, "Hi", properties=ASKING)
        eventually(lambda: link.recorder.renders, "the request")
        return link, link.recorder.renders[-1][1]

    return started


def sound(reply: RenderReply, seq: int = 0) -> bool:
    return reply.send("audio", b"x", seq=seq)


@pytest.mark.parametrize("code", [0x10, 0x80, 0x83, 0x87, 0x90, 0x97, 0x99, 0xA2, 0xFF])
def test_an_answer_that_is_refused_or_reaches_nobody_ends_the_render(
    hostile: HostileBroker, start: Any, code: int
) -> None:
    link, reply = start()
    hostile.on_publish = scripts.confirm_with(code, REPLY)
    woken = threading.Event()
    reply.wake = woken.set
    assert sound(reply)
    assert woken.wait(10)
    assert reply.gone
    assert not sound(reply, 1)
    assert not link.link._renders[0]._open
    hostile.on_publish = None
    hostile.publish(TOPIC, "again", properties=ASKING)
    eventually(lambda: len(link.recorder.renders) == 2, "the next request, on the same connection")
    assert len(hostile.received_of(mqtt.PUBLISH, REPLY)) == 1, "a refused part is not published again"


def test_a_part_is_published_as_the_contract_says(hostile: HostileBroker, start: Any) -> None:
    _, reply = start()
    assert sound(reply, 7)
    packet = hostile.wait_for(lambda packet: packet.topic == REPLY)
    assert (packet.qos, packet.retain, packet.payload) == (1, False, b"x")
    assert packet.properties == {
        mqtt.CORRELATION: [b"\0\xff"],
        mqtt.MESSAGE_EXPIRY: [60],
        mqtt.USER_PROPERTY: [("part", "audio"), ("seq", "7")],
    }


def test_a_broker_that_confirms_nothing_gets_eight_parts_and_then_a_new_connection(
    hostile: HostileBroker, start: Any
) -> None:
    link, reply = start(confirm_timeout_s=0.3)
    hostile.on_publish = scripts.confirm_with(None, REPLY)
    assert [sound(reply, seq) for seq in range(10)] == [True] * 8 + [False] * 2
    eventually(lambda: reply.gone, "the end of the connection")
    assert reply.gone == f"the broker at {hostile.host}:{hostile.port} has not confirmed what we publish for 0.3 s"
    hostile.on_publish = None
    told = hostile.wait_for(lambda packet: packet.topic == REPLY and b"failed" in packet.payload)
    assert b"lost its connection to the broker" in told.payload
    assert link.link.connected, "lines and commands have connections of their own"


def test_the_connection_may_break_between_any_two_parts(hostile: HostileBroker, start: Any) -> None:
    link, reply = start()
    for count in range(2, 5):
        hostile.on_publish = scripts.on_topic(REPLY, scripts.then_close())
        sound(reply)
        eventually(lambda reply=reply: reply.gone, "the end of the connection")
        hostile.on_publish = None
        hostile.wait_for(lambda packet: packet.topic == REPLY and b"failed" in packet.payload, count=count - 1)
        hostile.publish(TOPIC, "again", properties=ASKING)
        eventually(lambda count=count: len(link.recorder.renders) == count, "the next request")
        reply = link.recorder.renders[-1][1]
    assert sound(reply)
    assert reply.send("end", END.payload())
    hostile.wait_for(lambda packet: packet.topic == REPLY and b"audio_s" in packet.payload)


def test_a_part_that_is_sent_while_the_connection_ends_is_reported_later(
    hostile: HostileBroker, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, reply = start()
    connection = link.link._renders[0].connection
    on_down, sent = connection._on_down, []

    def sound_first(reason: str, without_message: bool) -> None:
        sent.append(sound(reply))
        on_down(reason, without_message)

    monkeypatch.setattr(connection, "_on_down", sound_first)
    connection._session._client.socket().shutdown(2)
    hostile.wait_for(lambda packet: packet.topic == REPLY and b"lost its connection" in packet.payload)
    assert sent == [False]
    assert reply.gone


def test_a_message_whose_properties_are_malformed_is_dropped(
    hostile: HostileBroker, start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    link, _ = start()
    twice = mqtt.properties(*[mqtt.text_property(mqtt.RESPONSE_TOPIC, REPLY)] * 2)
    hostile.publish(TOPIC, "Hi", properties=twice)
    eventually(lambda: "is dropped: the MQTT 5 properties of the message are malformed" in caplog.text)
    hostile.publish(TOPIC, "Hi", properties=b"\xff\xff\xff\xff\xff")
    other = mqtt.properties(mqtt.text_property(mqtt.RESPONSE_TOPIC, REPLY), mqtt.text_property(mqtt.CORRELATION, b"2"))
    hostile.publish(TOPIC, "Hi", properties=other)
    eventually(lambda: len(link.recorder.renders) == 2, "the next request")
