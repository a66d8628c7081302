"""Cuts the power of a daemon on paper: at each of many moments, what the disk may hold then is given to a new one.

The daemon runs once under strace. From its system calls `support.cut_disk` makes what `state_dir` may hold after a cut
at any moment. What the broker and the subscribers know at that moment is read from the same calls.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.model import Outcome
from support.appliance import FINAL, Appliance
from support.client import Client
from support.cut_disk import CutDisk
from support.endurance.figures import faults_of
from support.endurance.queue_file import Row, open_texts, rows_of
from support.endurance.traced_daemon import (
    GROUP,
    HISTORY_LINES,
    OLD_LINES,
    OLD_NUMBER,
    SETTINGS,
    VOLUME,
    Known,
    TracedRun,
    broker_in,
    known_at,
    line_number,
    number_of,
    record,
)
from support.syscalls import Call
from support.waiting import eventually

_DAEMON_EVERY = 10  # one cut in so many is given to a whole daemon


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
        return faults_of(self, names)


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


def _cut(
    run: TracedRun, count: int, chance: random.Random, figures: Figures, into: Path, *, daemon_every: int | None
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


def _moments(own: Sequence[Call], run: TracedRun, count: int, chance: random.Random) -> list[int]:
    """Random moments, most of them where something is not safe or was just told."""
    names = [call for call in own if call.name not in ("pwrite64", "write", "lseek", "fsync", "fdatasync")]
    database = [call for call in own if call.what.endswith(".sqlite") and call.name != "lseek"]
    syncs = [call for call in own if call.name in ("fsync", "fdatasync")]
    sends = [call for call in run.calls if run.broker in call.what and call.name != "recvfrom"]
    told = [call for call in sends if VOLUME.search(call.data) or b'"event":"cancelled"' in call.data]
    kinds = [kind for kind in (names, database, own, syncs, sends, told) if kind]
    found = []
    for _ in range(count):
        call = chance.choice(chance.choice(kinds))
        found.append(chance.randint(call.began, call.returned))
    return found


def _examine(name: str, run: TracedRun, moment: int, figures: Figures, folder: Path, *, whole: bool) -> None:
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
        _examine_rows(name, known, figures, rows_of(folder))
        if known.volume and int(inbox.recall("volume") or 0) < known.volume:
            figures.settings_lost.append(f"{name}: volume {known.volume}")
        inbox.begin_session(inbox.recall(".session") or "none", resumed=True).result(30)
        inbox.accept(known.again).result(30)
        told = _finish(inbox)
    rows = rows_of(folder)
    numbers = Counter(number_of(row["text"]) for row in rows)
    figures.doubled += [f"{name}: {number}" for number, count in numbers.items() if count > 1]
    missing = {line_number(arrival) for arrival in known.again} - set(numbers)
    figures.lost += [f"{name}: {number} after its delivery" for number in missing if not may_be_removed(number, rows)]
    figures.told_otherwise += [
        f"{name}: {line_id} was {outcome}, and then {sorted(told[line_id] - {outcome})}"
        for line_id, outcome in known.told.items()
        if told.get(line_id, set()) - {outcome}
    ]


def _examine_rows(name: str, known: Known, figures: Figures, rows: Sequence[Row]) -> None:
    states = {row["id"]: row["state"] for row in rows}
    figures.told_otherwise += [
        f"{name}: {line_id} was {outcome}, and is {states[line_id]}"
        for line_id, outcome in known.told.items()
        if states.get(line_id, outcome) != outcome
    ]
    missing = known.acknowledged - {number_of(row["text"]) for row in rows}
    figures.lost += [f"{name}: {number}" for number in sorted(missing) if not may_be_removed(number, rows)]


def may_be_removed(number: int, rows: Sequence[Row]) -> bool:
    """Whether a line may have left the history: `HISTORY_LINES` have ended after it, and are there.

    The lines of a group, and those of an older file with the first group, end in any order. All of them have ended
    before those of the next group.
    """
    ended = [_group(number_of(row["text"])) for row in rows if row["state"] in FINAL]
    groups_between = (HISTORY_LINES - OLD_LINES) // GROUP
    return len(ended) >= HISTORY_LINES and max(ended) - _group(number) >= groups_between


def _group(number: int) -> int:
    return 0 if number >= OLD_NUMBER else number // GROUP


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
    with (
        broker_in(folder) as broker,
        Client(broker.host, broker.port) as client,
        Appliance(folder, broker, SETTINGS, quick_s=0.01) as appliance,
    ):
        try:
            appliance.wait_ready(client, "ready", "paused", timeout_s=60)
            client.publish(f"{appliance.root}/command", {"command": "resume"})  # the power may be cut during a pause
            eventually(lambda: not open_texts(rows_of(folder)), "the outcomes of all lines", 60)
        except AssertionError as error:
            figures.failed_starts.append(f"{name}: {error}")
        appliance.stop()
        events = appliance.events(client)
    figures.told_otherwise += [
        f"{name}: {event['id']} was {known.told[event['id']]}, and the daemon then told {event['event']}"
        for event in events
        if event["event"] in FINAL and known.told.get(event["id"], event["event"]) != event["event"]
    ]
