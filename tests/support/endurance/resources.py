"""Uses an appliance and a gateway for a day, and checks that nothing grows: memory, threads, files, disk, latency."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from support.endurance.day_of_use import PARTS, Day, Plan, open_day
from support.endurance.resource_usage import HEAD, Growth, Usage, folder_mb, growth, row, usage, workers

_FREED_S = 1.5  # a worker without work for 1 s gives freed memory back
_SETTLED = 0.2  # of the lines come before the first sample that counts

# What 1,000 lines may add at most. It is a fault if the lower bound of the growth is above it.
_MOST_PER_1000 = {
    "rss_mb": 1.0,
    "pss_mb": math.inf,  # it grows when another process ends that had the same pages
    "anonymous_mb": 0.5,
    "threads": 0.2,
    "descriptors": 0.2,
    "children": 0.2,
    "disk_mb": 0.5,
    "latency_ms": 5.0,
}


@dataclass(frozen=True)
class Sample:
    """What was measured after so many lines: processes by name, `state_dir` and `cache_dir`, lines said alone."""

    lines: int
    processes: dict[str, Usage]
    disk_mb: dict[str, float]
    latencies_ms: list[float]


@dataclass
class DayOfUse:
    """What came of a day.

    Attributes:
        seconds: How long it took.
        outcomes: How many lines had each outcome, and by which engine the finished ones were spoken.
        wrong: The final events of lines with another outcome than they should have.
        pids: The pids that each process had. More than one is a fault.
        growth: Of each value of each process, of each folder, and of the fastest line of each sample; over all samples
            but those of the first fifth of the lines.
        latency_ms: For each tenth of the day: its last line, and the median and the 99th percentile of the time from
            PUBLISH to the event `started`, both as a publisher sees them.
        device_losses: As telemetry counted them.
        broken: Other things that should not be.
    """

    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    pids: dict[str, list[int]] = field(default_factory=dict)
    growth: dict[str, Growth] = field(default_factory=dict)
    latency_ms: list[tuple[int, float, float]] = field(default_factory=list)
    device_losses: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be, by name; empty if all is well."""
        grown: dict[str, Any] = {
            name: found
            for name, found in self.growth.items()
            if found.low is not None and found.low > _MOST_PER_1000[name.split()[-1]]
        }
        restarted = {f"restarted {name}": pids for name, pids in self.pids.items() if len(pids) != 1}
        lists = {name: found for name in ("wrong", "broken") if (found := getattr(self, name))}
        return {**grown, **restarted, **lists}

    def table(self) -> str:
        """Returns it for a reader."""
        latency = [f"{lines:8} {median:8.1f} {most:8.1f}" for lines, median, most in self.latency_ms]
        grown = [row(name, found) for name, found in self.growth.items()]
        return "\n".join([HEAD, *grown, f"{'lines':>8} {'ms':>8} {'99th':>8}", *latency, f"{self.outcomes}"])


def spend_day(folder: Path, plan: Plan) -> DayOfUse:
    """Says so many lines in an empty folder, and measures every so many. The samples are in its `samples.jsonl`."""
    out, began_s, samples = DayOfUse(), time.monotonic(), list[Sample]()
    with open_day(folder, plan) as day:
        for done in range(0, plan.lines, plan.every):
            latencies_ms = day.say_lines(range(done, min(done + plan.every, plan.lines)))
            day.disturb(PARTS[done // plan.every % len(PARTS)])
            samples.append(_measure(day, plan, min(done + plan.every, plan.lines), latencies_ms, out.pids))
            with (folder / "samples.jsonl").open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(samples[-1]))}\n")
        day.client.forget()
        telemetry = day.client.wait_for(f"{day.appliance.root}/telemetry").json
        out.device_losses = telemetry["audio"]["device_losses"]
        out.outcomes, out.wrong = dict(day.outcomes), day.wrong
        logs = day.appliance.log + (day.gateway.log if day.gateway else "")
        out.broken += ["a log has a traceback"] if "Traceback" in logs else []
    out.seconds = round(time.monotonic() - began_s, 1)
    _judge(out, samples, plan)
    return out


def _measure(day: Day, plan: Plan, lines: int, latencies_ms: list[float], known: dict[str, list[int]]) -> Sample:
    """Measures every process and folder, after the workers have given back what they do not need."""
    pids = {"daemon": day.appliance.pid}
    if plan.natural:
        time.sleep(_FREED_S)
        pids |= workers(day.appliance.pid)
    if day.gateway is not None:
        pids["gateway"] = day.gateway.pid
    for name, pid in pids.items():
        if pid not in known.setdefault(name, []):
            known[name].append(pid)
    folders = {name: folder_mb(day.appliance.folder / name) for name in ("state", "cache", "recordings")}
    return Sample(lines, {name: usage(pid) for name, pid in pids.items()}, folders, latencies_ms)


def _judge(out: DayOfUse, samples: list[Sample], plan: Plan) -> None:
    """Fills in what the samples show."""
    settled = [each for each in samples if each.lines > plan.lines * _SETTLED]
    lines = [each.lines for each in settled]
    for name in out.pids:
        present = [each for each in settled if name in each.processes]  # a worker that is started again may be away
        for value in Usage.__dataclass_fields__ if present else ():
            found = [getattr(each.processes[name], value) for each in present]
            out.growth[f"{name} {value}"] = growth([each.lines for each in present], found)
    for name in settled[-1].disk_mb:
        out.growth[f"{name} disk_mb"] = growth(lines, [each.disk_mb[name] for each in settled])
    # Other work on the machine makes most lines slower, but seldom all lines of a sample.
    out.growth["fastest latency_ms"] = growth(lines, [min(each.latencies_ms) for each in settled])
    for part in np.array_split(np.arange(len(samples)), min(10, len(samples))):
        all_ms = [each for index in part for each in samples[index].latencies_ms]
        at = samples[part[-1]].lines
        out.latency_ms.append((at, *(round(float(each), 1) for each in np.percentile(all_ms, (50, 99)))))
