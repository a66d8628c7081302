"""The gateway's connection survives a broker that breaks the standard."""

from __future__ import annotations

import asyncio

import pytest

from ishowtts_gateway.appliances import broker_link
from support import mqtt_packets as mqtt
from support.broker_scripts import send_after, silence, twice
from support.followed_link import Followed, follow
from support.gateway_waiting import until
from support.hostile_broker import HostileBroker, Peer

QUICK = {"retry_min_s": 0.002, "retry_max_s": 0.004}
OF_EACH_PROTOCOL = pytest.mark.parametrize("protocol", [5, 4])
EVENT = "ishowtts/test/event"


@OF_EACH_PROTOCOL
def test_a_packet_truncated_at_any_byte(protocol: int) -> None:
    """The gateway connects again and passes on nothing of the packet."""
    message = mqtt.publish(protocol, EVENT, b"cut", qos=1)
    granted = mqtt.suback(protocol, 1, [0, 1, 1])
    connack = mqtt.connack(protocol)

    def cut(peer: Peer, raw: bytes) -> None:
        peer.send(raw)
        peer.close()

    with HostileBroker() as broker:

        async def scenario(followed: Followed) -> None:
            link, count = followed.link, 1
            await until(lambda: link.connected)
            for raw, script in ((connack, "on_connect"), (granted, "on_subscribe")):
                for end in range(len(raw)):
                    setattr(broker, script, lambda peer, _, raw=raw, end=end: cut(peer, raw[:end]))
                    broker.forget_sessions()
                    await until(lambda count=count: broker.connections() > count + 1)
                    setattr(broker, script, None)
                    await until(lambda: link.connected)
                    count = broker.connections()
            for end in range(len(message)):
                await asyncio.to_thread(broker.peer, "other")
                broker.cut_after_bytes["other"] = end
                broker.publish(EVENT, b"cut")
                await until(lambda count=count: broker.connections() > count and link.connected)
                count += 1
            await asyncio.to_thread(broker.peer, "other")
            broker.publish(EVENT, b"whole")
            await until(lambda: followed.messages)
            assert [told.payload for told in followed.messages] == [b"whole"]
            assert await link.publish("ishowtts/test/say", b"x")

        follow(broker, scenario, protocol=protocol, **QUICK)


@OF_EACH_PROTOCOL
def test_a_broker_that_answers_twice_and_reuses_packet_ids(protocol: int) -> None:
    with HostileBroker(on_subscribe=twice, on_publish=twice, on_ping=twice) as broker:
        broker.on_connect = send_after(mqtt.connack(protocol))

        async def scenario(followed: Followed) -> None:
            await until(lambda: followed.link.connected)
            assert await asyncio.gather(*(followed.link.publish("a/say", b"x") for _ in range(30))) == [True] * 30
            assert len(broker.received_of(mqtt.PUBLISH)) == 30
            peer = broker.peer("other")
            for number in range(5):
                peer.send(mqtt.publish(protocol, EVENT, str(number).encode(), qos=1, packet_id=7))
            await until(lambda: len(followed.messages) == 5)
            assert [int(told.payload) for told in followed.messages] == list(range(5))
            await until(lambda: [p.packet_id for p in broker.received_of(mqtt.PUBACK)] == [7] * 5)
            await until(lambda: broker.received_of(mqtt.PINGREQ))
            assert broker.connections() == 1

        follow(broker, scenario, protocol=protocol, keepalive_s=1)


def test_a_broker_that_answers_no_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    """It grants less than we ask for: our pings come after its Server Keep Alive."""
    monkeypatch.setattr(broker_link, "_LOOP_S", 0.05)
    limits = (mqtt.text_property(0x12, "assigned"), mqtt.number_property(mqtt.SERVER_KEEP_ALIVE, 1, 2))
    with HostileBroker(on_ping=silence, connack_properties=mqtt.properties(*limits)) as broker:

        async def scenario(followed: Followed) -> None:
            await until(lambda: followed.link.connected)
            await until(lambda: broker.connections() == 2 and followed.link.connected)
            assert "does not answer our pings" in (followed.told[1][1] or "")

        follow(broker, scenario)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (mqtt.publish(5, EVENT, b"x", qos=2), "a PUBLISH of QoS 2"),
        (mqtt.publish(5, EVENT, b"x", qos=1, packet_id=0), "packet id is 0"),
        (mqtt.suback(5, 700, [0x55], mqtt.UNSUBACK), None),
        (mqtt.suback(5, 700, [0x00, 0x87], mqtt.UNSUBACK), None),
        (mqtt.frame(mqtt.PUBREC << 4, b"\x9c\x40"), None),
        (mqtt.frame(0x62, b"\x9c\x40"), None),
        (mqtt.puback(5, 40_000, 0x55), None),
        (mqtt.suback(5, 40_000, [0]), None),
        (mqtt.frame(mqtt.PINGRESP << 4, b""), None),
    ],
)
def test_a_packet_that_does_not_belong_there(raw: bytes, sentence: str | None) -> None:
    with HostileBroker() as broker:

        async def scenario(followed: Followed) -> None:
            link = followed.link
            await until(lambda: link.connected)
            broker.peer("other").send(raw)
            if sentence is not None:
                await until(lambda: any(sentence in (why or "") for _, why in followed.told))
                await until(lambda: broker.connections() == 2 and link.connected)
            await asyncio.to_thread(broker.peer, "other")
            broker.publish(EVENT, b"next")
            await until(lambda: followed.messages)
            assert [told.payload for told in followed.messages] == [b"next"]
            assert broker.connections() == (1 if sentence is None else 2)

        follow(broker, scenario, **QUICK)


def test_malformed_and_huge_packets_are_survived() -> None:
    with HostileBroker() as broker:

        async def scenario(followed: Followed) -> None:
            await until(lambda: followed.link.connected)
            for properties in (b"\x05\xff\xff\xff\xff\xff", b"\x02\x26\x00"):
                broker.publish("ishowtts/test/event", b"hostile", properties=properties)
            broker.publish("ishowtts/test/event", b"x" * 1_000_000)
            broker.publish("ishowtts/test/event", b"good")
            await until(lambda: followed.messages)
            assert [message.payload for message in followed.messages] == [b"good"]
            broker.peer("other").send(b"\xf0\x01\x00")  # AUTH, which nobody asked for
            broker.peer("other").send(b"\x30\x00")  # a PUBLISH without a topic
            await until(lambda: broker.connections() == 2 and followed.link.connected)

        follow(broker, scenario)
