"""The worker dies, hangs and raises in the middle of lines; no line is lost and the daemon never waits for it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.appliance import DAEMON, Appliance
from support.client import Client

pytestmark = [pytest.mark.f5, pytest.mark.timeout(600), pytest.mark.xdist_group("chaos")]

FAULTS = 20
# Python runs this first in the worker: the real engine raises where a line's seed asks for it.
RAISES = """
from ishowtts.engines import catalogue

class Faulty:
    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def synthesize(self, segment, cancelled):
        if segment.seed == 666 and segment.index == 1:
            raise ValueError("raised in the middle of a line")
        return self._engine.synthesize(segment, cancelled)

make = catalogue.make
catalogue.make = lambda kind, options: Faulty(make(kind, options))
"""
LINE = " ".join(f"This is sentence number {n} of a line that is long enough for segments of its own." for n in range(6))


@pytest.fixture
def f5_appliance(make_appliance: Callable[..., Appliance], tiny_checkpoint: Path, tmp_path: Path) -> Appliance:
    """A daemon that leads with tiny F5, restarts it at once, and gives a segment four seconds."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(RAISES)
    engine: dict[str, Any] = {
        "kind": "f5",
        "f5": {"weights": str(tiny_checkpoint), "device": "cpu"},
        "deadlines": {"segment_s": 4},
        "restart": {"first_s": 0.1, "longest_s": 0.1, "park_deaths": 100},
    }
    path = os.pathsep.join([str(tmp_path / "site"), str(DAEMON)])
    return make_appliance(settings={"engine": engine}, environment={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"})


def worker_pid(appliance: Appliance, client: Client) -> int:
    """The pid of a worker that is ready."""
    client.forget()
    telemetry = client.wait_for(
        f"{appliance.root}/telemetry", lambda message: message.json["engine"]["state"] == "ready", timeout_s=120
    )
    return int(telemetry.json["engine"]["pid"])


def test_twenty_faults_lose_no_line(f5_appliance: Appliance, mqtt_client: Client) -> None:
    appliance, client = f5_appliance, mqtt_client
    appliance.wait_ready(client, timeout_s=180)
    pid, lines, engines = appliance.pid, [], []
    for number in range(FAULTS):
        fault = ("raise", "kill", "raise", "stop")[number % 4]
        worker = worker_pid(appliance, client)
        line_id = appliance.say(client, LINE, seed=666 if fault == "raise" else 1)
        lines.append(line_id)
        if fault != "raise":
            client.wait_for(
                f"{appliance.root}/event", lambda m, i=line_id: m.json["id"] == i and m.json["event"] == "started"
            )
            os.kill(worker, signal.SIGKILL if fault == "kill" else signal.SIGSTOP)
        final = appliance.final(client, line_id, 120)
        assert final["event"] == "finished", (fault, final)
        engines.append(final["engine"])
    assert engines == ["espeak"] * FAULTS, "the spare voice goes on from the segment that failed"
    assert appliance.pid == pid
    assert appliance.process is not None
    assert appliance.process.poll() is None
    snapshot = client.wait_for(f"{appliance.root}/telemetry").json
    assert snapshot["engine"]["restarts"] >= FAULTS // 2
    assert snapshot["speech"]["lines_total"] == FAULTS
    assert snapshot["audio"]["lateness_max_s"] < 0.05
    assert "Traceback" not in re.sub(r"Traceback(?s:.*?)raised in the middle of a line", "", appliance.log)
