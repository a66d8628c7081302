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

# What happens to the worker in the middle of which line: twenty times in all. The long lines have two segments,
# and are struck while the first is heard; the short ones while they are synthesised.
FAULTS = (
    [("kill", True), ("stop", True), ("raise", True)]
    + [("raise", False)] * 13
    + [("kill", False)] * 3
    + [("stop", False)]
)
LONG = "This is a sentence that goes on for a while, so that the line has a second segment. " * 3
SHORT = "This one is short."
# Python runs this first in the worker: the real engine raises where a line's seed asks for it.
RAISES = """
from ishowtts.engines import catalogue

class Faulty:
    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def synthesize(self, segment, cancelled):
        if segment.seed == 666 and segment.index == segment.count - 1:
            raise ValueError("raised in the middle of a line")
        return self._engine.synthesize(segment, cancelled)

    def synthesize_batch(self, segments, cancelled):
        return [self.synthesize(segment, cancelled) for segment in segments]

make = catalogue.make
catalogue.make = lambda kind, options: Faulty(make(kind, options))
"""


@pytest.fixture
def f5_appliance(make_appliance: Callable[..., Appliance], tiny_checkpoint: Path, tmp_path: Path) -> Appliance:
    """A daemon that leads with tiny F5, restarts it at once, and gives a segment five seconds."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(RAISES)
    engine: dict[str, Any] = {
        "kind": "f5",
        "f5": {"weights": str(tiny_checkpoint), "device": "cpu"},
        "deadlines": {"segment_s": 5},
        "restart": {"first_s": 0.1, "longest_s": 0.1, "park_deaths": 100},
    }
    path = os.pathsep.join([str(tmp_path / "site"), str(DAEMON)])
    return make_appliance(settings={"engine": engine}, environment={"PYTHONPATH": path})


def worker_pid(appliance: Appliance, client: Client) -> int:
    """The pid of a worker that is ready."""
    client.forget()
    telemetry = client.wait_for(
        f"{appliance.root}/telemetry", lambda message: message.json["engine"]["state"] == "ready", timeout_s=120
    )
    return int(telemetry.json["engine"]["pid"])


def strike(appliance: Appliance, client: Client, fault: str, worker: int, long: bool) -> str:
    """Publish a line, let the fault happen in its middle, and give its id."""
    line_id = appliance.say(client, LONG if long else SHORT, seed=666 if fault == "raise" else 1, speed=2)
    if fault != "raise":
        moment = "started" if long else "accepted"
        client.wait_for(
            f"{appliance.root}/event", lambda message: (message.json["id"], message.json["event"]) == (line_id, moment)
        )
        os.kill(worker, signal.SIGKILL if fault == "kill" else signal.SIGSTOP)
    return line_id


def test_twenty_faults_lose_no_line(f5_appliance: Appliance, mqtt_client: Client) -> None:
    appliance, client = f5_appliance, mqtt_client
    appliance.wait_ready(client, timeout_s=180)
    pid, spoken = appliance.pid, 0
    for fault, long in FAULTS:
        line_id = strike(appliance, client, fault, worker_pid(appliance, client), long)
        final = appliance.final(client, line_id, 120)
        assert final["event"] == "finished", (fault, final)
        assert final["engine"] == "espeak", "the spare voice goes on from the segment that failed"
        if fault == "raise":
            after = appliance.final(client, appliance.say(client, SHORT, speed=2))
            assert after["engine"] == "f5", "the worker outlives what it raised"
            spoken += 1
    assert len(FAULTS) == 20
    assert appliance.pid == pid
    assert appliance.process is not None
    assert appliance.process.poll() is None
    deaths = sum(fault != "raise" for fault, _ in FAULTS)
    snapshot = client.wait_for(
        f"{appliance.root}/telemetry", lambda message: message.json["engine"]["restarts"] >= deaths
    ).json
    assert snapshot["speech"]["lines_total"] == len(FAULTS) + spoken
    assert snapshot["audio"]["lateness_max_s"] < 0.05
    assert "Traceback" not in re.sub(r"Traceback(?s:.*?)raised in the middle of a line", "", appliance.log)
