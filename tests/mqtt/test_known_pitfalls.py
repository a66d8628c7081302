"""Known pitfalls of brokers and of paho, and the tests that show that we avoid each of them.

| pitfall | tests |
|---|---|
| paho's default clean start discards the session when the process starts again | `test_link_lines`: `test_an_unacknowledged_line_comes_again_after_a_restart`, `test_lines_wait_at_the_broker_while_the_appliance_is_off` |
| an exception in a callback ends paho's thread, and paho still reports that it is connected | `test_link_lines`: `test_a_failing_handler_…`, `test_a_dead_network_thread_…` |
| a PUBACK with a code that paho does not know does the same (mosquitto's `message_size_limit`) | here: `test_a_publish_that_is_too_large_for_the_broker_…` |
| a callback that blocks breaks the keepalive | here: `test_a_blocked_disk_…` |
| the start fails if the broker is not there yet | `test_link_connection`: `test_a_link_that_starts_before_its_broker_…` |
| an accepted line is delivered again, with DUP, after either side was killed | `tests/inbox` and `tests/appliance`: the tests of redelivery |
| an acknowledgement of an old connection acknowledges another message | `test_link_lines`: `test_an_acknowledgement_for_an_older_connection_…` |
| mosquitto 2.0.11 ignores the receive maximum | `tests/speech/test_intake`: its limit; here: `test_more_lines_than_the_receive_maximum_…` |
| a command waits behind lines, or is executed long after it was sent | `test_link_commands`: `test_a_command_overtakes_…`, `test_a_command_from_before_the_connection_…` |
| a retained message is taken for a new one, or a live one for an old one | `test_link_lines`: `test_a_retained_line_…`, `test_a_live_line_with_the_retain_flag_…` |
| two clients of one id disconnect each other forever, and paho says "Unspecified error" | `test_duplicate_guard`, `tests/appliance/test_duplicate_instances`; here: `test_a_takeover_…` |
| a huge payload uses several times its size of memory; above Maximum Packet Size it is silently dropped | `test_shipped_broker`: `test_a_payload_that_the_broker_accepts_…`; here: `test_the_next_line_arrives_after_a_huge_payload` |
| a broker that is killed loses sessions and queued lines | `test_shipped_broker`: `test_a_line_for_an_absent_appliance_…`; `test_link_out`: `test_a_broker_that_lost_everything_…` |
| a forbidden subscription is granted | `test_shipped_broker`: its tables of what arrives |
| mosquitto 2.0.11 hangs on messages that expire in its queue | here: `test_lines_that_expired_at_the_broker_…` |
| shared subscriptions lose the messages of a dead member | we use none; here: `test_no_subscription_is_shared` |
| a template of Home Assistant fails on quotes | `tests/docs/test_mqtt_page` |
"""  # noqa: E501  a table

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ishowtts.model import Event, Reason, Rejection
from ishowtts.mqtt.topics import Topics
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

SAY = "ishowtts/unit/say"
SHIPPED = Path(__file__).resolve().parents[2] / "config/mosquitto/ishowtts.conf"


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_publish_that_is_too_large_for_the_broker_is_dropped_alone(
    make_broker: Callable[..., Broker], make_link: Any, protocol: int
) -> None:
    broker = make_broker(extra=["message_size_limit 2000"])
    link = make_link(port=broker.port, protocol=protocol).start()
    large, small = (Event("t", name, "finished", {"error": "x" * size}) for name, size in (("a", 3000), ("b", 1)))
    link.link.publish_retained("info", {"voices": ["v" * 3000]})
    eventually(lambda: link.link.send_events([(1, large)], 5) == 1, "the end of the large event", 60)
    with Client(broker.host, broker.port) as client:
        client.subscribe("ishowtts/unit/#")
        eventually(lambda: link.link.send_events([(2, small)], 5) == 1, "the small event", 60)
        client.wait_for("ishowtts/unit/event", lambda m: m.json["id"] == "b")
        client.publish(SAY, "still here")
        eventually(lambda: link.recorder.texts == ["still here"], "the line")
        time.sleep(1)
        assert link.link.connected
        assert link.link.reconnects == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_blocked_disk_does_not_end_the_connection(
    make_appliance: Callable[..., Appliance], broker: Broker, mqtt_client: Client
) -> None:
    mqtt = {"host": broker.host, "port": broker.port, "keepalive_s": 5}
    appliance = make_appliance(settings={"mqtt": mqtt})
    appliance.wait_ready(mqtt_client)
    database = sqlite3.connect(appliance.folder / "state/inbox.sqlite", isolation_level=None, timeout=30)
    try:
        database.execute("BEGIN EXCLUSIVE")
        line_id = appliance.say(mqtt_client, "one")
        time.sleep(9)  # the broker ends a silent connection after 7.5 s
        database.execute("ROLLBACK")
    finally:
        database.close()
    assert appliance.final(mqtt_client, line_id, 90)["event"] == "finished"
    assert "exceeded timeout" not in broker.log
    assert broker.connections("-lines") == 1


@pytest.mark.parametrize("protocol", [5, 4])
def test_more_lines_than_the_receive_maximum_all_arrive_in_order(
    make_link: Any, mqtt_client: Client, protocol: int
) -> None:
    link = make_link(protocol=protocol, receive_maximum=5)
    link.recorder.acknowledge = False
    link.start()
    texts = [f"line {i}" for i in range(60)]
    for text in texts:
        mqtt_client.publish(SAY, text)
    done = 0

    def all_taken() -> bool:
        nonlocal done
        while done < len(link.recorder.acks):
            link.recorder.acks[done]()
            done += 1
        return done == len(texts)

    eventually(all_taken, "all lines")
    assert link.recorder.texts == texts


def test_a_takeover_by_another_program_is_survived(make_link: Any, broker: Broker, options: Any) -> None:
    link = make_link().start()
    thief = paho.Client(CallbackAPIVersion.VERSION2, client_id=options.client_id("lines"), protocol=paho.MQTTv5)
    thief.connect(broker.host, broker.port)
    try:
        eventually(lambda: not link.recorder.connection[-1][0], "the loss")
        eventually(lambda: link.link.connected and link.recorder.connection[-1][0], "the connection, again")
    finally:
        if (sock := thief.socket()) is not None:
            sock.close()


@pytest.mark.parametrize("protocol", [5, 4])
def test_the_next_line_arrives_after_a_huge_payload(make_link: Any, mqtt_client: Client, protocol: int) -> None:
    link = make_link(protocol=protocol).start()
    mqtt_client.publish(SAY, b"x" * (20 << 20))
    mqtt_client.publish(SAY, "next")
    eventually(lambda: "next" in link.recorder.texts, "the next line")
    reasons = [each.reason for each in link.recorder.arrivals if isinstance(each, Rejection)]
    # MQTT 3.1.1 has no Maximum Packet Size: there it arrives, and is not even parsed.
    assert reasons == ([] if protocol == 5 else [Reason.TOO_BIG])
    assert link.link.reconnects == 0


@pytest.mark.parametrize("protocol", [5, 4])
def test_lines_that_expired_at_the_broker_do_not_block_later_lines(
    make_broker: Callable[..., Broker], make_link: Any, protocol: int
) -> None:
    as_shipped = [line for line in SHIPPED.read_text().splitlines() if line.startswith("max_inflight_messages ")]
    broker = make_broker(extra=as_shipped)
    link = {"port": broker.port, "protocol": protocol}
    make_link(**link).start().link.stop(10)
    with Client(broker.host, broker.port) as client:
        for number in range(100):  # more than mosquitto's default of 20 in flight
            client.publish(SAY, f"late {number}", MessageExpiryInterval=1)
        client.publish(SAY, "in time")
        time.sleep(2.2)  # mosquitto counts whole seconds
        again = make_link(**link).start()
        eventually(lambda: "in time" in again.recorder.texts, "the line that has not expired")


def test_no_subscription_is_shared() -> None:
    topics = Topics("ishowtts/unit")
    assert not [each for each in (*topics.lines, *topics.commands, *topics.watched) if each.startswith("$")]
