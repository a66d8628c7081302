"""Harms the worker of the natural voice in the middle of lines, and checks by ear that no word is lost."""

from __future__ import annotations

import os
import random
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics.asr import Asr
from ishowtts_bench.metrics.edit_distance import align
from ishowtts_bench.metrics.spelling import tokens
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.endurance.figures import faults_of
from support.service_process import DAEMON, TESTS
from support.waiting import eventually

FAULTS = ("kill", "stop", "no_memory", "no_cpu")
SEGMENT_S = 5  # the deadline after which a worker that is stopped is killed
_LINE_S = 180.0
_MOST_IN_A_ROW = 4  # words that Whisper misses or invents; the shortest segment has seven
_SPEED = 1.5
_ENGINE = {
    "kind": "hibari",
    "fallback": True,
    "deadlines": {"segment_s": SEGMENT_S},
    "restart": {"first_s": 0.1, "longest_s": 0.5, "park_deaths": 1000},
}
LINE = (
    "Here is a line with several segments. While the first of them is heard, something happens to the process "
    "that makes the others. The morning train was late again, so the people on the platform talked about the "
    "weather and the price of coffee. In the afternoon the gardener watered the roses, repaired the wooden fence "
    "and fed the neighbour's cat. At night the lighthouse turned slowly above the harbour, and every ship in the "
    "bay could see it. Whoever listens must hear each of these words once, whichever voice says them, and then "
    "the line is over."
)


@dataclass
class EngineFaults:
    """What came of it. Lists name what is wrong; they are empty if all is well.

    Attributes:
        harmed: How often the worker was harmed, by kind.
        spoken_by: How many lines were spoken by each engine, or by which ones after one another.
        restarts: How often the worker was started again.
        longest_gap: The most words in a row that were missing or too much, by Whisper's ear.
        unfinished: Events of lines that did not end as `finished`.
        misheard: Transcripts of lines that are incomplete, or have too much.
        daemon: What is wrong with the daemon's own process.
    """

    harmed: dict[str, int]
    seconds: float = 0.0
    spoken_by: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    longest_gap: int = 0
    unfinished: list[dict[str, Any]] = field(default_factory=list)
    misheard: list[str] = field(default_factory=list)
    daemon: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[Any]]:
        """What should not be, by name; empty if all is well."""
        names = ("unfinished", "misheard", "daemon")
        return faults_of(self, names)


def harm_worker(folder: Path, count: int, seed: int) -> EngineFaults:
    """Speaks as many lines as there are faults, in an empty folder."""
    chance = random.Random(seed)
    kinds = [FAULTS[number % len(FAULTS)] for number in range(count)]
    chance.shuffle(kinds)
    out, began_s, spoken_by = EngineFaults(dict(Counter(kinds))), time.monotonic(), Counter[str]()
    with _appliance(folder, _ENGINE) as (appliance, client):
        pid, asr = appliance.pid, Asr()
        for number, kind in enumerate(kinds):
            worker = _ready_worker(appliance, client)
            before = soundfile.info(appliance.sound).frames if appliance.sound.exists() else 0
            line_id = appliance.say(client, LINE, seed=number, speed=_SPEED)
            _wait_for_event(appliance, client, line_id, chance.choice(("accepted", "started")))
            time.sleep(chance.uniform(0, 0.2))
            with _harmed(kind, worker):
                event = appliance.final(client, line_id, _LINE_S)
            if event["event"] != "finished":
                out.unfinished.append({"fault": kind, **event})
                continue
            spoken_by["+".join(event.get("engines") or [event["engine"]])] += 1
            _listen(out, asr, appliance.sound, before, kind)
        _ready_worker(appliance, client)
        out.restarts = client.wait_for(f"{appliance.root}/telemetry").json["engine"]["restarts"]
        if appliance.process is None or appliance.process.poll() is not None or appliance.pid != pid:
            out.daemon.append("it ended")
    if "Traceback" in appliance.log:
        out.daemon.append("its log has a traceback")
    out.spoken_by, out.seconds = dict(spoken_by), round(time.monotonic() - began_s, 1)
    return out


@contextmanager
def _appliance(
    folder: Path, engine: dict[str, Any], environment: dict[str, str] | None = None
) -> Iterator[tuple[Appliance, Client]]:
    """Starts broker and daemon; yields the daemon when it is ready or says what it lacks, with a client."""
    (folder / "broker").mkdir(parents=True)
    with (
        Broker(folder / "broker") as broker,
        Appliance(folder, broker, {"engine": engine}, environment) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        appliance.wait_ready(client, "ready", "degraded")
        yield appliance, client


def _ready_worker(appliance: Appliance, client: Client) -> int:
    """Returns the pid of the worker once it is ready."""
    client.forget()
    telemetry = client.wait_for(
        f"{appliance.root}/telemetry", lambda message: message.json["engine"]["state"] == "ready", timeout_s=60
    )
    return int(telemetry.json["engine"]["pid"])


def _wait_for_event(appliance: Appliance, client: Client, line_id: str, name: str) -> None:
    client.wait_for(
        f"{appliance.root}/event", lambda message: (message.json["id"], message.json["event"]) == (line_id, name)
    )


@contextmanager
def _harmed(kind: str, worker: int) -> Iterator[None]:
    """Harms the worker for as long as the line lasts."""
    if kind == "kill":
        os.kill(worker, signal.SIGKILL)
        yield
    elif kind == "stop":
        os.kill(worker, signal.SIGSTOP)  # until the deadline: then it is killed
        yield
    elif kind == "no_memory":
        with _limited_memory(worker):
            yield
    else:
        with _throttled(worker):
            yield


@contextmanager
def _limited_memory(worker: int) -> Iterator[None]:
    """Lets the worker have no more memory than it has now."""
    limits = resource.prlimit(worker, resource.RLIMIT_AS)
    resource.prlimit(worker, resource.RLIMIT_AS, (psutil.Process(worker).memory_info().vms, limits[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(worker, resource.RLIMIT_AS, limits)


@contextmanager
def _throttled(worker: int) -> Iterator[None]:
    """Lets the worker run for 1 ms out of 100 ms, as on a machine on which others take the CPU."""
    ended = threading.Event()

    def throttle() -> None:
        with suppress(ProcessLookupError):
            while not ended.is_set():
                os.kill(worker, signal.SIGSTOP)
                ended.wait(0.099)
                os.kill(worker, signal.SIGCONT)
                time.sleep(0.001)

    thread = threading.Thread(target=throttle, name="throttle")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _listen(out: EngineFaults, asr: Asr, sound: Path, start: int, kind: str) -> None:
    """Compares what was played since then with the line.

    Whisper often stops where another voice begins. A line that it does not hear whole is heard again in parts.
    """
    samples, rate_hz = soundfile.read(sound, start=start, dtype="float32")
    reference = tokens(LINE, "en")
    for parts in ([samples], _parts(samples, rate_hz)):
        heard = tokens(" ".join(asr.transcribe(part, rate_hz, "en") for part in parts), "en")
        if (wrong := _longest_gap(reference, heard)) <= _MOST_IN_A_ROW:
            break
    else:
        out.misheard.append(f"{kind}: {' '.join(heard)}")
    out.longest_gap = max(out.longest_gap, wrong)


def _longest_gap(reference: list[str], heard: list[str]) -> int:
    """Returns how many words in a row are missing, or are too much. Words that were heard wrongly are neither."""
    steps = align(reference, heard)
    runs = groupby("missing" if j is None else "extra" if i is None else "" for i, j in steps)
    return max((len(list(run)) for kind, run in runs if kind), default=0)


def _parts(samples: FloatSamples, rate_hz: int) -> list[FloatSamples]:
    """Splits a sound in the middle of each pause of 0.15 s or more."""
    pause = round(0.15 * rate_hz)
    audible = np.flatnonzero(np.abs(samples) > 0.001)
    gaps = np.flatnonzero(np.diff(audible) > pause)
    return np.split(samples, (audible[gaps] + audible[gaps + 1]) // 2)


# Python runs this first in the daemon and in its workers.
_ABSENT = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))
"""


@dataclass
class Absences:
    """Which engine spoke while others were absent. `faults` is empty if it was the right one each time."""

    spoken_by: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, Any] = field(default_factory=dict)


def speak_with_absent_engines(folder: Path, lines: int) -> Absences:
    """Speaks lines without the natural voice's package, without F5's worker, and without both."""
    out = Absences()
    cases = {
        "hibari": ("hibari", ["hibari"], "espeak"),
        "f5": ("f5", [], "hibari"),
        "both": ("f5", ["hibari"], "espeak"),
    }
    for absent, (kind, packages, expected) in cases.items():
        place = folder / absent
        (place / "site").mkdir(parents=True)
        (place / "site" / "sitecustomize.py").write_text(_ABSENT.format(absent=packages))
        environment = {"PYTHONPATH": f"{place / 'site'}:{DAEMON}:{TESTS}"}
        engine: dict[str, Any] = {"kind": kind, "fallback": True}
        if kind == "f5":
            engine["f5"] = {"weights": str(place / "nowhere")}
        with _appliance(place, engine, environment) as (appliance, client):
            if expected == "hibari":
                eventually(lambda: "the engine hibari is ready" in appliance.log, "the natural voice")
            events = [appliance.final(client, appliance.say(client, f"Line {n} is spoken.")) for n in range(lines)]
        out.spoken_by[absent] = [str(event.get("engine") or event["event"]) for event in events]
        if out.spoken_by[absent] != [expected] * lines or "Traceback" in appliance.log:
            out.faults[absent] = {"expected": expected, "events": events, "log": appliance.log[-2000:]}
    return out
