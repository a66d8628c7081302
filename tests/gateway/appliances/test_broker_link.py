"""The connection to the broker: with a real one that comes and goes, and with one that refuses what we ask for."""

from __future__ import annotations

import asyncio
import threading

import pytest
from pydantic import SecretStr

from ishowtts_gateway.appliances.message_backlog import LinkMessage, MessageBacklog
from ishowtts_gateway.gateway_error import GatewayError, PublishRefused
from support import mqtt_packets as mqtt
from support.broker import Broker
from support.broker_scripts import (
    confirm_with,
    end_with,
    refuse,
    refuse_connect,
    silence,
    then_close,
)
from support.client import Client
from support.followed_link import TOPICS, Followed, follow
from support.gateway_waiting import until
from support.hostile_broker import HostileBroker, Peer, Script
from support.mqtt_packets import Packet
from support.reason_codes import (
    CONNACK_311,
    CONNACK_AND_OTHERS,
    DISCONNECT_AND_OTHERS,
    LOG,
    PUBACK,
    SUBACK,
)
from support.waiting import eventually


def test_a_broker_that_comes_and_goes(broker: Broker, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/test/state", "{}", retain=True)
    other = Client(broker.host, broker.port)

    async def scenario(followed: Followed) -> None:
        link = followed.link
        await until(lambda: followed.messages)
        assert followed.messages[0] == LinkMessage("ishowtts/test/state", b"{}", True, None)
        await asyncio.to_thread(broker.stop)
        await until(lambda: not link.connected)
        with pytest.raises(GatewayError, match=r"the broker at 127\.0\.0\.1:\d+ ") as error:
            await link.publish("ishowtts/test/say", b"x")
        assert error.value.status == 503
        await asyncio.to_thread(broker.start)
        await until(lambda: link.connected)
        await until(lambda: len(followed.messages) == 2)
        with other:
            await asyncio.to_thread(other.subscribe, "ishowtts/test/command")
            assert await link.publish(
                "ishowtts/test/command", b"?", response_topic="ishowtts/reply/me/1", correlation=b"\x01\xff", expiry_s=9
            )
            asked = await asyncio.to_thread(other.wait_for, "ishowtts/test/command")
            assert asked.payload == b"?"
        assert not await link.publish("ishowtts/nobody/say", b"x")

    followed = follow(broker, scenario)
    details = [detail for _, detail in followed.told]
    assert [connected for connected, _ in followed.told][:2] == [True, False]
    assert details[0] is None
    assert details[1] is not None
    assert "is lost" in details[1] or "ended the connection" in details[1]


def test_each_connection_has_another_client_id() -> None:
    with HostileBroker() as broker:

        async def scenario(followed: Followed) -> None:
            await until(lambda: followed.link.connected)
            broker.forget_sessions()
            await until(lambda: broker.connections() == 2 and followed.link.connected)

        follow(broker, scenario, username="me", password=SecretStr("secret"))
        ids = [packet.client_id for packet in broker.received_of(mqtt.CONNECT)]
        assert all(name.startswith("ishowtts-gateway-") and len(name) > 40 for name in ids)
        assert len(set(ids)) == 2


def test_refused_subscriptions_are_told() -> None:
    with HostileBroker(on_subscribe=refuse(0x87, *TOPICS[:2])) as broker:

        async def some(followed: Followed) -> None:
            await until(lambda: followed.told)
            assert followed.told == [
                (
                    True,
                    f"the broker at {broker.host}:{broker.port} does not let the user me subscribe to "
                    "ishowtts/test/state and 1 more topics; allow it in its ACL",
                )
            ]

        async def all_of_them(followed: Followed) -> None:
            await until(lambda: followed.told)
            assert followed.told[0][0] is False

        follow(broker, some, username="me")
        broker.on_subscribe = refuse(0x87)
        follow(broker, all_of_them)


def test_a_broker_that_refuses_us_and_one_that_is_silent() -> None:
    def not_authorized(peer: Peer, _packet: Packet) -> None:
        peer.send(mqtt.frame(mqtt.CONNACK << 4, b"\0\x87\0"))
        peer.close()

    async def told(followed: Followed) -> None:
        await until(lambda: followed.told)

    with HostileBroker(on_connect=not_authorized) as broker:
        followed = follow(broker, told, username="me")
        assert "refuses the user me (Not authorized); check gateway.mqtt.username" in (followed.told[0][1] or "")
        broker.on_connect = silence
        followed = follow(broker, told, connect_timeout_s=0.1)
        assert (followed.told[0][1] or "").endswith("has not answered our CONNECT for 0.1 s")
        broker.on_connect, broker.on_subscribe = None, silence
        followed = follow(broker, told, connect_timeout_s=0.1)
        assert (followed.told[0][1] or "").endswith("has not answered our subscriptions for 0.1 s")


@pytest.mark.parametrize("protocol", [5, 4])
def test_each_code_by_which_a_broker_refuses_or_ends_the_connection(protocol: int) -> None:
    """The tables are those of the daemon's connections: the sentences are the same but for the keys of a password."""
    refusals = CONNACK_AND_OTHERS if protocol == 5 else CONNACK_311
    cases = [(refuse_connect, code, *row) for code, row in refusals.items()]
    if protocol == 5:
        cases += [(end_with, code, *row) for code, row in DISCONNECT_AND_OTHERS.items()]

    with HostileBroker() as broker:

        async def scenario(followed: Followed) -> None:
            await until(lambda: followed.link.connected)
            for script, code, name, fix in cases:
                what = "check gateway.mqtt.username" if "mqtt.username" in fix else fix
                broker.on_connect = script(code)
                followed.told.clear()
                broker.forget_sessions()
                await until(
                    lambda name=name, what=what: any(
                        not up and name in (why or "") and what in (why or "") for up, why in followed.told
                    )
                )
                broker.on_connect = None
                await until(lambda: followed.link.connected)
            assert await followed.link.publish("ishowtts/test/say", b"x")

        follow(broker, scenario, protocol=protocol, retry_min_s=0.002, retry_max_s=0.004)


def test_each_code_of_a_suback_of_a_puback_and_an_auth() -> None:
    with HostileBroker() as broker:

        async def scenario(followed: Followed) -> None:
            link = followed.link

            async def meet(script: Script, sentence: str) -> None:
                broker.on_subscribe = None
                broker.forget_sessions()
                await until(lambda: link.connected)  # nothing is told of the script before this one any more
                broker.on_subscribe = script
                followed.told.clear()
                broker.forget_sessions()
                await until(lambda: any(sentence in (why or "") for _, why in followed.told))

            for code, (_, fix) in SUBACK.items():
                await meet(refuse(code), fix)
                assert not link.connected
            for codes, some in (([0xFF], False), ([1], True), ([], False)):
                await meet(lambda peer, packet, codes=codes: peer.send(mqtt.suback(5, packet.packet_id, codes)), LOG)
                assert link.connected is some
            broker.on_subscribe = None
            broker.forget_sessions()
            await until(lambda: link.connected)
            for code in PUBACK:
                broker.on_publish = confirm_with(code)
                with pytest.raises(PublishRefused):
                    await link.publish("ishowtts/test/say", b"x")
            assert link.connected
            broker.on_publish = None
            broker.peer("other").send(mqtt.frame(0xF0, b"\x18\0"))
            await until(lambda: any("packet type 15" in (why or "") for _, why in followed.told))
            await until(lambda: link.connected)
            broker.connack_properties = mqtt.properties(mqtt.number_property(0x24, 0, 1))
            broker.forget_sessions()
            await until(lambda: any("takes no messages at QoS 1" in (why or "") for _, why in followed.told))

        follow(broker, scenario, retry_min_s=0.002, retry_max_s=0.004)


def test_what_the_broker_answers_to_a_publish() -> None:
    with HostileBroker(on_publish=confirm_with(0x87, "ishowtts/test/say")) as broker:

        async def scenario(followed: Followed) -> None:
            link = followed.link
            await until(lambda: link.connected)
            with pytest.raises(
                PublishRefused, match="does not let anonymous users publish to ishowtts/test/say"
            ) as refused:
                await link.publish("ishowtts/test/say", b"x")
            assert (refused.value.status, refused.value.forbidden) == (502, True)
            broker.on_publish = confirm_with(0x97)
            with pytest.raises(PublishRefused, match="Quota exceeded") as refused:
                await link.publish("ishowtts/test/say", b"x")
            assert not refused.value.forbidden
            broker.on_publish = then_close(silence)
            with pytest.raises(GatewayError, match="is lost") as lost:
                await link.publish("ishowtts/test/say", b"x")
            assert lost.value.status == 503
            broker.on_publish = None
            await until(lambda: link.connected)
            answers = await asyncio.gather(*(link.publish("ishowtts/test/say", b"x") for _ in range(50)))
            assert answers == [True] * 50

        follow(broker, scenario)


def test_no_more_than_the_broker_takes_is_sent() -> None:
    limit = mqtt.properties(mqtt.number_property(mqtt.MAXIMUM_PACKET_SIZE, 3000, 4))
    with HostileBroker(connack_properties=limit) as broker:

        async def scenario(followed: Followed) -> None:
            await until(lambda: followed.link.connected)
            with pytest.raises(GatewayError, match="takes at most 3000 bytes") as error:
                await followed.link.publish("ishowtts/test/say", b"x" * 3000)
            assert error.value.status == 413
            assert await followed.link.publish("ishowtts/test/say", b"x" * 2900)
            sent = broker.received_of(mqtt.PUBLISH)
            assert len(sent) == 1

        follow(broker, scenario)


def test_publishes_that_nobody_confirms_are_bounded() -> None:
    with HostileBroker(on_publish=silence) as broker:

        async def scenario(followed: Followed) -> None:
            link = followed.link
            await until(lambda: link.connected)
            waiting = [asyncio.ensure_future(link.publish("ishowtts/test/say", b"x")) for _ in range(300)]
            await asyncio.sleep(0)
            with pytest.raises(GatewayError, match="has not confirmed 300 messages"):
                await link.publish("ishowtts/test/say", b"x")
            await link.stop(5)
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert {getattr(outcome, "status", None) for outcome in outcomes} == {503}

        follow(broker, scenario)


def test_messages_that_came_while_the_loop_was_busy_all_arrive() -> None:
    with HostileBroker() as broker:

        async def scenario(followed: Followed) -> None:
            await until(lambda: followed.link.connected)
            for number in range(350):
                broker.publish("ishowtts/test/event", str(number))
            backlog = followed.link._backlog
            eventually(lambda: len(backlog._messages) == 350)  # it blocks the loop
            await until(lambda: len(followed.messages) == 350)
            assert [int(message.payload) for message in followed.messages] == list(range(350))

        follow(broker, scenario)


def test_a_full_backlog_holds_the_thread_back() -> None:
    backlog, message = MessageBacklog(), LinkMessage("ishowtts/test/event", b"x" * 100_000, False, None)
    count = 0

    def put() -> None:
        nonlocal count
        while count < 300:
            backlog.put(message)
            count += 1

    thread = threading.Thread(target=put, name="puts")
    thread.start()
    eventually(lambda: count >= 84)  # 8 MB
    assert [len(backlog.take()[0]), thread.is_alive()] == [84, True]
    eventually(lambda: count >= 168)
    backlog.close()
    thread.join(20)
    assert count == 300
