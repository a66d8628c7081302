"""Measures what the gateway takes of a core while pages are open, and the daemon's latency with it and without it.

`scripts/bench-gateway` runs this. A page is a connection that reads the event stream, as a page in a browser does:
20 browsers would take both cores of a small machine from what is measured. The daemon and the broker are real.

- `speech`: lines of 2 s, one after the other, with the telemetry of the default configuration. This is what an
  appliance does that never falls silent.
- `burst`: lines of 20 ms at 20 a second, as in scripts/bench-ingest. The latencies with and without the gateway are
  measured in turns.

- `many`: so many appliances, each with its telemetry every 5 s and a line every 20 s. They publish again, under other
  names, what one real appliance has published. The time of a scrape of /metrics is that of the whole reply.

Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from bench_ingest import Figures, appliance, flatten, latency_of

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.stream_readers import StreamReaders
from support.waiting import eventually

SPEECH_S = 2.0
TELEMETRY_EVERY_S, LINE_EVERY_S = 5, 20
SETTLE_S = 10.0  # the gateway asks all appliances for their history
GOALS = {"speech_cpu_pct": 5.0}


def main() -> int:
    """Returns the exit status, always 0. The reader judges whether the goals are met."""
    parser = argparse.ArgumentParser(prog="scripts/bench-gateway", description=__doc__)
    parser.add_argument("--pages", type=int, default=20, help="number of pages that are open")
    parser.add_argument("--speech-s", type=float, default=60.0, help="duration of the speech")
    parser.add_argument("--lines", type=int, default=200, help="number of lines of a burst")
    parser.add_argument("--repeat", type=int, default=5, help="number of bursts of each kind; 0 skips them")
    parser.add_argument("--appliances", type=int, default=200, help="number of appliances of `many`")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ishowtts-bench-") as name:
        folder = Path(name)
        figures: Figures = {
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "pages": arguments.pages,
            "speech": speech(folder / "speech", arguments.pages, arguments.speech_s),
            "many": many(folder / "many", arguments.appliances, arguments.pages, arguments.speech_s),
        }
        if arguments.repeat:
            figures["burst"] = bursts(folder / "burst", arguments.pages, arguments.lines, arguments.repeat)
    for key, value in flatten(figures):
        print(f"{key:48} {value}")
    print(json.dumps({**figures, "goals": GOALS}))
    return 0


class Cost:
    """CPU time and memory of a gateway from now on."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._process = psutil.Process(gateway.pid)
        self._began_s, self._spent_s = time.monotonic(), self._cpu_s()

    def figures(self) -> Figures:
        """Returns its share of a core, and its memory (PSS)."""
        share = (self._cpu_s() - self._spent_s) / (time.monotonic() - self._began_s)
        memory_mb = self._process.memory_full_info().pss / 1e6
        return {"cpu_pct": round(100 * share, 2), "memory_mb": round(memory_mb, 1)}

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


def speech(folder: Path, pages: int, seconds: float) -> Figures:
    """Measures the gateway while an appliance speaks all the time; first without a page, then with all of them."""
    for name in ("broker", "gateway"):
        (folder / name).mkdir(parents=True)
    with (
        Broker(folder / "broker", saves_changes=True) as broker,
        Appliance(folder, broker, {"telemetry": {}}, quick_s=SPEECH_S) as daemon,
        Client(broker.host, broker.port) as client,
        GatewayProcess(folder / "gateway", client.address) as gateway,
    ):
        daemon.wait_ready(client)
        figures: Figures = {"without_pages": _speak(daemon, client, gateway, seconds)}
        with StreamReaders(gateway.url, pages) as readers:
            before = sum(readers.received)
            figures["with_pages"] = _speak(daemon, client, gateway, seconds)
            figures["sent_kb_per_page_and_min"] = round(
                (sum(readers.received) - before) / pages / seconds * 60 / 1e3, 1
            )
        return figures


def _speak(daemon: Appliance, client: Client, gateway: GatewayProcess, seconds: float) -> Figures:
    cost = Cost(gateway)
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        daemon.final(client, daemon.say(client, "This line takes two seconds, and the next one follows it."))
    return cost.figures()


def many(folder: Path, count: int, pages: int, seconds: float) -> Figures:
    """Measures the gateway with many appliances and with pages."""
    for name in ("broker", "gateway"):
        (folder / name).mkdir(parents=True)
    queues = ("max_queued_messages 10000", "max_inflight_messages 1000")  # as the shipped broker
    with (
        Broker(folder / "broker", extra=queues) as broker,
        Client(broker.host, broker.port) as client,
        GatewayProcess(folder / "gateway", client.address) as gateway,
    ):
        retained, events = _recorded(folder, broker, client)
        telemetry = retained.pop("telemetry")
        for number in range(count):
            for topic, payload in retained.items():
                client.publish(f"ishowtts/board-{number}/{topic}", payload, qos=0, retain=True)
        eventually(lambda: len(json.loads(_asked(gateway, "/api/devices"))["devices"]) >= count, "the appliances", 60)
        time.sleep(SETTLE_S)
        with StreamReaders(gateway.url, pages) as readers:
            before, cost, ends_s, turn = sum(readers.received), Cost(gateway), time.monotonic() + seconds, 0
            while (began_s := time.monotonic()) < ends_s:
                for number in range(count):
                    root = f"ishowtts/board-{number}"
                    client.publish(f"{root}/telemetry", telemetry, qos=0, retain=True)
                    if (number + turn) % (LINE_EVERY_S // TELEMETRY_EVERY_S) == 0:
                        for event in events:
                            client.publish(f"{root}/event", {**event, "id": f"{turn}-{number}"}, qos=0)
                turn += 1
                time.sleep(max(0.0, began_s + TELEMETRY_EVERY_S - time.monotonic()))
            figures = {"appliances": count, **cost.figures()}
            figures["sent_kb_per_page_and_min"] = round(
                (sum(readers.received) - before) / pages / seconds * 60 / 1e3, 1
            )
        began_s = time.monotonic()
        figures["metrics_kb"] = round(len(_asked(gateway, "/metrics")) / 1e3, 1)
        figures["metrics_s"] = round(time.monotonic() - began_s, 2)
        return figures


def _recorded(folder: Path, broker: Broker, client: Client) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """What a real appliance retains, by the last levels of the topics, and the events of one line."""
    with Appliance(folder, broker, {"telemetry": {}}, quick_s=SPEECH_S) as daemon:
        daemon.wait_ready(client)
        line = daemon.say(client, "This line takes two seconds, and the next one follows it.")
        daemon.final(client, line)
        client.wait_for(f"{daemon.root}/telemetry")
        events = daemon.events(client, line)
        latest = {message.topic.removeprefix(f"{daemon.root}/"): message.payload for message in client.messages}
    own = ("event", "say", "command", "probe", "probe/commands")
    return {name: payload for name, payload in latest.items() if name not in own}, events


def _asked(gateway: GatewayProcess, path: str) -> bytes:
    with urllib.request.urlopen(f"{gateway.url}{path}", timeout=60) as answer:  # noqa: S310  it is our own
        content: bytes = answer.read()
    return content


def bursts(folder: Path, pages: int, lines: int, repeat: int) -> Figures:
    """Measures bursts in turns without and with the gateway. The figures are the medians over the turns."""
    found: dict[str, list[Figures]] = {"without": [], "with": []}
    costs = []
    for turn in range(repeat):
        # The order changes with each turn, so that what runs first has no advantage.
        for kind in list(found)[:: 1 if turn % 2 == 0 else -1]:
            own = folder / f"{kind}-{turn}"
            with ExitStack() as stack:
                daemon, client = stack.enter_context(appliance(own))
                if kind == "with":
                    (own / "gateway").mkdir()
                    gateway = stack.enter_context(GatewayProcess(own / "gateway", client.address))
                    stack.enter_context(StreamReaders(gateway.url, pages))
                    cost = Cost(gateway)
                found[kind].append(latency_of(daemon, client, lines))
                if kind == "with":
                    costs.append(cost.figures()["cpu_pct"])
    return {
        **{kind: _medians(figures) for kind, figures in found.items()},
        "gateway_cpu_pct": median(costs),
    }


def _medians(turns: list[Figures]) -> Figures:
    return {
        name: {share: round(median(turn[name][share] for turn in turns), 2) for share in turns[0][name]}
        for name in turns[0]
    }


if __name__ == "__main__":
    sys.exit(main())
