"""Measures the daemon's speed from PUBLISH to the sound device, and the speed of disk and broker to compare with.

`scripts/bench-ingest` runs this. The engine takes no time and each line sounds for 20 ms. Everything else is the real
daemon and a real broker, which saves as in the endurance tests. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from ishowtts.status.speech_figures import percentile
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.listener import Listener
from support.publisher import Publisher
from support.quick_daemon import code, height, read_notes
from support.waiting import eventually

SOUND_S = 0.02
WAITING = 3000
LONG = f"an endless line, {code(29_000)}"
MANY = b"one of many"
COMMANDS = ("skip", "stop", "pause", "mute", "volume")
GOALS = {"accepted_per_s": 1000, "first_sample_ms_p50": 10, "first_sample_ms_p99": 30, "command_ms": 50}
# A broker that saves writes its whole state again after each round of its loop. That limits every subscriber.
# The options are those of the endurance tests, except that packets are not logged and more messages can wait.
SAVES = ("autosave_interval 1", "autosave_on_changes true")
BROKERS: dict[str, tuple[str, ...]] = {"broker_saves": SAVES, "broker_in_memory": ("persistence false",)}
BROKER = ("max_queued_messages 100000", "log_type none", "log_type information")

Figures = dict[str, Any]


def main() -> int:
    """Returns the exit status, always 0. The reader judges whether the goals are met."""
    parser = argparse.ArgumentParser(prog="scripts/bench-ingest", description=__doc__)
    parser.add_argument("--lines", type=int, default=5000, help="number of lines in a flood")
    parser.add_argument("--slow-lines", type=int, default=400, help="number of lines for the latencies, at 20 a second")
    parser.add_argument("--repeat", type=int, default=3, help="number of floods of each kind")
    parser.add_argument("--only", nargs="+", choices=("floods", "latency", "commands"))
    parser.add_argument("--dir", type=Path, help="folder for the inbox; default: a temporary folder")
    arguments = parser.parse_args()
    parts = arguments.only or ("floods", "latency", "commands")
    with tempfile.TemporaryDirectory(prefix="ishowtts-bench-", dir=arguments.dir) as name:
        folder = Path(name)
        figures: Figures = {"cores": os.cpu_count(), "disk_syncs_per_s": sync_rate(folder)}
        with broker(folder / "alone", ()) as alone:
            figures["broker_round_trip_ms"] = round_trips(alone, 500)
        if "floods" in parts:
            figures["flood"] = floods(folder, arguments.lines, arguments.repeat)
        if "latency" in parts:
            figures["at_20_per_s"] = {
                kind: latency(folder / f"latency-{kind}", arguments.slow_lines, extra)
                for kind, extra in BROKERS.items()
            }
        if "commands" in parts:
            figures["commands_ms"] = commands(folder / "commands")
    for key, value in flatten(figures):
        print(f"{key:48} {value}")
    print(json.dumps({**figures, "goals": GOALS}))
    return 0


def sync_rate(folder: Path, seconds: float = 1.0) -> int:
    """Returns how many times a second the disk can append and sync 4 kB."""
    with (folder / "probe").open("wb", buffering=0) as probe:
        count, ends_s = 0, time.monotonic() + seconds
        while time.monotonic() < ends_s:
            probe.write(b"x" * 4096)
            os.fdatasync(probe.fileno())
            count += 1
    return round(count / seconds)


@contextmanager
def broker(folder: Path, extra: Sequence[str]) -> Iterator[Broker]:
    """Starts a broker in a folder of its own."""
    folder.mkdir(parents=True)
    with Broker(folder, extra=(*BROKER, *extra)) as started:
        yield started


@contextmanager
def appliance(folder: Path, extra: Sequence[str] = SAVES) -> Iterator[tuple[Appliance, Client]]:
    """Starts a daemon; yields it when it is ready, with a client."""
    with broker(folder / "broker", extra) as mosquitto:
        settings = {
            "queue": {"max_lines": 100_000, "max_age_s": 3600},
            "telemetry": {"interval_s": 5},
            "mqtt": {"host": mosquitto.host, "port": mosquitto.port},
        }
        with Appliance(folder, mosquitto, settings, quick_s=SOUND_S) as started:
            with Client(mosquitto.host, mosquitto.port) as client:
                started.wait_ready(client)
            with Client(mosquitto.host, mosquitto.port) as client:
                yield started, client


def round_trips(mosquitto: Broker, count: int) -> dict[str, float]:
    """Measures the time from a PUBLISH at QoS 1 to its delivery, one message after the other."""
    publisher = Publisher(mosquitto.host, mosquitto.port, "echo")
    with closing(publisher), Listener(mosquitto.host, mosquitto.port, "echo") as listener:
        sent = []
        for number in range(count):
            sent.append(time.monotonic())
            publisher.publish(number, str(number).encode())
            while len(listener.received) <= number:
                publisher.step(0.0005)
        publisher.finish(5)
        return percentiles([at - began for (at, _), began in zip(listener.received, sent, strict=True)])


def floods(folder: Path, lines: int, repeat: int) -> Figures:
    """Measures floods at full speed and at 1,000 lines a second for 10 s, and a client in C in place of the daemon."""
    found: Figures = {}
    for kind, extra in BROKERS.items():
        for turn in range(repeat):
            one: Figures = {
                **flood(folder / f"{kind}-{turn}", lines, extra, math.inf),
                "mosquitto_sub_per_s": broker_limit(folder / f"{kind}-{turn}-ceiling", lines, extra),
            }
            if kind == "broker_in_memory":
                one["at_1000_per_s"] = flood(folder / f"{kind}-{turn}-steady", 10_000, extra, 1000)
            for key, value in one.items():
                found.setdefault(kind, {}).setdefault(key, []).append(value)
    return found


def broker_limit(folder: Path, lines: int, extra: Sequence[str]) -> int:
    """Returns how many lines a second mosquitto_sub receives in a persistent session: the limit of the broker."""
    with broker(folder, extra) as mosquitto, (folder / "heard").open("wb") as out:
        address = ["-h", mosquitto.host, "-p", str(mosquitto.port)]
        words = [*address, "-i", "ceiling", "-c", "-q", "1", "-t", "ceiling", "-d"]
        subscriber = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", *words], stdout=out, stderr=out)
        heard = folder / "heard"
        try:
            eventually(lambda: b"Subscribed" in heard.read_bytes(), "the subscription of mosquitto_sub")
            publisher = Publisher(mosquitto.host, mosquitto.port, "ceiling")
            began_s = time.monotonic()
            with closing(publisher):
                send(publisher, lines, math.inf)
            eventually(lambda: heard.read_bytes().count(MANY) >= lines, "the lines", 120)
            return round(lines / (time.monotonic() - began_s))
        finally:
            subscriber.terminate()
            subscriber.wait()


def send(publisher: Publisher, lines: int, rate_per_s: float) -> None:
    """Publishes numbered lines and waits until the broker has confirmed them."""
    began_s = time.monotonic()
    for number in range(lines):
        while publisher.pending > 500 or time.monotonic() < began_s + number / rate_per_s:
            publisher.step(0.001)
        publisher.publish(number, b"%d is %s lines" % (number, MANY))
    publisher.finish(60)


def flood(folder: Path, lines: int, extra: Sequence[str], rate_per_s: float) -> Figures:
    """Measures one flood while the daemon speaks."""
    with appliance(folder, extra) as (daemon, client):
        host, port = client.address
        publisher = Publisher(host, port, f"{daemon.root}/say")
        with closing(publisher), Listener(host, port, f"{daemon.root}/event") as listener:
            idle = psutil.Process(daemon.pid).cpu_times()
            began_s = time.monotonic()
            send(publisher, lines, rate_per_s)
            published_s = time.monotonic()
            database = daemon.folder / "state" / "inbox.sqlite"
            with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)) as reader:
                stored = "SELECT coalesce(max(seq), 0) FROM lines"
                eventually(lambda: reader.execute(stored).fetchone()[0] >= lines, "the lines", 120)
            stored_s = time.monotonic()
            eventually(lambda: sum(b'"accepted"' in body for _, body in listener.received) >= lines, "the events", 120)
            spent = psutil.Process(daemon.pid).cpu_times()
            confirmed_s = max(at for at, body in listener.received if b'"accepted"' in body)
        return {
            "published_per_s": round(lines / (published_s - began_s)),
            "accepted_per_s": round(lines / (stored_s - began_s)),
            "backlog_ms": round(1000 * (stored_s - published_s)),
            "events_per_s": round(lines / (confirmed_s - began_s)),
            "cpu_us_per_line": round(1e6 * (spent.user + spent.system - idle.user - idle.system) / lines),
        }


def latency(folder: Path, lines: int, extra: Sequence[str]) -> Figures:
    """Measures the latencies of lines at 20 a second with a daemon and a broker of its own."""
    with appliance(folder, extra) as (daemon, client):
        return latency_of(daemon, client, lines)


def latency_of(daemon: Appliance, client: Client, lines: int) -> Figures:
    """Measures the latencies of lines at 20 a second, each of which is finished before the next arrives."""
    host, port = client.address
    publisher = Publisher(host, port, f"{daemon.root}/say")
    sent: dict[int, float] = {}
    with closing(publisher), Listener(host, port, f"{daemon.root}/event") as listener:
        publisher.publish(-1, b"the first line, which loads what the others need")
        eventually(lambda: sum(b'"finished"' in body for _, body in listener.received), "the first line")
        next_s = time.monotonic()
        for number in range(lines):
            while (left_s := next_s - time.monotonic()) > 0:
                publisher.step(min(left_s, 0.002))
            next_s += 0.05
            sent[number] = time.monotonic()
            publisher.publish(number, json.dumps({"id": str(number), "text": line_text(number)}).encode())
        publisher.finish(10)
        eventually(lambda: sum(b'"finished"' in body for _, body in listener.received) > lines, "the lines", 60)
        events = [(at, json.loads(body)) for at, body in listener.received]
    heard_at = first_samples(daemon.notes)
    found: Figures = {}
    for name in ("accepted", "started"):
        came = {int(event["id"]): at for at, event in events if event["event"] == name and event["id"].isdecimal()}
        found[f"{name}_ms"] = percentiles([came[number] - sent[number] for number in sent])
    found["first_sample_ms"] = percentiles([heard_at[height(line_text(number))] - sent[number] for number in sent])
    return found


def line_text(number: int) -> str:
    """Returns the text of a line. Its number sets the level of its sound."""
    return f"this is the line {code(number)} of the bench"


def first_samples(notes: Path) -> dict[int, float]:
    """Returns the time at which each level was first written to the device."""
    first: dict[int, float] = {}
    for note in read_notes(notes):
        if "wrote" in note:
            first.setdefault(note["wrote"][0], note["at"])
    return first


def commands(folder: Path) -> Figures:
    """Measures the time of each command to its effect at the device, while 3,000 lines wait and while they arrive."""
    found: Figures = {}
    for state in ("waiting", "arriving"):
        for command in COMMANDS:
            times = [
                command_ms(folder / f"{state}-{command}-{turn}", command, state == "arriving") for turn in range(2)
            ]
            found[f"{command}_{state}"] = times
    return found


def command_ms(folder: Path, command: str, arriving: bool) -> float:
    """Returns the milliseconds from the PUBLISH of a command to the first audio block that shows its effect."""
    with appliance(folder) as (daemon, client):
        host, port = client.address
        publisher = Publisher(host, port, f"{daemon.root}/say")
        with closing(publisher):
            publisher.publish(WAITING, LONG.encode())
            eventually(lambda: first_samples(daemon.notes), "the long line at the device")
            for number in range(WAITING):
                publisher.publish(number, b"%d is %s lines" % (number, MANY))
            if arriving:
                time.sleep(0.3)
            else:
                publisher.finish(60)
                database = daemon.folder / "state" / "inbox.sqlite"
                with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)) as reader:
                    events = "SELECT max(seq) > ? AND (SELECT count(*) FROM outbox) = 0 FROM lines"
                    eventually(lambda: reader.execute(events, (WAITING,)).fetchone()[0], "the lines", 120)
            topic, payload = ("volume/set", "50") if command == "volume" else ("command", command)
            sent_s = time.monotonic()
            client.publish(f"{daemon.root}/{topic}", payload, qos=0)
            effects: list[float] = []
            eventually(
                lambda: effects.extend(changed_blocks(daemon.notes, sent_s)) or effects, f"the effect of {command}"
            )
            publisher.finish(60)
        return round(1000 * (effects[0] - sent_s), 1)


def changed_blocks(notes: Path, since_s: float) -> list[float]:
    """Returns the times of the blocks written since then in which the sound of the long line has changed."""
    blocks = [note for note in read_notes(notes) if note["at"] >= since_s and "wrote" in note]
    return [block["at"] for block in blocks if block["wrote"][1] != height(LONG)]


def percentiles(times_s: Sequence[float]) -> dict[str, float]:
    """Returns median, 99th percentile and maximum, in milliseconds."""
    found = {"p50": percentile(times_s, 50), "p99": percentile(times_s, 99), "max": max(times_s)}
    return {name: round(1000 * value, 2) for name, value in found.items() if value is not None}


def flatten(figures: Figures, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every figure with its full name."""
    for key, value in figures.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{before}{key}.")
        else:
            yield re.sub(r"_", " ", before + key), value


if __name__ == "__main__":
    sys.exit(main())
