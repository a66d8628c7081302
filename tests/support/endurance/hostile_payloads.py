"""Publishes hostile payloads on all topics of a real daemon, over a real broker, and counts what became of each.

The payloads are what a fuzzer that learns from coverage has found, and fresh changes of that.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.endurance.figures import faults_of
from support.endurance.payload_tally import PayloadTally
from support.endurance.queue_file import open_texts, rows_of
from support.flood_client import FloodClient
from support.fuzzing import CORPUS_FOLDER
from support.hostile_messages import CORPORA, REPLIES, HostileMessage, hostile_messages

_WINDOW = 50
"""So many payloads are published between two probes. Two windows are under way at a time."""
_MOST_S = 1.0
_ANSWER_S = 60.0
"""A daemon that answers no probe for so long hangs."""
_SETTLE_S = 90.0
"""Renders wait for their first sound for 60 s, and floods are summed up every 10 s."""
_ALONE = 5
"""The payloads of so many slow windows are published again, one by one."""
_MOST_GROWTH_MB = 100.0
"""Arrivals that wait for the disk take 48 MiB at most (docs/durability.md). SQLite and the caches have bounds too."""
_WARM = 0.1
_SETTINGS = {
    "mqtt": {"groups": ["all"]},
    # Lines come faster than they are spoken: those that wait for longer than this expire, so that the queue has room.
    "queue": {"max_age_s": 1.0, "max_lines": 100_000},
    "engine": {"kind": "espeak", "f5": {"voices_over_mqtt": True}},
    "limits": {"renders": 32},
}


@dataclass
class Figures:
    """What became of the payloads. What should be empty or 0 is in `faults`.

    Attributes:
        fuzzed: Executions and covered edges of each target, and its fault if there is one.
        per_s: Payloads a second.
        answer_median_s, answer_99_s, answer_longest_s: From the publish of a probe to its `accepted` event, behind the
            payloads that were under way.
        slow_windows: How many of these took more than 1 s.
        slow: Payloads that took more than 1 s alone too.
        accepted, rejected, duplicates: What the events say of lines. `replayed`: lines that a command queued again.
        unaccounted: Lines that no event says anything of; below 0: events of lines that nobody published.
        untold, told_twice: Ids of accepted lines without a final event, and with more of these than lines.
        open: Lines of the queue's file without an outcome.
        commands_unread: Payloads that are no command, volume or voice.
        commands_unanswered: How many of these no event tells of.
        renders_open, renders_told_twice: Requests for sound without a last part, and with several.
        first_mb, peak_mb: The most resident memory that the daemon had taken after a tenth of the payloads, and at the
            end. `last_mb`: what it had at the end.
        tracebacks: In the daemon's log.
        died: Whether the daemon's process did not end as it should at a SIGTERM, after the last payload.
    """

    seed: int
    fuzzed: dict[str, str] = field(default_factory=dict)
    fuzz_faults: dict[str, str] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    per_s: float = 0.0
    answer_median_s: float = 0.0
    answer_99_s: float = 0.0
    answer_longest_s: float = 0.0
    slow_windows: int = 0
    slow: list[str] = field(default_factory=list)
    accepted: int = 0
    replayed: int = 0
    rejected: int = 0
    duplicates: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    unaccounted: int = 0
    untold: list[str] = field(default_factory=list)
    told_twice: list[str] = field(default_factory=list)
    open: int = 0
    commands_unread: int = 0
    commands_unanswered: int = 0
    renders: int = 0
    renders_open: int = 0
    renders_told_twice: int = 0
    first_mb: float = 0.0
    last_mb: float = 0.0
    peak_mb: float = 0.0
    tracebacks: int = 0
    died: bool = False

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be, by name; empty if all is well."""
        names = ("fuzz_faults", "slow", "unaccounted", "untold", "told_twice", "open", "renders_open")
        names += ("renders_told_twice", "commands_unanswered", "tracebacks", "died")
        found = faults_of(self, names)
        grown_mb = self.peak_mb - self.first_mb
        return {**found, "memory": f"{grown_mb:.0f} MB"} if grown_mb > _MOST_GROWTH_MB else found


def send_hostile_payloads(
    folder: Path, most: int, seed: int, targets: Sequence[str] = (), seconds: float = 0
) -> Figures:
    """Fuzzes targets, and publishes what was found.

    Args:
        most: How many payloads.
        targets: What is fuzzed first, each for `seconds`.
    """
    figures = Figures(seed)
    corpora = {name: _fuzzed(figures, folder, name, seconds) for name in targets}
    (folder / "broker").mkdir()
    quiet = ("max_queued_messages 0", "max_inflight_messages 500", "log_type none", "log_type information")
    with Broker(folder / "broker", extra=quiet) as broker:
        settings = {**_SETTINGS, "mqtt": {**_SETTINGS["mqtt"], "host": broker.host, "port": broker.port}}
        with Appliance(folder, broker, settings, quick_s=0.005) as appliance:
            flood = _Flood(figures, folder, appliance, broker)
            flood.run(hostile_messages(corpora, random.Random(seed), most), most)
            figures.open, figures.died = len(open_texts(rows_of(folder))), appliance.stop() != 0
        figures.tracebacks = appliance.log.count("Traceback")
    return figures


class _Flood:
    """Publishes at the daemon's pace: the next window starts when the probe before the last one is answered."""

    def __init__(self, figures: Figures, folder: Path, appliance: Appliance, broker: Broker) -> None:
        self._figures = figures
        self._folder = folder
        self._appliance = appliance
        self._tally = PayloadTally(appliance.root)
        topics = [f"{appliance.root}/event", f"{appliance.root}/state", f"{REPLIES}/render"]
        self._client = FloodClient(broker.host, broker.port, topics, self._tally.hear)
        self._published: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._probes = 0

    def run(self, messages: Iterator[HostileMessage], most: int) -> None:
        """Publishes all, waits until each has been answered for, and fills in the figures."""
        figures = self._figures
        self._until(lambda: self._tally.ready, "the daemon is ready")
        pid, began_s, done, slow = self._appliance.pid, time.monotonic(), 0, []
        before: tuple[str, list[HostileMessage]] | None = None
        while window := list(islice(messages, _WINDOW)):
            for message in window:
                self._publish(message)
            probe = self._probe()
            if before is not None and self._answered(*before) > _MOST_S:
                slow.append(before[1])
            before = probe, window
            done += len(window)
            if not figures.first_mb and done >= _WARM * most:
                figures.first_mb = _memory_mb(pid, "VmHWM")
        if before is not None and self._answered(*before) > _MOST_S:
            slow.append(before[1])
        figures.seconds = round(time.monotonic() - began_s, 1)
        figures.per_s = round(done / figures.seconds, 1)
        self._measure(slow)
        self._settle()
        figures.published = dict(self._published)
        figures.last_mb, figures.peak_mb = _memory_mb(pid, "VmRSS"), _memory_mb(pid, "VmHWM")
        self._client.close()

    def _measure(self, slow: list[list[HostileMessage]]) -> None:
        """Fills in the latencies. What was slow is tried alone, so that another program's load is no fault."""
        figures, found = self._figures, sorted(self._latencies)
        figures.slow_windows = len(slow)
        figures.answer_median_s = round(found[len(found) // 2], 3)
        figures.answer_99_s = round(found[len(found) * 99 // 100], 3)
        figures.answer_longest_s = round(found[-1], 3)
        again = count(1 << 40)
        for window in slow[:_ALONE]:
            for message in window:
                self._publish(message.renumbered(next(again)))
                if self._answered(self._probe(), [message]) > _MOST_S:
                    figures.slow.append(self._keep([message]))

    def _publish(self, message: HostileMessage) -> None:
        topic = (
            f"ishowtts/{message.topic}"
            if message.topic.startswith("group/")
            else f"{self._appliance.root}/{message.topic}"
        )
        self._published[message.kind] += 1
        self._figures.commands_unread += message.is_no_command
        if message.topic == "render" and (correlation := message.correlation) is not None:
            self._tally.renders.add(correlation)
        self._client.publish(topic, message.payload, message.properties)
        self._client.step()

    def _probe(self) -> str:
        """Publishes a line. Its `accepted` event says that everything before it was acknowledged."""
        self._probes += 1
        self._published["line"] += 1
        line_id = f"probe-{self._figures.seed}-{self._probes}"
        self._tally.probes[line_id] = time.monotonic()
        body = json.dumps({"id": line_id, "text": f"Probe {self._probes}.", "ttl_s": 1})
        self._client.publish(f"{self._appliance.root}/say", body.encode())
        return line_id

    def _answered(self, probe: str, window: list[HostileMessage]) -> float:
        try:
            self._until(lambda: probe not in self._tally.probes, "the probe is answered", _ANSWER_S)
        except AssertionError as error:
            raise AssertionError(f"the daemon hangs: {error}; it was given {self._keep(window)}") from error
        self._latencies.append(self._tally.latencies.pop(probe))
        return self._latencies[-1]

    def _keep(self, window: list[HostileMessage]) -> str:
        """Writes payloads to a file, for the corpus."""
        path = self._folder / f"payloads-{self._probes}.txt"
        path.write_text("".join(f"{each.topic} {each.properties!r} {each.payload!r}\n" for each in window))
        return str(path)

    def _settle(self) -> None:
        """Waits until everything is accounted for. What is then missing is a fault."""
        # A pause among the payloads holds a line that was just taken, and that line does not expire.
        self._client.publish(f"{self._appliance.root}/command", b"resume")
        with suppress(AssertionError):
            self._until(self._is_settled, "everything is accounted for", _SETTLE_S)
        tally, figures = self._tally, self._figures
        counts = tally.events
        figures.accepted, figures.replayed = counts["accepted"], tally.replayed
        figures.rejected, figures.duplicates = counts["rejected"], counts["duplicate"]
        figures.outcomes = {name: counts[name] for name in sorted(FINAL - {"rejected"})}
        figures.unaccounted = self._missing()
        figures.untold = [name for name, balance in tally.balance.items() if balance > 0][:20]
        figures.told_twice = [name for name, balance in tally.balance.items() if balance < 0][:20]
        figures.commands_unanswered = figures.commands_unread - tally.commands_unread
        figures.renders = len(tally.renders)
        figures.renders_open = len(tally.renders - tally.renders_ended.keys())
        figures.renders_told_twice = sum(ends > 1 for ends in tally.renders_ended.values())

    def _is_settled(self) -> bool:
        tally = self._tally
        if tally.commands_unread != self._figures.commands_unread:
            return False
        return not self._missing() and not tally.balance and tally.renders <= tally.renders_ended.keys()

    def _missing(self) -> int:
        counts = self._tally.events
        told = counts["accepted"] - self._tally.replayed + counts["rejected"] + counts["duplicate"]
        return self._published["line"] - told

    def _until(self, holds: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
            self._client.step(0.05)


def _fuzzed(figures: Figures, folder: Path, name: str, seconds: float) -> list[bytes]:
    """Fuzzes a target. Returns the inputs that found new code."""
    place = folder / f"fuzz.{name}"
    place.mkdir()
    command = [sys.executable, "-m", "support.fuzzing", name, "--seconds", str(seconds), "--folder", str(place)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    told = json.loads(done.stdout or "{}")
    figures.fuzzed[name] = f"{told.get('executions')} executions, {told.get('covered')} edges"
    if done.returncode != 0:
        figures.fuzz_faults[name] = str(told.get("fault", done.stderr[-1000:]))
    kept = sorted((place / CORPUS_FOLDER).glob("*")) if name in CORPORA else []
    return [path.read_bytes() for path in kept]


def _memory_mb(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return round(int(status.split(f"{name}:")[1].split()[0]) / 1024, 1)
