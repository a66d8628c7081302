"""Thousands of lines on a real sound device while everything around them fails at once.

The natural voice leads. In every third life of the daemon F5 does, with a tiny random checkpoint, until it is found to
be too slow for the machine. A gateway with clients is attached, and Home Assistant's discovery is on. Daemon, workers,
broker and gateway are killed, workers are stopped and starved, the sound device is lost, the disk is full, and the
daemon's wall clock jumps. All of that happens at random moments and may overlap.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from sqlite3 import Error as SqliteError
from typing import Any

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.endurance import audit, mixed_lines
from support.endurance.fault_injection import (
    WORKER_FAULTS,
    FaultThreads,
    Inject,
    Lives,
    fill_disk,
    harm_workers,
    jump,
    kill_broker,
    left_over,
    lose_device,
    restart_gateway,
    small_disk,
    unmount,
)
from support.endurance.fault_plan import Plan
from support.endurance.figures import faults_of
from support.endurance.final_events import FinalEvents
from support.endurance.gateway_clients import GatewayClients
from support.endurance.queue_file import lost_with_broker, open_texts, rows_of
from support.gateway_process import GatewayProcess
from support.publisher import Publisher
from support.pulse import Pulse
from support.quick_daemon import read_notes
from support.waiting import eventually
from support.wall_clock import WallClock

_GATEWAY_WITHIN_S = 10.0
_WAITING = 10  # lines in the queue, at most, while the daemon takes them
_LINES_PER_S = 8.0  # at most; while the daemon is away, they wait at the broker
_DISK_MB = 64
_SETTLE_S = 120.0


@dataclass
class AllFaults(audit.Audit):
    """What came of a run; see also the attributes of `audit.Audit`.

    Attributes:
        injected: How often each fault was injected. `skipped`: faults that this machine does not allow, and why.
        gateway_answered_s: The longest time from a start of the gateway to its first answer.
        gateway_requests: Answers of the gateway by status while it ran. `gateway_faults`: what it should not answer.
        discovery: What is wrong with the message for Home Assistant at the end.
        daemon: What is wrong with the daemon's processes: a traceback, an end that nobody asked for, a worker that is
            left over.
    """

    seed: int = 0
    seconds: float = 0.0
    injected: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    gateway_answered_s: float = 0.0
    gateway_requests: dict[str, int] = field(default_factory=dict)
    gateway_faults: list[str] = field(default_factory=list)
    discovery: list[str] = field(default_factory=list)
    daemon: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be, by name; empty if all is well."""
        names = (*audit.FAULTS, "gateway_faults", "discovery", "daemon")
        return faults_of(self, names)


def all_faults(folder: Path, plan: Plan) -> AllFaults:
    """Carries out a plan in an empty folder."""
    assert plan.lines <= mixed_lines.MOST
    with ExitStack() as stack:
        run = _Run(folder, plan, stack)
        run.speak()
        return run.audit()


class _Run:
    """One run: everything that is started, and what is known of it."""

    def __init__(self, folder: Path, plan: Plan, stack: ExitStack) -> None:
        self._folder, self._plan, self._stack = folder, plan, stack
        self._chance = random.Random(plan.seed)
        self._began_s = time.monotonic()
        self._out = AllFaults(seed=plan.seed)
        for name in ("broker", "gateway", "state"):
            (folder / name).mkdir()
        self._counts = dict(plan.counts)
        self._mount()
        self._pulse = stack.enter_context(
            Pulse(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulse-"))))
        )
        self._device_spans: list[tuple[float, float]] = []
        self._broker = stack.enter_context(Broker(folder / "broker", saves_changes=True))
        self._clock = WallClock(folder) if plan.clock_jumps else None
        environment = self._pulse.environment | (self._clock.environment if self._clock else {})
        quick = ["--heard", "--engine-as-configured"]
        self._appliance = Appliance(folder, self._broker, self._settings(), environment, quick_s=0.1, quick=quick)
        self._daemon = Lives(lambda: self._appliance.stop(SIGKILL), self._start_daemon)
        stack.enter_context(self._appliance)
        self._events = stack.enter_context(FinalEvents(self._broker, self._appliance.root))
        with Client(self._broker.host, self._broker.port) as client:
            self._appliance.wait_ready(client)
        self._broker.save()
        address = (self._broker.host, self._broker.port)
        gateway = GatewayProcess(folder / "gateway", address, {"controls": "say"})
        stack.enter_context(gateway)
        self._gateway = restart_gateway(gateway)
        self._clients = stack.enter_context(GatewayClients(gateway.url, self._gateway))
        self._publishers = [
            stack.enter_context(closing(Publisher(*address, f"{self._appliance.root}/{topic}")))
            for topic in ("say", "say", "urgent")
        ]
        self._lost_at_broker: set[int] = set()
        self._hostile: set[int] = set()

    def _mount(self) -> None:
        if not self._counts.get("full disk"):
            return
        state = self._folder / "state"
        if (problem := small_disk(state, _DISK_MB)) is not None:
            self._out.skipped["full disk"] = problem
            del self._counts["full disk"]
        else:
            self._stack.callback(unmount, state)
            self._stack.callback(shutil.copytree, state, self._folder / "state at the end")

    def _settings(self) -> dict[str, Any]:
        lines = self._plan.lines
        return {
            "engine": self._engine("hibari"),
            "audio": {"device": self._pulse.pcm},
            "queue": {"max_lines": 10 * lines, "dedup_s": 86_400, "history_days": 10_000, "history_mb": 48},
            "limits": {"min_free_mb": 4},
            "text": {"normalise": False},
        }

    def _engine(self, kind: str) -> dict[str, Any]:
        engine: dict[str, Any] = {
            "kind": kind,
            "fallback": True,
            "restart": {"park_deaths": 10_000},
        }
        if self._plan.f5 is not None:
            engine["f5"] = {"weights": str(self._plan.f5), "device": "cpu", "nfe_step": 4}
        return engine

    def _start_daemon(self) -> None:
        f5_leads = self._plan.f5 is not None and len(self._daemon.starts_s) % 3 == 2
        self._appliance.configure(engine=self._engine("auto" if f5_leads else "hibari"))
        self._appliance.start()

    def _injections(self) -> dict[str, Inject]:
        inject: dict[str, Inject] = {
            "daemon": self._daemon.kill,
            "broker": kill_broker(self._broker, self._broker_was_killed),
            "gateway": self._gateway.kill,
            "device": lose_device(self._pulse, self._device_spans),
            "full disk": fill_disk(self._folder / "state"),
        }
        if self._clock is not None:
            inject["clock"] = jump(self._clock)
        for kind in ("hibari", "f5"):
            inject |= {f"{kind} {fault}": harm_workers(kind, fault, self._appliance) for fault in WORKER_FAULTS}
        return inject

    def _broker_was_killed(self, killed_s: float) -> None:
        for publisher in self._publishers:
            texts = {number: mixed_lines.word_of(number) for number in list(publisher.published)}
            self._lost_at_broker |= lost_with_broker(self._appliance.folder, self._broker, publisher, killed_s, texts)

    def speak(self) -> None:
        """Publishes the lines while the faults are injected, and waits until all have an outcome."""
        counts = {name: count for name, count in self._counts.items() if count}
        with FaultThreads(counts, self._injections(), self._plan.seed) as threads:
            self._publish(threads)
            self._threads = threads
        threads.raise_error()
        for publisher in self._publishers:
            publisher.finish(60)
        with suppress(AssertionError):  # the audit says what is missing
            eventually(self._settled, "the outcomes", _SETTLE_S)
        self._spoken_s = time.monotonic()

    def _publish(self, threads: FaultThreads) -> None:
        kinds, shares = list(mixed_lines.KINDS), list(mixed_lines.KINDS.values())
        number, next_s, look_s, waiting = 0, 0.0, 0.0, 0
        while number < self._plan.lines or threads.busy:
            threads.raise_error()
            now_s = time.monotonic()
            if now_s >= look_s:
                waiting, look_s = self._waiting(), now_s + 0.25
            if number < self._plan.lines and waiting < _WAITING and now_s >= next_s:
                kind = self._chance.choices(kinds, shares)[0]
                payload = mixed_lines.payload_of(number, kind, self._chance)
                if kind == "hostile":
                    self._hostile.add(number)
                self._publishers[2 if kind == "urgent" else number % 2].publish(number, payload)
                number, next_s, waiting = number + 1, now_s + 1 / _LINES_PER_S, waiting + 1
                threads.progress = min(0.999, number / self._plan.lines)
            elif number == self._plan.lines:
                threads.progress = 1.0
            for publisher in self._publishers:
                publisher.step(0.01)

    def _waiting(self) -> int:
        """How many lines have no outcome. Many if the file cannot be read now."""
        try:
            return len(open_texts(rows_of(self._folder)))
        except SqliteError:
            return _WAITING

    def _settled(self) -> bool:
        time.sleep(0.2)
        with suppress(SqliteError):
            rows = rows_of(self._folder)
            known = {mixed_lines.number_of(row["text"]) for row in rows} | self._lost_at_broker
            return known >= set(range(self._plan.lines)) and not open_texts(rows)
        return False

    def audit(self) -> AllFaults:
        """Stops everything, and compares the file, the events and what was heard."""
        out = self._out
        with Client(self._broker.host, self._broker.port) as client:
            out.discovery = audit.discovery_faults(client, self._appliance.root)
        self._events.settle(self._folder, 10)
        self._clients.stop()
        ended = self._appliance.process is None or self._appliance.process.poll() is not None
        self._appliance.stop()
        left = left_over(*next(iter(self._pulse.environment.items())))
        published: Counter[int] = sum((each.published for each in self._publishers), Counter())
        seen = audit.Seen(
            rows_of(self._folder),
            self._events.finals,
            read_notes(self._appliance.notes),
            published,
            self._lost_at_broker,
            self._hostile,
            self._daemon.spans(self._spoken_s),
            [*self._device_spans, (self._pulse.up_at, self._spoken_s)],
            self._threads.injected,
        )
        audit.audit(out, seen, self._plan.most_silent_s)
        out.injected = dict(Counter(each.kind for each in self._threads.injected))
        out.gateway_answered_s = round(max(self._gateway.answered_after_s, default=0.0), 1)
        out.gateway_requests = dict(self._clients.answers)
        out.gateway_faults = self._clients.faults
        if out.gateway_answered_s > _GATEWAY_WITHIN_S:
            out.gateway_faults.append(f"it answered after {out.gateway_answered_s} s")
        out.daemon = [
            *(["it ended"] if ended else []),
            *(f"left over: {each}" for each in left),
            *audit.tracebacks(self._appliance.log),
        ]
        out.seconds = round(time.monotonic() - self._began_s, 1)
        return out
