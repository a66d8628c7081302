"""Every reason code of MQTT 5 and 3.1.1 in every packet of a broker that has one, and codes that are not allowed there.

One link per packet and protocol meets all codes, one after the other. For each code it says one sentence with the fix,
`why_not_connected` says the same, it tries again, and in the end no line is lost or doubled. The table is that of
section 2.4 of the standard, not that of the product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from ishowtts.errors import BrokerError
from ishowtts.model import Event
from ishowtts.mqtt.client import ShortLivedClient
from ishowtts.mqtt.mqtt_options import MqttOptions
from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.broker_scripts import end_with, refuse_connect
from support.hostile_broker import HostileBroker, Peer
from support.mqtt_packets import Packet
from support.reason_codes import (
    CONNACK_311,
    CONNACK_AND_OTHERS,
    DISCONNECT_AND_OTHERS,
    PUBACK,
    SUBACK,
    Table,
)
from support.waiting import eventually

SAY, EVENT = "ishowtts/unit/say", "ishowtts/unit/event"
OF_EACH_PROTOCOL = pytest.mark.parametrize("protocol", [5, 4])
QUICK = {"retry_min_s": 0.002, "retry_max_s": 0.004}


@pytest.fixture
def options(hostile_options: MqttOptions) -> MqttOptions:
    return hostile_options


def meet_all(
    hostile: HostileBroker,
    link: Any,
    table: Table,
    meet: Callable[[int], None],
) -> None:
    """Meet each code on the connection of lines, publish a line meanwhile, and check the sentences and the lines."""
    for code, (name, fix) in table.items():
        meet(code)
        before = hostile.connections("lines")
        if (session := link.link._lines.session) is not None:
            hostile.peer("lines").close()
            eventually(lambda session=session: link.link._lines.session is not session, "the loss")

        def told(name: str = name, fix: str = fix) -> bool:
            why = link.link.why_not_connected or ""
            return name in why and fix in why and str(hostile.port) in why

        # The second attempt says that the first was dealt with: the code before it may have had the same sentence.
        eventually(lambda before=before: hostile.connections("lines") >= before + 2, f"attempts after {code:#x}", 10)
        eventually(told, f"the sentence for {code:#x}, with {name!r} and {fix!r}", 10)
        assert not link.link.connected
        hostile.publish(SAY, f"line {code}")
    hostile.on_connect = hostile.on_subscribe = None
    eventually(lambda: link.link.connected, "the connection, again", 10)
    eventually(lambda: len(link.recorder.texts) >= len(table), "the lines that came meanwhile", 10)
    eventually(lambda: not hostile.unacknowledged("lines"), "their acknowledgements", 10)
    assert sorted(set(link.recorder.texts)) == sorted(f"line {code}" for code in table)
    assert link.link.alive()


@pytest.mark.parametrize(("protocol", "table"), [(5, CONNACK_AND_OTHERS), (4, CONNACK_311)])
def test_each_code_of_a_connack(hostile: HostileBroker, make_link: Any, protocol: int, table: Any) -> None:
    link = make_link(protocol=protocol, **QUICK).start()

    def meet(code: int) -> None:
        hostile.on_connect = scripts.of_role("lines", refuse_connect(code))

    meet_all(hostile, link, table, meet)
    assert len(link.recorder.texts) == len(table)


def test_each_code_of_a_disconnect(hostile: HostileBroker, make_link: Any) -> None:
    link = make_link(**QUICK).start()

    def meet(code: int) -> None:
        hostile.on_connect = scripts.of_role("lines", end_with(code))

    meet_all(hostile, link, DISCONNECT_AND_OTHERS, meet)


@pytest.mark.parametrize("code", [0x00, 0x18, 0x19, 0x80])
def test_an_auth_that_nobody_asked_for(hostile: HostileBroker, make_link: Any, code: int) -> None:
    link = make_link(**QUICK).start()
    hostile.on_connect = scripts.of_role("lines", scripts.send_after(mqtt.frame(0xF0, bytes([code, 0]))))
    hostile.peer("lines").close()
    eventually(lambda: "packet type 15" in (link.link.why_not_connected or ""), "the sentence", 10)
    hostile.on_connect = None
    eventually(lambda: link.link.connected, "the connection, again", 10)


@OF_EACH_PROTOCOL
def test_each_code_of_a_suback(hostile: HostileBroker, make_link: Any, protocol: int) -> None:
    link = make_link(protocol=protocol, probe_interval_s=0.05, probe_timeout_s=5.0, **QUICK).start()
    table = SUBACK if protocol == 5 else {0x80: ("", "ACL")}
    for code, (name, fix) in table.items():
        hostile.on_subscribe = scripts.of_role("lines", scripts.refuse(code))
        hostile.peer("lines").close()

        def told(name: str = name, fix: str = fix) -> bool:
            why = link.link.deaf or ""
            return name in why and fix in why

        eventually(told, f"the sentence for {code:#x}", 10)
        hostile.on_subscribe = None
        eventually(lambda: link.link.deaf is None and link.link.connected, "the proof, with all granted", 10)


@pytest.mark.parametrize("codes", [[0xFF], [0x03], [], [1], [0x87] * 9])
def test_a_suback_with_other_codes_or_another_number_of_them(
    hostile: HostileBroker, make_link: Any, codes: list[int]
) -> None:
    def answer(peer: Peer, packet: Packet) -> None:
        peer.send(mqtt.suback(5, packet.packet_id, codes))

    hostile.on_subscribe = answer
    link = make_link(**QUICK)
    link.link.start()
    eventually(lambda: link.link.deaf or link.recorder.connection, "a sentence", 10)
    assert not [p for p in hostile.received_of(mqtt.PUBLISH, "ishowtts/unit/availability") if p.payload == b"online"]
    hostile.on_subscribe = None
    hostile.forget_sessions()
    eventually(lambda: link.link.connected and link.link.deaf is None, "the connection", 10)


def test_a_suback_that_nobody_asked_for_proves_nothing(hostile: HostileBroker, make_link: Any) -> None:
    """It came before our SUBSCRIBE, which waits for the disk."""
    hostile.on_connect = scripts.send_after(mqtt.suback(5, 999, [0]))
    link = make_link()
    link.recorder.hold_sessions = True
    link.link.start()
    eventually(lambda: link.recorder.sessions, "the session", 5)
    eventually(lambda: link.link._commands.session is not None, "the other connection", 5)
    assert link.link._lines.session is None
    link.recorder.sessions[0][2]()
    eventually(lambda: link.link.connected, "the connection", 5)


def test_each_code_of_an_unsuback_and_a_puback_of_nothing(hostile: HostileBroker, make_link: Any) -> None:
    link = make_link().start()
    lines = hostile.peer("lines")
    for code in (0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x55, 0xFF):  # the last two are not allowed
        lines.send(mqtt.suback(5, 700, [code], mqtt.UNSUBACK))
    for code in (0x00, 0x10, *PUBACK, 0x55):
        lines.send(mqtt.puback(5, 40_000, code))
        lines.send(mqtt.frame(mqtt.PUBREC << 4, (40_000).to_bytes(2, "big")))
    hostile.publish(SAY, "next")
    eventually(lambda: link.recorder.texts == ["next"], "the line", 10)
    assert link.link.reconnects == 0


@pytest.mark.parametrize("code", sorted({0x00, 0x10, 0x55, 0x95, 0xFF} | PUBACK))
def test_each_code_of_a_puback(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """Those that may pass (0x80, 0x83, 0x97) are published again. Others are final: the events after it must go out."""
    link = make_link(probe_timeout_s=60.0).start()
    passing = code in (0x80, 0x83, 0x97)
    hostile.on_publish = scripts.on_topic(EVENT, scripts.times(2, scripts.confirm_with(code)))
    sent = [(1, Event("2026-12-01T00:00:00.000Z", "a", "finished", {}))]
    if passing:
        assert link.link.send_events(sent, 0.3) == 0
    eventually(lambda: link.link.send_events(sent, 1.0) == 1, "the end of the event", 10)

    def warned() -> int:
        return sum("does not take what we publish" in record.getMessage() for record in caplog.records)

    eventually(lambda: warned() == (code > 0x10), "the warning", 10)
    assert link.link.reconnects == 0


@pytest.mark.parametrize("script", [refuse_connect, end_with])
def test_the_other_server_is_named(hostile: HostileBroker, make_link: Any, script: Any) -> None:
    reference = mqtt.properties(mqtt.text_property(0x1C, "mqtt2.example.org:1884"))
    hostile.on_connect = script(0x9D, reference)
    link = make_link(**QUICK)
    link.link.start()
    eventually(lambda: "other server, mqtt2.example.org:1884" in (link.link.why_not_connected or ""), "the name", 10)


@pytest.mark.parametrize(
    ("identifier", "sentence"),
    [
        (0x24, "takes no messages at QoS 1; let it allow QoS 1"),
        (0x25, "keeps no retained messages; let it keep retained messages"),
        (0x28, "has no subscriptions with wildcards"),
    ],
)
def test_a_broker_that_cannot_do_what_we_need(
    hostile: HostileBroker, make_link: Any, identifier: int, sentence: str
) -> None:
    hostile.connack_properties = mqtt.properties(mqtt.number_property(identifier, 0, 1))
    link = make_link(**QUICK)
    link.link.start()
    eventually(lambda: sentence in (link.link.why_not_connected or ""), "the sentence", 10)
    hostile.connack_properties = b"\0"
    eventually(lambda: link.link.connected, "the connection, after its limits are right", 10)


# The client of `ishowtts say` and of other commands


@pytest.mark.parametrize(("protocol", "table"), [(5, CONNACK_AND_OTHERS), (4, CONNACK_311)])
def test_each_code_of_a_connack_for_a_command(
    hostile: HostileBroker, options: MqttOptions, protocol: int, table: Any
) -> None:
    options = dataclasses.replace(options, protocol=protocol)
    for code, (name, fix) in table.items():
        hostile.on_connect = refuse_connect(code)
        with pytest.raises(BrokerError, match=str(hostile.port)) as error, ShortLivedClient(options):
            pass
        assert name in str(error.value), hex(code)
        assert fix.partition(" and ")[0] in str(error.value), hex(code)
    ids = {packet.client_id for packet in hostile.received_of(mqtt.CONNECT)}
    assert len(ids) == len(table), "a guess at a client id would end a connection"
    assert all(one.startswith("ishowtts-cli-") for one in ids), "the fix of 0x85 says how client ids begin"


def test_a_command_that_the_broker_does_not_serve(hostile: HostileBroker, options: MqttOptions) -> None:
    for code, (name, fix) in SUBACK.items():
        hostile.on_subscribe = scripts.refuse(code)
        with ShortLivedClient(options) as client, pytest.raises(BrokerError) as error:
            client.subscribe(EVENT)
        assert EVENT in str(error.value)
        assert name in str(error.value)
        assert fix in str(error.value)
    hostile.on_subscribe = None
    for code in PUBACK:
        hostile.on_publish = scripts.confirm_with(code)
        with ShortLivedClient(options) as client, pytest.raises(BrokerError, match=SAY):
            client.publish(SAY, "x")
    hostile.on_publish = scripts.then_close(scripts.silence)
    with (
        ShortLivedClient(options) as client,
        pytest.raises(BrokerError, match=rf"not known .* {SAY}: .*closed the conn"),
    ):
        client.publish(SAY, "x")
    with ShortLivedClient(options) as client:
        hostile.forget_sessions()
        with pytest.raises(BrokerError, match="closed the connection"):
            list(client.messages(60))
        with pytest.raises(BrokerError, match=r"closed the connection.*try again"):
            client.publish(SAY, "x")
    hostile.on_publish = None
    hostile.connack_properties = mqtt.properties(mqtt.number_property(mqtt.MAXIMUM_PACKET_SIZE, 100, 4))
    with ShortLivedClient(options) as client:
        with pytest.raises(BrokerError, match="takes at most 100 bytes"):
            client.publish(SAY, "x" * 200)
        client.publish(SAY, "short")
