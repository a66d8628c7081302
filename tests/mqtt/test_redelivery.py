"""A redelivered message is accepted once. Another message that looks the same is accepted too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.appliance import Appliance
from support.broker import Broker
from support.hostile_broker import HostileBroker
from support.waiting import eventually

SAY, EVENT = f"{Appliance.root}/say", f"{Appliance.root}/event"


@pytest.fixture
def appliance(tmp_path: Path, hostile: HostileBroker) -> Iterator[Appliance]:
    """A daemon that is online and has acknowledged everything so far."""
    with Appliance(tmp_path, cast(Broker, hostile), quick_s=0.01) as appliance:
        hostile.wait_for(lambda p: p.topic.endswith("/availability") and p.payload == b"online", 60)
        all_acknowledged(hostile)
        yield appliance


def all_acknowledged(hostile: HostileBroker) -> None:
    eventually(lambda: not hostile.unacknowledged("lines"), "the acknowledgements", 20)


def remembered(appliance: Appliance) -> int:
    """How many deliveries the daemon would recognise."""
    with closing(sqlite3.connect(f"file:{appliance.folder}/state/inbox.sqlite?mode=ro", uri=True)) as inbox:
        [(count,)] = inbox.execute("SELECT count(*) FROM deliveries").fetchall()
    return int(count)


def outcomes(hostile: HostileBroker, name: str) -> set[str]:
    """The ids of the lines that have had this event."""
    events: list[dict[str, Any]] = [json.loads(p.payload) for p in hostile.received_of(mqtt.PUBLISH, EVENT)]
    return {event["id"] for event in events if event["event"] == name}


def test_the_same_text_with_a_reused_packet_id_is_another_line(hostile: HostileBroker, appliance: Appliance) -> None:
    """HiveMQ, for example, gives each message the lowest free packet id."""
    hostile.reuse_ids = True
    hostile.publish(SAY, "ding")
    eventually(lambda: len(outcomes(hostile, "finished")) == 1, "the first line")
    all_acknowledged(hostile)
    used = hostile.received_of(mqtt.PUBACK, role="lines")[-1].packet_id
    eventually(lambda: not remembered(appliance), "that a broker would have saved it", 30)
    connections = hostile.connections("lines")
    hostile.cut_after_bytes["lines"] = 25
    hostile.publish(SAY, "ding")
    eventually(lambda: len(outcomes(hostile, "finished")) == 2, "the second line")
    all_acknowledged(hostile)
    assert hostile.connections("lines") == connections + 1, "it came with DUP on the session that was resumed"
    ids = [p.packet_id for p in hostile.received_of(mqtt.PUBACK, role="lines") if p.connection > connections]
    assert used in ids
    assert len(outcomes(hostile, "accepted")) == 2


def test_a_line_whose_acknowledgement_was_lost_is_accepted_once(hostile: HostileBroker, appliance: Appliance) -> None:
    hostile.reuse_ids = True
    for number in range(2):
        hostile.on_puback = scripts.of_role("lines", scripts.times(1, scripts.then_close(scripts.silence)))
        connections = hostile.connections("lines")
        hostile.publish(SAY, f"line {number}")
        hostile.wait_for(lambda p: p.kind == mqtt.CONNECT and p.role == "lines", count=connections + 1)
        all_acknowledged(hostile)
    eventually(lambda: len(outcomes(hostile, "finished")) == 2, "both lines")

    packet_id = hostile.received_of(mqtt.PUBACK, role="lines")[-1].packet_id
    connections = hostile.connections("lines")
    hostile.forget_sessions()
    hostile.wait_for(lambda p: p.kind == mqtt.SUBSCRIBE and p.role == "lines", count=connections + 1)
    hostile.peer("lines").send(mqtt.publish(5, SAY, b"line 1", qos=1, packet_id=packet_id, dup=True))
    eventually(lambda: len(outcomes(hostile, "finished")) == 3, "the line of a new session, which is another one")
    assert len(outcomes(hostile, "accepted")) == 3
