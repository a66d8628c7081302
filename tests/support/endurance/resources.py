"""Speaks many short lines on a real ALSA device, and checks that files, threads and memory do not grow."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.pulse import Pulse, missing
from support.waiting import eventually

_AHEAD = 20  # lines that wait in the queue at most
_LOSSES = 5  # of the device, evenly over the run, where it can be lost


@dataclass(frozen=True)
class Held:
    """By the daemon's process, after so many lines; `rss_mb` in 10^6 bytes."""

    lines: int
    rss_mb: float
    threads: int
    descriptors: int


@dataclass
class Drift:
    """What came of a run.

    Attributes:
        unfinished: ids of lines with another outcome than `finished`.
        underruns, device_losses: as telemetry counted them.
    """

    device: str
    seconds: float = 0.0
    held: list[Held] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    underruns: int = 0
    device_losses: int = 0

    def slopes(self) -> dict[str, float]:
        """What 1,000 lines add, by a straight line through all but the first: the start fills caches."""
        settled = self.held[1:]
        lines = np.array([each.lines for each in settled]) / 1000
        names = ("rss_mb", "threads", "descriptors")
        return {
            name: round(float(np.polyfit(lines, [getattr(each, name) for each in settled], 1)[0]), 3) for name in names
        }

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be, by name; empty where all is well."""
        slopes = self.slopes()
        found: dict[str, Any] = {name: each for name, each in slopes.items() if each > _MOST_PER_1000[name]}
        if (most_mb := max(each.rss_mb for each in self.held)) > _MOST_RSS_MB:
            found["most_rss_mb"] = most_mb
        return {**found, **({"unfinished": self.unfinished} if self.unfinished else {})}

    def table(self) -> str:
        """For a reader."""
        rows = [f"{each.lines:6} {each.rss_mb:8.1f} {each.threads:8} {each.descriptors:12}" for each in self.held]
        return "\n".join([" lines   RSS MB  threads  descriptors", *rows, f"per 1,000 lines: {self.slopes()}"])


_MOST_RSS_MB = 120.0  # with levelling, grammars, and PulseAudio's library
# A thread or descriptor left behind by each loss, or by each hundredth line, is more than this.
_MOST_PER_1000 = {"rss_mb": 3.0, "threads": 1.0, "descriptors": 1.0}


def drift(folder: Path, lines: int, *, sound_s: float = 0.05, every: int = 100) -> Drift:
    """Speak so many lines in an empty folder, and look every so many."""
    with ExitStack() as stack:
        pulse: Pulse | None = None
        if missing() is None:
            pulse = stack.enter_context(Pulse(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulse-")))))
            device, environment = pulse.pcm, pulse.environment
        else:
            asoundrc = folder / "asoundrc"
            nowhere = 'pcm.tofile { type plug slave.pcm { type file file "/dev/null" slave.pcm null } }'
            asoundrc.write_text(f"</usr/share/alsa/alsa.conf>\n{nowhere}\n", encoding="utf-8")
            device, environment = "tofile", {"ALSA_CONFIG_PATH": str(asoundrc)}
        (folder / "broker").mkdir()
        broker = stack.enter_context(Broker(folder / "broker"))
        settings = {"audio": {"device": device, "volume": 100}}
        appliance = stack.enter_context(
            Appliance(folder, broker, settings, environment, quick_s=sound_s, quick=["--aloud"])
        )
        client = stack.enter_context(Client(broker.host, broker.port))
        appliance.wait_ready(client)
        out, process, began_s = Drift(device), psutil.Process(appliance.pid), time.monotonic()
        for done in range(0, lines, every):
            client.forget()
            spoken = _speak(appliance, client, range(done, done + every))
            if pulse is not None and done % max(every, lines // _LOSSES) == 0:
                pulse.kill()
                pulse.start()
            out.unfinished += spoken()
            out.held.append(
                Held(done + every, process.memory_info().rss / 1e6, process.num_threads(), process.num_fds())
            )
        client.forget()
        sound = client.wait_for(f"{appliance.root}/telemetry").json["audio"]
        out.underruns, out.device_losses = sound["underruns"], sound["device_losses"]
        out.seconds = round(time.monotonic() - began_s, 1)
        return out


def _speak(appliance: Appliance, client: Client, numbers: range) -> Callable[[], list[str]]:
    """Publish lines as they are spoken; the answer waits for the last ones, and gives those that did not finish."""

    def finals() -> list[dict[str, Any]]:
        return [event for event in appliance.events(client) if event["event"] in FINAL]

    def ended(at_least: int) -> None:
        eventually(lambda: len(finals()) >= at_least, f"the end of {at_least} lines", 60)

    def unfinished() -> list[str]:
        ended(len(numbers))
        return [event["id"] for event in finals() if event["event"] != "finished"]

    for published, number in enumerate(numbers, start=1):
        appliance.say(client, f"This is line {number}.")
        ended(published - _AHEAD)
    return unfinished
