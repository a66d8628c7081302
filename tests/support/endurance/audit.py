"""Compares the queue's file, the events and what was heard after a run with many faults."""

from __future__ import annotations

import re
import statistics
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from support.appliance import FINAL
from support.client import Client
from support.endurance.fault_injection import Injected, faults_between
from support.endurance.mixed_lines import number_of, word_of
from support.endurance.queue_file import Row, open_texts
from support.endurance.silences import Silence, Span, common, silences, union

_NOTED_S = 0.5  # silences from this length on are counted
_TOLD_WITHIN_S = 30.0  # an event is published, by far, after it was stored, if a broker is there
_IN_FILE_WITHIN_S = 15.0  # the queue is in its file again after a full disk, which the daemon looks for every 10 s
_NO_MEMORY = "MemoryError|failed to map segment|[Cc]annot allocate memory|bad_alloc"

FAULTS = ("lost", "doubled", "open", "told_otherwise", "untold", "heard_again_wrongly", "mute")


@dataclass(frozen=True)
class Seen:
    """What is known after a run.

    Attributes:
        rows: All lines of the queue's file.
        finals: The final events that were published, by id, with their number.
        notes: Of `support.heard_notes`.
        published: How often each line was published.
        lost_at_broker: Lines that a broker confirmed and lost when it was killed.
        hostile: Lines whose payload may not even be readable. A rejection of such a payload does not say which it was.
        daemon, device: When the daemon's processes ran, and when the sound device was there.
    """

    rows: list[Row]
    finals: Mapping[str, Counter[str]]
    notes: list[dict[str, Any]]
    published: Counter[int]
    lost_at_broker: set[int]
    hostile: set[int]
    daemon: list[Span]
    device: list[Span]
    injected: list[Injected]


@dataclass
class Audit:
    """What a run did. The lists of `FAULTS` are empty if all is well.

    Attributes:
        lost: Lines without a row. `pruned`: lines that were rejected, of which the row was deleted because the disk was
            short of room. `lost_in_memory`: lines that were in memory only, because the disk was full, when the
            daemon was killed; their publisher was told (`durable: false`).
        doubled: Lines with more rows than publishes. `open`: lines without an outcome.
        told_otherwise: Ids with a final event that is not the outcome in the file, or with two different ones.
        untold: Ids without a final event. `untold_by_broker`: a broker was killed soon after, and may have lost it.
        heard_again: Segments that went to the player twice, after a kill, an interruption or a loss of the device.
        again_from_file: Lines that ended while the queue was in memory because of a full disk, and that the file still
            had as waiting after a kill of the daemon.
        heard_again_wrongly: Lines of which a segment was played again without such a reason.
        engines: How many segments each engine spoke.
        silences: How many silences of 0.5 s or more there were while the daemon ran, a line waited and the device was
            there; by the faults of then: their number, and the longest in seconds. A daemon runs once it has told
            systemd that it is ready, or was heard.
        starts_s: From the start of a daemon's process to its first sound, if a line waited: median and longest.
        mute: Silences that are too long.
    """

    lines: int = 0
    republished: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    heard_again: int = 0
    again_from_file: list[str] = field(default_factory=list)
    engines: dict[str, int] = field(default_factory=dict)
    silences: dict[str, tuple[int, float]] = field(default_factory=dict)
    starts_s: dict[str, float] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    lost_at_broker: list[str] = field(default_factory=list)
    lost_in_memory: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    told_otherwise: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    untold_by_broker: list[str] = field(default_factory=list)
    heard_again_wrongly: list[str] = field(default_factory=list)
    mute: list[Silence] = field(default_factory=list)


def audit(out: Audit, seen: Seen, most_silent_s: float) -> None:
    """Fills in the figures."""
    _audit_rows(out, seen)
    _audit_events(out, seen)
    _audit_repeats(out, seen)
    _audit_silences(out, seen, most_silent_s)


def _audit_rows(out: Audit, seen: Seen) -> None:
    each = Counter(number for row in seen.rows if (number := number_of(row["text"])) is not None)
    out.lines = len(seen.published)
    out.republished = sum(seen.published.values()) - out.lines
    out.outcomes = dict(Counter(row["state"] for row in seen.rows))
    out.repeated = sum(count - 1 for count in each.values())
    rejected = {number_of(note["text"] or "") for note in seen.notes if note.get("event") == "rejected"}
    pruned = seen.published.keys() & rejected - each.keys()
    missing = seen.published.keys() - each.keys() - pruned
    ids = {row["id"] for row in seen.rows}
    unreadable = {note["id"] for note in seen.notes if note.get("event") == "rejected" and not note["text"]} - ids
    if len(missing & seen.hostile) <= len(unreadable):
        pruned |= missing & seen.hostile
        missing -= pruned
    out.pruned = sorted(word_of(number) for number in pruned)
    in_memory = missing & {number_of(note["text"] or "") for note in seen.notes if note.get("durable") is False}
    out.lost_at_broker = sorted(word_of(number) for number in missing & seen.lost_at_broker)
    out.lost_in_memory = sorted(word_of(number) for number in in_memory)
    out.lost = sorted(word_of(number) for number in missing - seen.lost_at_broker - in_memory)
    out.doubled = [word_of(number) for number, count in each.items() if count > seen.published[number]]
    out.open = open_texts(seen.rows)


def _audit_events(out: Audit, seen: Seen) -> None:
    ended_s = {note["id"]: note["at"] for note in seen.notes if note.get("event") in FINAL}
    kills = [each for each in seen.injected if each.kind == "broker"]
    for row in seen.rows:
        told = set(seen.finals.get(row["id"], ()))
        if told - {row["state"]}:
            out.told_otherwise.append(row["id"])
        elif not told:
            at_s = ended_s.get(row["id"], 0.0)
            killed = any(each.ended_s > at_s and each.began_s < at_s + _TOLD_WITHIN_S for each in kills)
            (out.untold_by_broker if killed else out.untold).append(row["id"])


def _audit_repeats(out: Audit, seen: Seen) -> None:
    """A segment is played again only after a kill, an interruption, or a loss of the device."""
    plays: dict[str, list[dict[str, Any]]] = defaultdict(list)
    last_of: dict[int, str] = {}
    after_kill: set[tuple[str, float]] = set()
    breaks: dict[str, list[float]] = defaultdict(list)
    for note in seen.notes:
        if "plays" in note:
            line_id, pid = note["plays"], note["pid"]
            # Asked now: in an hour of kills the kernel gives a number of a process to another one.
            if plays[line_id] and (before_pid := plays[line_id][-1]["pid"]) != pid and last_of[before_pid] == line_id:
                after_kill.add((line_id, note["at"]))
            plays[line_id].append(note)
            last_of[pid] = line_id
        elif note.get("event") == "interrupted":
            breaks[note["id"]].append(note["at"])
    losses = [end for _, end in seen.device]
    ended: dict[str, float] = {}
    for note in seen.notes:
        if note.get("event") in FINAL:
            ended.setdefault(note["id"], note["at"])
    full = [(each.began_s, each.ended_s + _IN_FILE_WITHIN_S) for each in seen.injected if each.kind == "full disk"]
    out.engines = dict(Counter(note["engine"] for notes in plays.values() for note in notes))
    for line_id, notes in plays.items():
        for before, note in pairwise(notes):
            if note["position"] > before["position"]:
                continue
            out.heard_again += 1
            between = [at for at in (*breaks[line_id], *losses) if before["at"] <= at <= note["at"]]
            if not (between or (line_id, note["at"]) in after_kill or note["at"] > ended.get(line_id, note["at"])):
                out.heard_again_wrongly.append(line_id)
        if line_id in ended and notes[-1]["at"] > ended[line_id]:
            in_memory = any(begin <= ended[line_id] <= end for begin, end in full)
            (out.again_from_file if in_memory else out.heard_again_wrongly).append(line_id)


def _audit_silences(out: Audit, seen: Seen, most_silent_s: float) -> None:
    audible_s = [note["at"] for note in seen.notes if "audible" in note]
    works_s = sorted(note["at"] for note in seen.notes if "ready" in note or "audible" in note)
    due = common(common(union(_waiting_spans(seen)), union(seen.device)), union(seen.daemon))
    runs = union((works_s[at], end) for begin, end in seen.daemon if (at := bisect_left(works_s, begin)) < len(works_s))
    found = [
        replace(each, causes=faults_between(seen.injected, each.began_s - 1, each.began_s + each.length_s))
        for each in silences(common(due, runs), audible_s, _NOTED_S)
    ]
    by_causes: dict[str, list[float]] = defaultdict(list)
    for each in found:
        by_causes[" + ".join(each.causes) or "none"].append(each.length_s)
    order = sorted(by_causes, key=lambda causes: -max(by_causes[causes]))
    out.silences = {causes: (len(by_causes[causes]), round(max(by_causes[causes]), 2)) for causes in order}
    out.mute = [each for each in found if each.length_s > most_silent_s]
    starts = {begin for begin, _ in seen.daemon[1:]}
    lengths = [each.length_s for each in silences(due, audible_s, 0.0) if each.began_s in starts]
    if lengths:
        out.starts_s = {"median": round(statistics.median(lengths), 2), "longest": round(max(lengths), 2)}


def _waiting_spans(seen: Seen) -> list[Span]:
    """When each line waited or was spoken, as the daemon noted it. A line that was never stored is left out."""
    ids = {row["id"] for row in seen.rows}
    began: dict[str, float] = {}
    spans = []
    for note in seen.notes:
        if note.get("event") == "accepted":
            began.setdefault(note["id"], note["at"])
        elif note.get("event") in FINAL and note["id"] in began and note["id"] in ids:
            spans.append((began.pop(note["id"]), note["at"]))
    return spans


def discovery_faults(client: Client, root: str) -> list[str]:
    """What is wrong with the message by which Home Assistant finds the appliance."""
    client.subscribe("homeassistant/#")
    found = client.wait_for(where=lambda message: message.topic.startswith("homeassistant/") and bool(message.payload))
    messages = {each.topic: each for each in client.messages if each.payload}
    faults = [] if len(messages) == 1 else [f"{len(messages)} messages: {', '.join(messages)}"]
    if not found.retain:
        faults.append("it is not retained")
    if root not in found.text or not found.json.get("components"):
        faults.append(f"it is not that of {root}: {found.text[:200]}")
    return faults


def tracebacks(log: str) -> list[str]:
    """The end of each traceback in a log, except those of workers that were left without memory while they started."""
    found = re.finditer(r"Traceback \(most recent call last\):\n(?:[ ].*\n)*.*", log)
    return [each[0][-300:] for each in found if not re.search(_NO_MEMORY, each[0])]
