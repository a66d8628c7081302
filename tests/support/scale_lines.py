"""Publishes lines to many appliances and counts what became of each. Part of scripts/bench-scale."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from support.appliance import FINAL
from support.broker_sets import Address
from support.quick_daemon import code, height

_LEVEL_STEP = 4  # a level on the speaker may be off by one
_LEVELS = 30_000 // _LEVEL_STEP
_SESSION_S = 3600


@dataclass(frozen=True)
class SentLine:
    """A line that was published.

    Attributes:
        level: of its hum; every line has another one.
        published_s: in seconds of the monotonic clock.
    """

    id: str
    stage: str
    level: int
    published_s: float


@dataclass(frozen=True)
class BrokerKill:
    """When a broker was killed, and until when its messages were on disk then, in seconds of the monotonic clock."""

    saved_s: float
    killed_s: float


@dataclass(frozen=True)
class Hum:
    """What a speaker has played: the hum of one line, from one edge to the other."""

    stage: str
    level: int
    began_s: float
    sound_s: float


class LineTraffic:
    """A publisher that keeps each line until the broker has confirmed it, and a watcher of everything appliances say.

    Both keep their sessions when a broker restarts.
    """

    def __init__(self, broker: Address) -> None:
        self._number = 0
        self._ids: dict[int, str] = {}  # by packet id, which are not used again: there are fewer than 65,536 lines
        self._confirmed_s: dict[int, float] = {}  # by packet id
        self._subscribed = threading.Event()
        self.sent: dict[str, SentLine] = {}
        self.started: set[str] = set()
        self.finals: dict[str, Counter[str]] = {}
        self.states: dict[str, str] = {}
        self._publisher = self._client(broker)
        self._publisher.max_inflight_messages_set(1000)
        self._publisher.on_publish = self._confirmed
        self._watcher = self._client(broker)
        self._watcher.on_connect = lambda client, *_: client.subscribe(
            [(f"ishowtts/+/{name}", 1) for name in ("event", "state")]
        )
        self._watcher.on_subscribe = lambda *_: self._subscribed.set()
        self._watcher.on_message = self._message
        self._address = (broker.host, broker.port)

    def __enter__(self) -> LineTraffic:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = _SESSION_S
        for client in (self._watcher, self._publisher):
            client.connect(*self._address, clean_start=False, properties=properties)
            client.loop_start()
        if not self._subscribed.wait(20):
            raise RuntimeError("the broker did not answer the subscription to the events within 20 s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in (self._publisher, self._watcher):
            client.disconnect()
            client.loop_stop()
            client.on_connect = client.on_subscribe = client.on_message = client.on_publish = None

    def say(self, stage: str) -> str:
        """Publishes a line to a stage, now or when the broker is back. Returns its id."""
        if self._number == _LEVELS:
            raise RuntimeError(f"at most {_LEVELS} lines in one run have hums that can be told apart")
        number = self._number * _LEVEL_STEP
        self._number += 1
        line_id, text = uuid.uuid4().hex, f"This line has the number {code(number)}."
        line = SentLine(line_id, stage, height(text), time.monotonic())
        body = json.dumps({"id": line_id, "text": text})
        self.sent[line_id] = line
        # The confirmation may come before `publish` returns. A lock that is held meanwhile would meet one of paho's.
        self._ids[self._publisher.publish(f"ishowtts/{stage}/say", body, 1).mid] = line_id
        return line_id

    @property
    def confirmed_s(self) -> dict[str, float]:
        """When the broker confirmed each line."""
        return {self._ids[mid]: at for mid, at in list(self._confirmed_s.items())}

    def ready(self) -> set[str]:
        """Returns the names of the appliances that can speak."""
        return {name for name, state in list(self.states.items()) if state not in ("starting", "warming")}

    def not_started(self) -> int:
        """Returns how many lines have neither begun nor ended, as far as events have come."""
        return len(self.sent) - len(self.started | self.finals.keys())

    def speaking(self) -> set[str]:
        """Returns the names of the stages with a line that has not ended."""
        return {self.sent[line_id].stage for line_id in self.not_ended()}

    def not_ended(self) -> set[str]:
        """Returns the ids of the lines whose final event has not come."""
        return self.sent.keys() - self.finals.keys()

    def _client(self, broker: Address) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"scale-{uuid.uuid4().hex[:12]}", protocol=paho.MQTTv5
        )
        client.reconnect_delay_set(1, 1)
        return client

    def _confirmed(self, _client: Any, _data: Any, mid: int, _code: Any, _properties: Any) -> None:
        self._confirmed_s[mid] = time.monotonic()

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        _, name, kind = message.topic.split("/")
        body = json.loads(message.payload)
        if kind == "state":
            self.states[name] = body["state"]
        elif body["event"] == "started":
            self.started.add(body["id"])
        elif body["event"] in FINAL:
            self.finals.setdefault(body["id"], Counter())[body["event"]] += 1


@dataclass
class Audit:
    """What became of lines. Each list that should be empty has the ids of the lines that it is about.

    Attributes:
        confirmed: lines that the broker has confirmed to the publisher.
        outcomes: number of lines by outcome, as the queues of the stages have it.
        by_engine: number of finished lines by the engine that spoke last.
        lost: lines that no stage knows.
        lost_at_broker: the same, confirmed after the last time that the broker saved before it was killed: the shipped
            configuration saves once a second.
        open: lines without an outcome.
        untold: lines with an outcome whose final event did not come.
        told_twice: lines with two different final events.
        silent: lines that count as finished by a hum, and no speaker played it.
        cut: lines whose hum was shorter than the sound that the board made, and that no other engine went on with.
        doubled: lines whose hum, or a part of it, was played twice.
        elsewhere: hums that another stage played.
        first_sound_s: seconds from the publish to the first sound of a hum, line by line.
    """

    published: int = 0
    confirmed: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    by_engine: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    lost_at_broker: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    told_twice: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    first_sound_s: dict[str, float] = field(default_factory=dict)

    @property
    def faults(self) -> dict[str, int]:
        """How many lines are wrong in which way; empty if none is."""
        names = ("lost", "open", "untold", "told_twice", "silent", "cut", "doubled", "elsewhere")
        return {name: len(found) for name in names if (found := getattr(self, name))}


def audit(
    lines: Iterable[SentLine],
    traffic: LineTraffic,
    folders: Mapping[str, Path],
    hums: Sequence[Hum],
    *,
    sound_s: float,
    kills: Sequence[BrokerKill] = (),
) -> Audit:
    """Compares lines with the queues of the stages, with the events and with what the speakers played.

    Args:
        folders: the folder of each stage.
        sound_s: the duration of the hum of a line.
        kills: each kill of a broker.
    """
    rows = {row["id"]: row for folder in folders.values() for row in _rows(folder)}
    played: dict[int, list[Hum]] = {}
    for hum in hums:
        played.setdefault(hum.level, []).append(hum)
    result, confirmed = Audit(), traffic.confirmed_s
    outcomes: Counter[str] = Counter()
    engines: Counter[str] = Counter()
    for line in lines:
        result.published += 1
        confirmed_s = confirmed.get(line.id)
        result.confirmed += confirmed_s is not None
        row = rows.get(line.id)
        if row is None:
            killed = confirmed_s is not None and any(kill.saved_s < confirmed_s <= kill.killed_s for kill in kills)
            (result.lost_at_broker if killed else result.lost).append(line.id)
            continue
        outcomes[row["state"]] += 1
        finals = traffic.finals.get(line.id, Counter())
        if row["state"] not in FINAL:
            result.open.append(line.id)
        elif not finals:
            result.untold.append(line.id)
        if len(finals) > 1:
            result.told_twice.append(line.id)
        own = [hum for hum in played.get(line.level, ()) if hum.stage == line.stage and hum.began_s >= line.published_s]
        _audit_hums(result, line, own, sound_s)
        if row["state"] == "finished":
            data = json.loads(row["data"])
            engines[data["engine"]] += 1
            alone = len(data.get("engines", ())) <= 1
            if data["engine"] != "espeak" and not own:
                result.silent.append(line.id)
            elif own and alone and sum(hum.sound_s for hum in own) < 0.9 * sound_s:
                result.cut.append(line.id)
        if any(hum.stage != line.stage and hum.began_s >= line.published_s for hum in played.get(line.level, ())):
            result.elsewhere.append(line.id)
    result.outcomes, result.by_engine = dict(outcomes), dict(engines)
    return result


def _audit_hums(result: Audit, line: SentLine, own: Sequence[Hum], sound_s: float) -> None:
    if own:
        result.first_sound_s[line.id] = min(hum.began_s for hum in own) - line.published_s
    if len(own) > 1 or sum(hum.sound_s for hum in own) > 1.1 * sound_s:
        result.doubled.append(line.id)


def hums_of(notes: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Hum]:
    """Puts the notes of speakers together. A hum that was not ended has the length 0."""
    found: list[Hum] = []
    begun: dict[str, tuple[int, float]] = {}
    for stage, note in notes:
        if level := note.get("begun"):
            begun[stage] = (level, note["at"])
        elif (level := note.get("ended")) and (begin := begun.pop(stage, None)) is not None:
            found.append(Hum(stage, level, begin[1], note["sound_s"]))
    return found + [Hum(stage, level, at, 0.0) for stage, (level, at) in begun.items()]


def _rows(folder: Path) -> list[sqlite3.Row]:
    database = folder / "state" / "inbox.sqlite"
    if not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT id, state, data FROM lines").fetchall()
