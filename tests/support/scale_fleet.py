"""Starts many daemons, boards and stages, and measures what they take of the machine. Part of scripts/bench-scale."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from support.appliance import Appliance
from support.broker_sets import Address
from support.quick_daemon import read_notes

READY = ("ready", "speaking", "degraded")
_STOP_S = 30.0


@dataclass(frozen=True)
class Costs:
    """What one segment costs and how long it sounds, in seconds; the same for every board."""

    cost_s: float
    sound_s: float


class FleetMember(Appliance):
    """One daemon of many.

    Args:
        name: its device name.
        costs: of its engine; `None`: the engine of `settings`.
    """

    def __init__(
        self, folder: Path, broker: Address, name: str, settings: dict[str, Any], costs: Costs | None = None
    ) -> None:
        folder.mkdir(parents=True)
        self.name = name
        self.root = f"ishowtts/{name}"
        self._costs = costs
        common = {"device": {"name": name}, "telemetry": {}, "log": {"level": "warning"}}
        super().__init__(folder, broker, {**common, **settings})

    def _program(self) -> list[str]:
        arguments = ["support.scale_daemon", "--notes", str(self.notes)]
        if self._costs is not None:
            arguments += ["--cost-s", str(self._costs.cost_s), "--sound-s", str(self._costs.sound_s)]
        return arguments

    @property
    def runs(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.stop(signal.SIGKILL)


class Fleet:
    """Many daemons at brokers, each at the next of them in turn.

    Args:
        folder: an empty folder for theirs.
        brokers: where they connect.
        ready: returns the names of the daemons that have reported that they are ready.
    """

    def __init__(self, folder: Path, brokers: Sequence[Address], ready: Callable[[], set[str]]) -> None:
        self._folder = folder
        self._brokers = brokers
        self._ready = ready
        self.members: dict[str, FleetMember] = {}

    def add(self, name: str, settings: dict[str, Any], costs: Costs | None = None) -> FleetMember:
        """Starts a daemon. It is ready later."""
        broker = self._brokers[len(self.members) % len(self._brokers)]
        member = self.members[name] = FleetMember(self._folder / name, broker, name, settings, costs)
        member.start()
        return member

    def wait_ready(self, names: Sequence[str], timeout_s: float) -> float:
        """Waits until these are ready. Returns the seconds that it took."""
        began_s = time.monotonic()
        while missing := set(names) - self._ready():
            for name in missing:
                if not self.members[name].runs:
                    raise RuntimeError(f"{name} has ended:\n{self.members[name].log[-2000:]}")
            if time.monotonic() - began_s > timeout_s:
                example = self.members[min(missing)]
                raise RuntimeError(
                    f"{len(missing)} of {len(names)} daemons were not ready within {timeout_s:.0f} s; the log of "
                    f"{example.name}:\n{example.log[-2000:]}"
                )
            time.sleep(0.1)
        return time.monotonic() - began_s

    def named(self, prefix: str) -> list[FleetMember]:
        """Returns the daemons whose names begin so, in the order in which they were added."""
        return [member for name, member in self.members.items() if name.startswith(prefix)]

    def notes(self, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the notes of these daemons, with their names."""
        for member in self.named(prefix):
            for note in read_notes(member.notes):
                yield member.name, note

    def close(self) -> None:
        """Ends all of them, side by side."""
        running = [member for member in self.members.values() if member.runs]
        for member in running:
            assert member.process is not None
            member.process.send_signal(signal.SIGTERM)
        ends_s = time.monotonic() + _STOP_S
        for member in running:
            assert member.process is not None
            with suppress(Exception):
                member.process.wait(max(0.1, ends_s - time.monotonic()))
        for member in running:
            member.end()


class MachineLoad:
    """CPU time of some processes from now on, and their memory."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                self._processes.append(psutil.Process(pid))
        self._began_s = time.monotonic()
        self._before = self._cpu_s()

    def share(self) -> float:
        """Returns the share of one core that they took. Processes that have ended since do not count."""
        passed_s = time.monotonic() - self._began_s
        after = self._cpu_s()
        spent_s = sum(after[pid] - before for pid, before in self._before.items() if pid in after)
        return spent_s / max(passed_s, 0.001)

    def memory_mb(self) -> float:
        """Returns their memory, with shared pages divided among those that share them (PSS)."""
        total = 0
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / 1e6

    def _cpu_s(self) -> dict[int, float]:
        found = {}
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = float(times.user + times.system)
        return found
