"""The traps that brokers and paho are known to set, and the test that shows that we do not step into each.

| trap | shown by |
|---|---|
| paho's default clean start wipes the session when the process starts again | `test_link_lines`: `…comes_again_after_the_process`, `test_lines_wait_at_the_broker_while_the_appliance_is_off` |
| an exception in a callback ends paho's thread, and it still says that it is connected | `test_link_lines`: `test_a_handler_that_fails_…`, `test_a_network_thread_that_died_…` |
| so does a PUBACK whose code paho does not know (mosquitto's `message_size_limit`) | here: `test_a_publish_that_the_broker_finds_too_large_…` |
| a callback that blocks breaks the keepalive | here: `test_a_disk_that_stands_still_…` |
| a broker that is not there yet ends the start | `test_link_connection`: `test_a_link_that_starts_before_its_broker_…` |
| a line that was taken is delivered again, with DUP, after a kill of either side | `tests/inbox` and `tests/appliance`: the tests of redelivery |
| an acknowledgement of an old connection acknowledges another message | `test_link_lines`: `test_an_acknowledgement_for_an_older_connection_…` |
| 2.0.11 ignores the receive maximum | `tests/pipeline/test_intake`: its bound; here: `test_more_lines_than_the_receive_maximum_…` |
| a command waits behind lines, or is obeyed long after it was sent | `test_link_commands`: `test_a_command_overtakes_…`, `test_a_command_from_before_we_came_…` |
| what was retained is taken for new, or what is live for old | `test_link_lines`: `test_what_was_retained_…`, `test_a_live_line_with_the_retain_flag_…` |
| two clients of one id take each other over for ever, and paho says "Unspecified error" | `test_neighbours`, `tests/appliance/test_neighbours`; here: `test_a_takeover_…` |
| a huge payload costs its size several times; past Maximum Packet Size it is dropped in silence | `test_shipped_broker`: `test_a_payload_that_the_broker_takes_…`; here: `test_a_huge_payload_…` |
| a broker that is killed has lost sessions and queued lines | `test_shipped_broker`: `test_a_line_for_an_absent_appliance_…`; `test_link_out`: `test_a_broker_that_lost_everything_…` |
| a forbidden subscription is granted | `test_shipped_broker`: its tables of what arrives |
| 2.0.11 stalls on messages that expire in its queue | here: `test_lines_that_expired_at_the_broker_…` |
| shared subscriptions lose what a dead member held | none are used: here: `test_no_subscription_is_shared` |
| a template of Home Assistant breaks on quotes | `tests/docs/test_mqtt_page` |
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
def test_a_publish_that_the_broker_finds_too_large_costs_itself_alone(
    make_broker: Callable[..., Broker], make_link: Any, protocol: int
) -> None:
    broker = make_broker(extra=["message_size_limit 2000"])
    link = make_link(port=broker.port, protocol=protocol).start()
    large, small = (Event("t", name, "finished", {"error": "x" * size}) for name, size in (("a", 3000), ("b", 1)))
    link.link.publish_retained("info", {"voices": ["v" * 3000]})
    eventually(lambda: link.link.send_events([(1, large)], 5) == 1, "that the large event is done with", 60)
    with Client(broker.host, broker.port) as client:
        client.subscribe("ishowtts/unit/#")
        eventually(lambda: link.link.send_events([(2, small)], 5) == 1, "the small event", 60)
        client.wait_for("ishowtts/unit/event", lambda m: m.json["id"] == "b")
        client.publish(SAY, "still here")
        eventually(lambda: link.told.texts == ["still here"], "the line")
        time.sleep(2)
        assert link.link.connected
        assert link.link.reconnects == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_disk_that_stands_still_does_not_cost_the_connection(
    make_appliance: Callable[..., Appliance], broker: Broker, mqtt_client: Client
) -> None:
    mqtt = {"host": broker.host, "port": broker.port, "keepalive_s": 5}
    appliance = make_appliance(settings={"mqtt": mqtt})
    appliance.wait_ready(mqtt_client)
    database = sqlite3.connect(appliance.folder / "state/inbox.sqlite", isolation_level=None, timeout=30)
    try:
        database.execute("BEGIN EXCLUSIVE")
        line_id = appliance.say(mqtt_client, "one")
        time.sleep(12)  # the broker gives up after 7.5
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
    link.told.acknowledge = False
    link.start()
    texts = [f"line {i}" for i in range(60)]
    for text in texts:
        mqtt_client.publish(SAY, text)
    done = 0

    def all_taken() -> bool:
        nonlocal done
        while done < len(link.told.acks):
            link.told.acks[done]()
            done += 1
        return done == len(texts)

    eventually(all_taken, "all lines")
    assert link.told.texts == texts


def test_a_takeover_by_another_program_is_survived(make_link: Any, broker: Broker, options: Any) -> None:
    link = make_link().start()
    thief = paho.Client(CallbackAPIVersion.VERSION2, client_id=options.client_id("lines"), protocol=paho.MQTTv5)
    thief.connect(broker.host, broker.port)
    try:
        eventually(lambda: not link.told.connection[-1][0], "the loss")
        eventually(lambda: link.link.connected and link.told.connection[-1][0], "the connection, again")
    finally:
        if (sock := thief.socket()) is not None:
            sock.close()


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_huge_payload_costs_neither_the_connection_nor_the_next_line(
    make_link: Any, mqtt_client: Client, protocol: int
) -> None:
    link = make_link(protocol=protocol).start()
    mqtt_client.publish(SAY, b"x" * (20 << 20))
    mqtt_client.publish(SAY, "next")
    eventually(lambda: "next" in link.told.texts, "the next line")
    reasons = [each.reason for each in link.told.arrivals if isinstance(each, Rejection)]
    # MQTT 3.1.1 knows no Maximum Packet Size: there it arrives, and is not even parsed.
    assert reasons == ([] if protocol == 5 else [Reason.TOO_BIG])
    assert link.link.reconnects == 0


@pytest.mark.parametrize("protocol", [5, 4])
def test_lines_that_expired_at_the_broker_do_not_hold_up_those_behind(
    make_broker: Callable[..., Broker], make_link: Any, protocol: int
) -> None:
    as_shipped = [line for line in SHIPPED.read_text().splitlines() if line.startswith("max_inflight_messages ")]
    broker = make_broker(extra=as_shipped)
    link = {"port": broker.port, "protocol": protocol}
    make_link(**link).start().link.stop(10)
    with Client(broker.host, broker.port) as client:
        for number in range(400):
            client.publish(SAY, f"late {number}", MessageExpiryInterval=1)
        client.publish(SAY, "in time")
        time.sleep(3)
        again = make_link(**link).start()
        eventually(lambda: "in time" in again.told.texts, "the line that has not expired")


def test_no_subscription_is_shared() -> None:
    topics = Topics("ishowtts/unit")
    assert not [each for each in (*topics.lines, *topics.commands, *topics.watched) if each.startswith("$")]
