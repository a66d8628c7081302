"""The daemon caches its speech on disk, and plays repeated lines from there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from support.appliance import Appliance
from support.client import Client
from support.waiting import eventually

# A wrapper of espeak-ng that notes each text that it is given.
NOTING = """#!/bin/sh
case "$*" in *--stdin*) echo spoke >> "{notes}";; esac
exec "{program}" "$@"
"""
pytestmark = pytest.mark.slow

# Python runs this first in the worker: it waits while a file exists.
HELD = """
import os, time
from ishowtts.engines.worker import registry

make = registry.make

def held(kind, options):
    while os.path.exists(os.environ["HOLD"]):
        time.sleep(0.05)
    return make(kind, options)

registry.make = held
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A line for each call of espeak-ng."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "espeak-ng"
    program.write_text(NOTING.format(notes=tmp_path / "calls", program=shutil.which("espeak-ng")))
    program.chmod(0o755)
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


@pytest.fixture
def make(make_appliance: Callable[..., Appliance], tmp_path: Path, notes: Path) -> Callable[..., Appliance]:
    def start(engine: dict[str, Any] | None = None, record_dir: Path | None = None) -> Appliance:
        sound = tmp_path / "sound"
        sound.mkdir(exist_ok=True)
        audio = {"device": f"wav:{sound}", "volume": 100, "cache_mb": 50, "record_dir": record_dir and str(record_dir)}
        environment = {
            "PATH": f"{notes.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOLD": str(tmp_path / "hold"),
        }
        settings = {"audio": audio, "engine": engine or {"kind": "espeak"}}
        return make_appliance(settings=settings, environment=environment, site=HELD)

    return start


def heard(tmp_path: Path) -> list[Any]:
    """The sound of each run of the daemon."""
    return [soundfile.read(path, dtype="int16")[0] for path in sorted((tmp_path / "sound").glob("*.wav"))]


def test_a_repeated_line_comes_from_the_cache_sample_for_sample_also_after_a_restart(
    make: Callable[..., Appliance], mqtt_client: Client, notes: Path, tmp_path: Path
) -> None:
    appliance = make()
    appliance.wait_ready(mqtt_client)
    first = appliance.final(mqtt_client, appliance.say(mqtt_client, "one two three"))
    assert first["cached"] is False
    calls = notes.read_text()
    again = appliance.final(mqtt_client, appliance.say(mqtt_client, "one two three"))
    assert (again["cached"], again["synth_s"], again["engine"]) == (True, 0.0, "espeak")
    assert again["audio_s"] == first["audio_s"]
    speech = mqtt_client.wait_for(
        f"{appliance.root}/telemetry", lambda message: message.json["speech"]["lines_total"] == 2
    ).json["speech"]
    assert speech["cache_hits"] == 1
    assert speech["rtf"] == pytest.approx(first["rtf"], abs=1e-3), "what cost nothing is no measure of the engine"
    assert notes.read_text() == calls
    assert appliance.stop() == 0
    [sound] = heard(tmp_path)
    half = len(sound) // 2
    assert np.any(sound)
    assert np.array_equal(sound[:half], sound[half:])

    appliance.start()
    mqtt_client.forget()
    appliance.wait_ready(mqtt_client)
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "one two three"))["cached"] is True
    assert appliance.stop() == 0
    assert np.array_equal(heard(tmp_path)[1], sound[:half])


def test_a_cache_that_cannot_be_written_is_reported_and_lines_are_spoken(
    make: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("no folder")
    appliance = make()
    appliance.wait_ready(mqtt_client, "degraded")
    state = mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "degraded").json
    assert "audio.cache_mb" in state["detail"]
    for _ in range(2):
        final = appliance.final(mqtt_client, appliance.say(mqtt_client, "one"))
        assert (final["event"], final["cached"]) == ("finished", False)
    assert "Traceback" not in appliance.log
    assert sum("WARNING" in line and "speech is not kept" in line for line in appliance.log.splitlines()) == 1


def test_speech_is_recorded_with_its_outcome(
    make: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    appliance = make(record_dir=tmp_path / "recordings")
    appliance.wait_ready(mqtt_client)
    first = appliance.final(mqtt_client, appliance.say(mqtt_client, "You have 5 letters.", author="bob"))
    long = appliance.say(mqtt_client, "This line goes on and on for quite a while. " * 20)
    mqtt_client.wait_for(
        f"{appliance.root}/event", lambda message: (message.json["id"], message.json["event"]) == (long, "started")
    )
    urgent = appliance.final(mqtt_client, appliance.say(mqtt_client, "Fire!", topic="urgent"))
    assert urgent["event"] == "finished"
    eventually(lambda: len(list((tmp_path / "recordings").glob("*.part"))) == 1, "the line that goes on")
    mqtt_client.publish(f"{appliance.root}/command", {"command": "skip"})
    assert appliance.final(mqtt_client, long)["event"] == "cancelled"
    assert appliance.stop() == 0

    told = [json.loads(path.read_text()) for path in sorted((tmp_path / "recordings").glob("*.json"))]
    assert [(one["id"], one["outcome"]) for one in told] == [
        (first["id"], "finished"),
        (long, "interrupted"),
        (urgent["id"], "finished"),
        (long, "cancelled"),
    ]
    assert told[0]["read"] == "You have five letters."
    assert told[0]["author"] == "bob"
    for path, one in zip(sorted((tmp_path / "recordings").glob("*.flac")), told, strict=True):
        assert soundfile.info(path).duration == pytest.approx(one["audio_s"], abs=0.001)
    assert told[0]["audio_s"] == pytest.approx(first["audio_s"], abs=0.002)


@pytest.mark.f5
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cached_line_is_heard_in_the_cloned_voice_before_the_worker_is_ready(
    make: Callable[..., Appliance], mqtt_client: Client, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    engine = {"kind": "f5", "f5": {"weights": str(tiny_checkpoint), "device": "cpu", "nfe_step": 5}}
    appliance = make(engine)
    appliance.wait_ready(mqtt_client, timeout_s=180)
    first = appliance.final(mqtt_client, appliance.say(mqtt_client, "The gate is open now.", seed=1))
    assert (first["engine"], first["cached"]) == ("f5", False)
    assert appliance.stop() == 0
    mqtt_client.forget()

    (tmp_path / "hold").touch()
    appliance.start()
    eventually(lambda: "ready: lines on" in appliance.log.split("stopped")[-1], "the start", 60)
    again = appliance.final(mqtt_client, appliance.say(mqtt_client, "The gate is open now.", seed=1))
    other = appliance.final(mqtt_client, appliance.say(mqtt_client, "The door is open."))
    assert (again["engine"], again["cached"], again["voice"]) == ("f5", True, first["voice"])
    assert (other["engine"], other["cached"]) == ("espeak", False), "the worker is away"
    (tmp_path / "hold").unlink()
    appliance.wait_ready(mqtt_client, timeout_s=180)
    other = appliance.final(mqtt_client, appliance.say(mqtt_client, "The door is open."))
    assert (other["engine"], other["cached"]) == ("f5", False), "what the spare voice spoke is not the lead's"
    assert appliance.stop() == 0
    one, two = heard(tmp_path)
    assert np.array_equal(one, two[: len(one)])
