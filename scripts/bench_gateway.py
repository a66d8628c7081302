"""Measures what the gateway takes of a core while pages are open, and the daemon's latency with it and without it.

`scripts/bench-gateway` runs this. A page is a connection that reads the event stream, as a page in a browser does:
20 browsers would take both cores of a small machine from what is measured. The daemon and the broker are real.

- `speech`: lines of 2 s, one after the other, with the telemetry of the default configuration. This is what an
  appliance does that never falls silent.
- `burst`: lines of 20 ms at 20 a second, as in scripts/bench-ingest. The latencies with and without the gateway are
  measured in turns.

Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import psutil
from bench_ingest import Figures, appliance, flatten, latency_of

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.stream_readers import StreamReaders

SPEECH_S = 2.0
GOALS = {"speech_cpu_pct": 5.0}


def main() -> int:
    """Returns the exit status, always 0. The reader judges whether the goals are met."""
    parser = argparse.ArgumentParser(prog="scripts/bench-gateway", description=__doc__)
    parser.add_argument("--pages", type=int, default=20, help="number of pages that are open")
    parser.add_argument("--speech-s", type=float, default=60.0, help="duration of the speech")
    parser.add_argument("--lines", type=int, default=200, help="number of lines of a burst")
    parser.add_argument("--repeat", type=int, default=5, help="number of bursts of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ishowtts-bench-") as name:
        folder = Path(name)
        figures: Figures = {
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "pages": arguments.pages,
            "speech": speech(folder / "speech", arguments.pages, arguments.speech_s),
            "burst": bursts(folder / "burst", arguments.pages, arguments.lines, arguments.repeat),
        }
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
        Broker(folder / "broker") as broker,
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
