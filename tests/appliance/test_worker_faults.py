"""The worker dies, hangs and raises in the middle of lines. No line is lost, and the daemon never blocks."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.appliance import Appliance
from support.client import Client, Message

pytestmark = [pytest.mark.f5, pytest.mark.timeout(600), pytest.mark.xdist_group("chaos")]

# The faults of the worker in the middle of lines, twenty in all. The long lines have two segments, and the fault comes
# while the first is playing; in the short ones it comes during synthesis.
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
from ishowtts.engines.worker import registry

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

make = registry.make
registry.make = lambda kind, options: Faulty(make(kind, options))
"""


@pytest.fixture
def f5_appliance(make_appliance: Callable[..., Appliance], tiny_checkpoint: Path) -> Appliance:
    """A daemon with the tiny F5 as primary, immediate restarts, and five seconds for a segment."""
    engine: dict[str, Any] = {
        "kind": "f5",
        "f5": {"weights": str(tiny_checkpoint), "device": "cpu"},
        "deadlines": {"segment_s": 5},
        "restart": {"first_s": 0.1, "longest_s": 0.1, "park_deaths": 100},
    }
    return make_appliance(settings={"engine": engine}, site=RAISES)


def worker_pid(appliance: Appliance, client: Client, deaths: int) -> int:
    """The pid of a worker that is ready, after so many others died. A stopped one is killed after its deadline."""
    client.forget()

    def is_ready(message: Message) -> bool:
        engine = message.json["engine"]
        return bool(engine["state"] == "ready" and engine["restarts"] >= deaths)

    telemetry = client.wait_for(f"{appliance.root}/telemetry", is_ready, timeout_s=120)
    return int(telemetry.json["engine"]["pid"])


def cause_fault(appliance: Appliance, client: Client, fault: str, worker: int, long: bool) -> str:
    """Publish a line, cause the fault in its middle, and return its id."""
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
    for n, (fault, long) in enumerate(FAULTS):
        deaths = sum(earlier != "raise" for earlier, _ in FAULTS[:n])
        line_id = cause_fault(appliance, client, fault, worker_pid(appliance, client, deaths), long)
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
    assert snapshot["audio"]["lateness_max_s"] < 0.5, "the player waited for the worker"
    assert "Traceback" not in re.sub(r"Traceback(?s:.*?)raised in the middle of a line", "", appliance.log)


# The worker notes its requests, and is killed in the middle of its first batch.
DIES_IN_A_BATCH = """
import json, os, signal
from ishowtts.engines.worker import registry
from ishowtts.speech.segment_planner import CostModel

CostModel.estimate = lambda *_: 0.01  # the daemon reads this file too: a busy machine might never make a batch

class Mortal:
    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def prepare(self, voice):
        self._engine._batch_s = 200.0
        return self._engine.prepare(voice)

    def synthesize_batch(self, segments, cancelled):
        with open(os.environ["ASKED"], "a") as asked:
            asked.write(json.dumps([segment.text for segment in segments]) + "\\n")
        def struck():
            if len(segments) > 1 and not os.path.exists(os.environ["DEAD"]):
                open(os.environ["DEAD"], "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            return cancelled()
        return self._engine.synthesize_batch(segments, struck)

make = registry.make
registry.make = lambda kind, options: Mortal(make(kind, options))
"""
SENTENCES = [
    f"This is sentence number {name} of a long line, and it goes on for about as long as the voice of the clip takes."
    for name in ("one", "two", "three", "four", "five")
]


@pytest.mark.slow
@pytest.mark.parametrize("fallback", [False, True])
def test_a_line_is_complete_if_the_worker_is_killed_during_a_batch(
    fallback: bool, make_appliance: Callable[..., Appliance], tiny_checkpoint: Path, mqtt_client: Client, tmp_path: Path
) -> None:
    f5 = {"weights": str(tiny_checkpoint), "device": "cpu", "nfe_step": 5, "disable": ["streaming"]}
    appliance = make_appliance(
        settings={
            "engine": {
                "kind": "f5",
                "fallback": ["espeak"] if fallback else False,
                "f5": f5,
                "restart": {"first_s": 0.1},
                "late_s": 60,  # on a busy machine F5 would be given up before it makes a batch
            }
        },
        environment={"ASKED": str(tmp_path / "asked"), "DEAD": str(tmp_path / "dead")},
        site=DIES_IN_A_BATCH,
    )
    appliance.wait_ready(mqtt_client, timeout_s=180)
    line_id = appliance.say(mqtt_client, " ".join(SENTENCES), speed=2, seed=1)
    final = appliance.final(mqtt_client, line_id, 240)
    assert final["event"] == "finished"
    assert final["engine"] == ("espeak" if fallback else "f5")
    asked = [json.loads(run) for run in (tmp_path / "asked").read_text().splitlines()]
    deadly = next(i for i, run in enumerate(asked) if len(run) > 1)
    before = [text for run in asked[:deadly] for text in run]
    assert before == SENTENCES[: len(before)]
    assert asked[deadly] == SENTENCES[len(before) : len(before) + len(asked[deadly])]
    after = [text for run in asked[deadly + 1 :] for text in run]
    assert after == ([] if fallback else SENTENCES[len(before) :]), "it goes on from the first that was not heard"
