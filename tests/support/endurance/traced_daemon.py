"""Runs a daemon under strace, and reads from its system calls what others knew of it at any moment."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ishowtts.inbox import migrations
from ishowtts.model import Arrival, Line
from ishowtts.mqtt.publish_packet import read_publish
from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.cut_disk import TRACED
from support.endurance.queue_file import open_texts, rows_of
from support.mqtt_packets import PUBACK, PUBLISH
from support.publisher import Publisher
from support.syscalls import Call, calls, packets, strace, wait_for_end
from support.waiting import eventually

HISTORY_LINES = 40
GROUP = 10
"""So many lines have all ended before the next ones are published."""
VOLUME = re.compile(rb"the volume is (\d+)")
OLD_LINES, OLD_NUMBER = 20, 100_000
"""How many lines a file of the oldest version has, and the first number of these."""
SETTINGS: dict[str, Any] = {
    "queue": {"history_lines": HISTORY_LINES, "dedup_s": 0, "max_lines": 10_000},
    "text": {"normalise": False},
}
_DUP = 0x08
_TEXT = re.compile(r"number (\d+) is kept")
# The log comes into the database after so many pages, and not after 1000: a short run has many checkpoints.
_CHECKPOINTS = """
import sqlite3
connect = sqlite3.connect
def connect_small(*values, **named):
    connection = connect(*values, **named)
    connection.execute("PRAGMA wal_autocheckpoint = 40")
    return connection
sqlite3.connect = connect_small
"""


@dataclass(frozen=True)
class TracedRun:
    """A daemon that ran under strace.

    Attributes:
        state: its folder.
        content: what was in it before.
        old: lines that were there before: their outcome, or `None`.
        calls: all that it did, in the order in which calls returned.
        broker: how a connection to its broker is shown.
        root: its topics.
    """

    state: Path
    content: Mapping[str, bytes]
    old: Mapping[int, str | None]
    calls: Sequence[Call]
    broker: str
    root: str


@dataclass(frozen=True)
class Known:
    """What others knew of a daemon at one moment.

    Attributes:
        acknowledged: lines for which it had sent the acknowledgement.
        told: outcome by id, of which it had sent the event.
        again: messages that the broker delivers again.
        volume: the last one that it had confirmed.
    """

    acknowledged: frozenset[int]
    told: Mapping[str, str]
    again: Sequence[Arrival]
    volume: int


def record(folder: Path, lines: int, *, old: bool) -> TracedRun:
    """Run a daemon under strace, with lines, commands and removals of ended lines.

    Args:
        old: Whether it finds a file of the oldest version.
    """
    state, trace = folder / "state", folder / "trace"
    state.mkdir(mode=0o700)
    known = _write_old_file(state / "inbox.sqlite") if old else {}
    content = {path.name: path.read_bytes() for path in state.iterdir()}
    wrap = strace(f"{TRACED},recvfrom,sendto,sendmsg", trace)
    with (
        broker_in(folder) as broker,
        Appliance(folder, broker, SETTINGS, quick_s=0.01, wrap=wrap, site=_CHECKPOINTS) as appliance,
        Client(broker.host, broker.port) as client,
        closing(Publisher(broker.host, broker.port, f"{appliance.root}/say")) as publisher,
    ):
        appliance.wait_ready(client)
        for number in range(lines):
            publisher.publish(number, _payload(number))
            publisher.step(0.02 if number % GROUP < 6 else 0.0)
            if number % GROUP == 6:
                client.publish(f"{appliance.root}/command", {"command": "pause"})
            if number % GROUP == GROUP - 1:
                publisher.finish(60)
                eventually(lambda: _has_come(appliance, number), "the line that was published last", 60)  # noqa: B023
                _cancel_and_rest(appliance, client, volume=1 + number // GROUP)
        publisher.finish(60)
        eventually(lambda: not open_texts(rows_of(folder)), "the outcomes of all lines", 60)
        appliance.stop()
    wait_for_end(trace)
    found = [call for call in calls(trace) if call.result >= 0]
    trace.unlink()
    return TracedRun(state, content, known, found, f":{broker.port}]", appliance.root)


def _cancel_and_rest(appliance: Appliance, client: Client, volume: int) -> None:
    """Cancel what waits, and change the volume while nothing else writes: no later commit syncs these two."""
    event = f"{appliance.root}/event"
    client.publish(f"{appliance.root}/command", {"command": "stop"})
    eventually(lambda: not open_texts(rows_of(appliance.folder)), "the outcomes", 60)
    client.publish(f"{appliance.root}/volume/set", volume)
    client.wait_for(event, lambda message: f"the volume is {volume}" in message.text, timeout_s=60)
    client.publish(f"{appliance.root}/command", {"command": "resume"})


def _has_come(appliance: Appliance, number: int) -> bool:
    return any(number_of(row["text"]) == number for row in rows_of(appliance.folder))


def broker_in(folder: Path) -> Broker:
    """A broker for a daemon in this folder."""
    (folder / "broker").mkdir()
    return Broker(folder / "broker")


def _payload(number: int) -> bytes:
    text = f"number {number} is kept" + " and so on" * (80 if number % 5 == 0 else 0)
    return json.dumps({"text": text, "ttl_s": 0.01}).encode() if number % 7 == 3 else text.encode()


def _write_old_file(path: Path) -> dict[int, str | None]:
    """Lines of the oldest version; each third has ended."""
    known: dict[int, str | None] = {}
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"PRAGMA journal_mode = WAL; {migrations.STEPS[migrations.OLDEST]}")
        for number in range(OLD_NUMBER, OLD_NUMBER + OLD_LINES):
            ended = number % 3 == 0
            known[number] = "finished" if ended else None
            values = (str(number), f"number {number} is kept", 1, "{}", "", 0.0, 1e9, known[number] or "waiting")
            file.execute(
                "INSERT INTO lines (id, text, priority, details, ts, born_s, deadline_s, state, ended_n, ended_wall_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, *((number // 3, time.time()) if ended else (None, None))),  # ended_n has no gaps
            )
        file.execute(f"PRAGMA user_version = {migrations.OLDEST}")
        file.commit()
    return known


def known_at(run: TracedRun, moment: int) -> Known:
    """What the broker and the subscribers knew at a moment."""
    acknowledged, told = set(run.old), dict[str, str]()
    told |= {str(number): outcome for number, outcome in run.old.items() if outcome}
    messages: dict[tuple[str, int], Arrival] = {}
    answered: dict[str, list[Arrival]] = {}  # by connection: those whose acknowledgement the broker may have missed
    before: dict[tuple[str, int], list[Arrival]] = {}  # by packet of ours: those acknowledged before it
    volume = 0
    for packet in packets((call for call in run.calls if call.began <= moment), run.broker):
        if packet.at > moment:
            continue
        kind, body = packet.first >> 4, packet.body
        if kind == PUBLISH and packet.received:
            arrival = _arrival(packet.first, body, f"{run.root}/say")
            if arrival is not None and arrival.delivery is not None:
                messages[packet.connection, arrival.delivery.packet_id] = arrival
        elif kind == PUBACK and not packet.received:
            key = packet.connection, packet.number
            if key in messages:
                answered.setdefault(packet.connection, []).append(messages[key])
                acknowledged.add(line_number(messages.pop(key)))
        elif kind == PUBACK:
            # The broker has taken this packet of ours, so also each that was sent before it.
            for arrival in before.pop((packet.connection, packet.number), []):
                answered[packet.connection].remove(arrival)
        elif kind == PUBLISH:
            if packet.first & 0x06:
                sent = answered.get(packet.connection, [])
                unanswered = [each for each in sent if not any(each in others for others in before.values())]
                before[packet.connection, packet.number] = unanswered
            told |= _told(body, f"{run.root}/event")
            volume = max([volume, *(int(found) for found in VOLUME.findall(body))])
    return Known(
        frozenset(acknowledged),
        told,
        [*(each for sent in answered.values() for each in sent), *messages.values()],
        volume,
    )


def _arrival(first: int, body: bytes, topic: str) -> Arrival | None:
    """A line as the broker delivers it again."""
    packet = read_publish((first & 0x0F) | _DUP, body, mqtt5=True, size_bytes=len(body))
    if packet.topic != topic or packet.packet_id is None:
        return None
    payload = packet.payload.decode()
    fields = json.loads(payload) if payload.startswith("{") else {"text": payload}
    return Arrival(Line(uuid4().hex, fields["text"], ttl_s=fields.get("ttl_s")), packet.delivery())


def line_number(arrival: Arrival) -> int:
    """The number of a line that the broker delivers."""
    assert isinstance(arrival.what, Line)
    return number_of(arrival.what.text)


def number_of(text: str) -> int:
    """The number of the line that a text belongs to."""
    found = _TEXT.search(text)
    assert found is not None, text
    return int(found[1])


def _told(body: bytes, topic: str) -> dict[str, str]:
    if not body[2:].startswith(topic.encode()) or b'{"' not in body:
        return {}
    event = json.loads(body[body.index(b'{"') :])
    return {event["id"]: event["event"]} if event["event"] in FINAL else {}
