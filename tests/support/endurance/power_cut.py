"""Cuts the power of a daemon on paper: at each of many moments, what the disk may hold then is given to a new one.

The daemon runs once under strace. From its system calls `support.cut_disk` makes what `state_dir` may hold after a cut
at any moment. What the broker and the subscribers know at that moment is read from the same calls.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ishowtts.inbox import Inbox, InboxLimits, migrations
from ishowtts.model import Arrival, Line, Outcome
from ishowtts.mqtt.publish_packet import read_publish
from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.cut_disk import TRACED, CutDisk
from support.publisher import Publisher
from support.syscalls import Call, calls, packets, strace
from support.waiting import eventually

HISTORY_LINES = 40
_OLD_LINES = 20
_OLD_NUMBER = 100_000
_DAEMON_EVERY = 10  # one cut in so many is given to a whole daemon
_PUBLISH, _PUBACK, _DUP = 0x30, 0x40, 0x08
_TEXT = re.compile(r"number (\d+) is kept")
_VOLUME = re.compile(rb"the volume is (\d+)")
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


@dataclass
class Figures:
    """What came of it. Every count that should be 0 is a list: the cut, and what it is about.

    Attributes:
        cuts: how many there were. `at_sync`: those with a write that was not synced. `of_names`: those with a name
            that was not safe.
        calls: calls that changed or synced the folder. `checkpoints`: those that synced the database itself.
        daemons: whole daemons that were started on what was left.
        acknowledged, told: lines, in the mean of all cuts.
        not_opened: the queue's file was not used, or was replaced.
        lost: a line was acknowledged, and is not there.
        doubled: a line is there twice, also after the broker has delivered again what it had to.
        told_otherwise: a line had a final event, and waits again or has another outcome.
        settings_lost: a volume was confirmed, and an older one is stored.
        failed_starts: a whole daemon was not ready, or did not end all lines.
    """

    cuts: int = 0
    at_sync: int = 0
    of_names: int = 0
    calls: int = 0
    checkpoints: int = 0
    daemons: int = 0
    acknowledged: float = 0.0
    told: float = 0.0
    seconds: float = 0.0
    not_opened: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    told_otherwise: list[str] = field(default_factory=list)
    settings_lost: list[str] = field(default_factory=list)
    failed_starts: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """What should not be, by name; empty where all is well."""
        names = ("not_opened", "lost", "doubled", "told_otherwise", "settings_lost", "failed_starts")
        return {name: found for name in names if (found := getattr(self, name))}


@dataclass(frozen=True)
class Run:
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


def cut_power(
    folder: Path,
    cuts: int,
    seed: int,
    *,
    lines: int = 160,
    upgrade: bool = True,
    daemon_every: int | None = _DAEMON_EVERY,
) -> Figures:
    """Cut the power of two daemons, one that makes its file and one that upgrades an older one.

    Args:
        lines: How many lines the first of them gets.
        upgrade: Whether there is the second one.
        daemon_every: One cut in so many is given to a whole daemon, and not only to the storage; `None`: none is.
    """
    began_s, chance, figures = time.monotonic(), random.Random(seed), Figures()
    old = cuts // 4 if upgrade else 0
    for name, count, lines_of_run in (("fresh", cuts - old, lines), ("old", old, lines // 4)):
        if count:
            (folder / name).mkdir()
            run = record(folder / name, lines_of_run, old=name == "old")
            _cut(run, count, chance, figures, folder / name / "cut", daemon_every=daemon_every)
    figures.acknowledged = round(figures.acknowledged / max(1, figures.cuts), 1)
    figures.told = round(figures.told / max(1, figures.cuts), 1)
    figures.seconds = round(time.monotonic() - began_s, 1)
    return figures


def record(folder: Path, lines: int, *, old: bool) -> Run:
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
        _broker(folder) as broker,
        Appliance(folder, broker, _settings(), quick_s=0.01, wrap=wrap, site=_CHECKPOINTS) as appliance,
        Client(broker.host, broker.port) as client,
        closing(Publisher(broker.host, broker.port, f"{appliance.root}/say")) as publisher,
    ):
        appliance.wait_ready(client)
        for number in range(lines):
            publisher.publish(number, _payload(number))
            publisher.step(0.02 if number % 10 < 6 else 0.0)
            if number % 10 == 6:
                client.publish(f"{appliance.root}/command", {"command": "pause"})
            if number % 10 == 9:
                publisher.finish(60)
                eventually(lambda: _has_come(appliance, number), "the line that was published last", 60)  # noqa: B023
                _cancel_and_rest(appliance, client, volume=1 + number // 10)
        publisher.finish(60)
        eventually(lambda: not _open_rows(state / "inbox.sqlite"), "the outcomes of all lines", 60)
        appliance.stop()
    eventually(lambda: b"+++ exited with 0 +++" in trace.read_bytes()[-200:], "the end of the trace")
    found = [call for call in calls(trace) if call.result >= 0]
    trace.unlink()
    return Run(state, content, known, found, f":{broker.port}]", appliance.root)


def _cancel_and_rest(appliance: Appliance, client: Client, volume: int) -> None:
    """Cancel what waits, and change the volume while nothing else writes: no later commit syncs these two."""
    event = f"{appliance.root}/event"
    client.publish(f"{appliance.root}/command", {"command": "stop"})
    eventually(lambda: not _open_rows(appliance.folder / "state" / "inbox.sqlite"), "the outcomes", 60)
    client.publish(f"{appliance.root}/volume/set", volume)
    client.wait_for(event, lambda message: f"the volume is {volume}" in message.text, timeout_s=60)
    client.publish(f"{appliance.root}/command", {"command": "resume"})


def _has_come(appliance: Appliance, number: int) -> bool:
    return any(_number_of(row["text"]) == number for row in _rows(appliance.folder / "state" / "inbox.sqlite"))


def _broker(folder: Path) -> Broker:
    (folder / "broker").mkdir()
    return Broker(folder / "broker")


def _settings() -> dict[str, Any]:
    queue = {"history_lines": HISTORY_LINES, "dedup_s": 0, "max_lines": 10_000}
    return {"queue": queue, "text": {"normalise": False}}


def _payload(number: int) -> bytes:
    text = f"number {number} is kept" + " and so on" * (80 if number % 5 == 0 else 0)
    return json.dumps({"text": text, "ttl_s": 0.01}).encode() if number % 7 == 3 else text.encode()


def _write_old_file(path: Path) -> dict[int, str | None]:
    """Lines of the oldest version; each third has ended."""
    known: dict[int, str | None] = {}
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"PRAGMA journal_mode = WAL; {migrations.STEPS[migrations.OLDEST]}")
        for number in range(_OLD_NUMBER, _OLD_NUMBER + _OLD_LINES):
            ended = number % 3 == 0
            known[number] = "finished" if ended else None
            values = (str(number), f"number {number} is kept", 1, "{}", "", 0.0, 1e9, known[number] or "waiting")
            file.execute(
                "INSERT INTO lines (id, text, priority, details, ts, born_s, deadline_s, state, ended_n, ended_wall_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, *((number, time.time()) if ended else (None, None))),
            )
        file.execute(f"PRAGMA user_version = {migrations.OLDEST}")
        file.commit()
    return known


def _cut(
    run: Run, count: int, chance: random.Random, figures: Figures, into: Path, *, daemon_every: int | None
) -> None:
    """Choose the moments, follow the calls, and cut at each of them."""
    disk = CutDisk(run.state, run.content)
    own = [call for call in run.calls if disk.concerns(call)]
    figures.calls += len(own)
    figures.checkpoints += sum(call.name in ("fsync", "fdatasync") and call.what.endswith(".sqlite") for call in own)
    moments = sorted(_moments(own, run, count, chance))
    for number, disk_is_ext4 in enumerate((True, False)):
        disk = CutDisk(run.state, run.content, ext4=disk_is_ext4)
        followed = 0
        for moment in moments[number::2]:
            while followed < len(run.calls) and run.calls[followed].returned <= moment:
                disk.follow(run.calls[followed])
                followed += 1
            under_way = [call for call in run.calls[followed:] if call.began <= moment]
            figures.at_sync += disk.unsafe_data
            figures.of_names += disk.unsafe_names
            shutil.rmtree(into, ignore_errors=True)
            into.mkdir()
            (into / "state").mkdir(mode=0o700)
            for name, content in disk.cut(chance, under_way).items():
                (into / "state" / name).parent.mkdir(parents=True, exist_ok=True)
                (into / "state" / name).write_bytes(content)
            figures.cuts += 1
            name = f"{run.state.parent.name} {moment}"
            whole = daemon_every is not None and figures.cuts % daemon_every == 0
            _examine(name, run, moment, figures, into, whole=whole)


def _moments(own: Sequence[Call], run: Run, count: int, chance: random.Random) -> list[int]:
    """Random moments, most of them where something is not safe or was just told."""
    names = [call for call in own if call.name not in ("pwrite64", "write", "lseek", "fsync", "fdatasync")]
    database = [call for call in own if call.what.endswith(".sqlite") and call.name != "lseek"]
    syncs = [call for call in own if call.name in ("fsync", "fdatasync")]
    sends = [call for call in run.calls if run.broker in call.what and call.name != "recvfrom"]
    told = [call for call in sends if _VOLUME.search(call.data) or b'"event":"cancelled"' in call.data]
    kinds = [kind for kind in (names, database, own, syncs, sends, told) if kind]
    found = []
    for _ in range(count):
        call = chance.choice(chance.choice(kinds))
        found.append(chance.randint(call.began, call.returned))
    return found


def known_at(run: Run, moment: int) -> Known:
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
        kind, body = packet.first & 0xF0, packet.body
        if kind == _PUBLISH and packet.received:
            arrival = _arrival(packet.first, body, f"{run.root}/say")
            if arrival is not None and arrival.delivery is not None:
                messages[packet.connection, arrival.delivery.packet_id] = arrival
        elif kind == _PUBACK and not packet.received:
            key = packet.connection, struct.unpack(">H", body[:2])[0]
            if key in messages:
                answered.setdefault(packet.connection, []).append(messages[key])
                acknowledged.add(_number(messages.pop(key)))
        elif kind == _PUBACK:
            # The broker has taken this packet of ours, so also each that was sent before it.
            for arrival in before.pop((packet.connection, struct.unpack(">H", body[:2])[0]), []):
                answered[packet.connection].remove(arrival)
        elif kind == _PUBLISH:
            if packet.first & 0x06:
                start = 2 + struct.unpack(">H", body[:2])[0]
                number = struct.unpack(">H", body[start : start + 2])[0]
                sent = answered.get(packet.connection, [])
                unanswered = [each for each in sent if not any(each in others for others in before.values())]
                before[packet.connection, number] = unanswered
            told |= _told(body, f"{run.root}/event")
            volume = max([volume, *(int(found) for found in _VOLUME.findall(body))])
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


def _number(arrival: Arrival) -> int:
    assert isinstance(arrival.what, Line)
    return _number_of(arrival.what.text)


def _number_of(text: str) -> int:
    found = _TEXT.search(text)
    assert found is not None, text
    return int(found[1])


def _told(body: bytes, topic: str) -> dict[str, str]:
    if not body[2:].startswith(topic.encode()) or b'{"' not in body:
        return {}
    event = json.loads(body[body.index(b'{"') :])
    return {event["id"]: event["event"]} if event["event"] in FINAL else {}


def _examine(name: str, run: Run, moment: int, figures: Figures, folder: Path, *, whole: bool) -> None:
    """Start the storage, or a whole daemon, on what is left."""
    known = known_at(run, moment)
    figures.acknowledged += len(known.acknowledged)
    figures.told += len(known.told)
    path = folder / "state" / "inbox.sqlite"
    if whole:
        shutil.copytree(folder / "state", folder / "whole" / "state")
        _examine_daemon(name, known, figures, folder / "whole")
    inbox = Inbox(path, InboxLimits(max_lines=10_000, dedup_s=0.0))
    with closing(inbox):
        if inbox.problem or list(path.parent.glob("*.corrupt-*")):
            figures.not_opened.append(f"{name}: {inbox.problem}")
        _examine_rows(name, known, figures, _rows(path))
        if known.volume and int(inbox.recall("volume") or 0) < known.volume:
            figures.settings_lost.append(f"{name}: volume {known.volume}")
        inbox.begin_session(inbox.recall(".session") or "none", resumed=True).result(30)
        inbox.accept(known.again).result(30)
        told = _finish(inbox)
    rows = _rows(path)
    numbers = Counter(_number_of(row["text"]) for row in rows)
    figures.doubled += [f"{name}: {number}" for number, count in numbers.items() if count > 1]
    missing = {_number(arrival) for arrival in known.again} - set(numbers)
    figures.lost += [f"{name}: {number} after its delivery" for number in missing if not _pruned(rows)]
    figures.told_otherwise += [
        f"{name}: {line_id} was {outcome}, and then {sorted(told[line_id] - {outcome})}"
        for line_id, outcome in known.told.items()
        if told.get(line_id, set()) - {outcome}
    ]


def _examine_rows(name: str, known: Known, figures: Figures, rows: Sequence[sqlite3.Row]) -> None:
    states = {row["id"]: row["state"] for row in rows}
    figures.told_otherwise += [
        f"{name}: {line_id} was {outcome}, and is {states[line_id]}"
        for line_id, outcome in known.told.items()
        if states.get(line_id, outcome) != outcome
    ]
    missing = known.acknowledged - {_number_of(row["text"]) for row in rows}
    # The oldest ended lines are removed, so only a full history excuses a line that is not there.
    figures.lost += [f"{name}: {number}" for number in sorted(missing) if not _pruned(rows)]


def _pruned(rows: Iterable[sqlite3.Row]) -> bool:
    return sum(row["state"] in FINAL for row in rows) >= HISTORY_LINES


def _finish(inbox: Inbox) -> dict[str, set[str]]:
    """Speak all lines. Return the outcomes that are told of each id."""
    while True:
        taken = inbox.take()
        taken.withdraw()
        line = taken.future.result(30)
        if line is None:
            break
        inbox.finish(line.seq, Outcome.FINISHED, {})
    told: dict[str, set[str]] = {}
    while numbered := inbox.unsent(1000).result(30):
        for _, event in numbered:
            if event.event in FINAL:
                told.setdefault(event.id, set()).add(event.event)
        inbox.sent(numbered).result(30)
    return told


def _examine_daemon(name: str, known: Known, figures: Figures, folder: Path) -> None:
    """All lines end, and those that had ended are not told another way."""
    figures.daemons += 1
    path = folder / "state" / "inbox.sqlite"
    with (
        _broker(folder) as broker,
        Client(broker.host, broker.port) as client,
        Appliance(folder, broker, _settings(), quick_s=0.01) as appliance,
    ):
        try:
            appliance.wait_ready(client, timeout_s=60)
            eventually(lambda: not _open_rows(path), "the outcomes of all lines", 60)
        except AssertionError as error:
            figures.failed_starts.append(f"{name}: {error}")
        appliance.stop()
        events = appliance.events(client)
    figures.told_otherwise += [
        f"{name}: {event['id']} was {known.told[event['id']]}, and the daemon then told {event['event']}"
        for event in events
        if event["event"] in FINAL and known.told.get(event["id"], event["event"]) != event["event"]
    ]


def _rows(path: Path) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT id, text, state FROM lines ORDER BY seq").fetchall()


def _open_rows(path: Path) -> list[sqlite3.Row]:
    return [row for row in _rows(path) if row["state"] not in FINAL]
