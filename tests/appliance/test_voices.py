"""Voices are added, changed and removed while the daemon runs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.engines import VoiceInfo
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.errors import EngineUnavailable, InboxError, VoiceError
from ishowtts.status.voice_watcher import VoiceWatcher
from support.appliance import Appliance
from support.client import Client
from support.waiting import eventually


def put(folder: Path, name: str, length_s: float) -> None:
    """Make or change a voice, as `ishowtts voices add` does: whole, by a rename."""
    new = folder / f".{name}.new"
    new.mkdir(parents=True)
    samples = np.random.default_rng(3).normal(0, 0.12, round(length_s * 24_000))
    soundfile.write(new / "reference.wav", samples, 24_000)
    (new / "reference.txt").write_text("These are the words of the clip.")
    shutil.rmtree(folder / name, ignore_errors=True)
    new.rename(folder / name)


@pytest.mark.f5
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_voice_can_be_used_once_it_exists_and_is_rejected_once_it_is_removed(
    make_appliance: Callable[..., Appliance], tiny_checkpoint: Path, mqtt_client: Client, tmp_path: Path
) -> None:
    f5 = {"weights": str(tiny_checkpoint), "device": "cpu", "nfe_step": 5}
    appliance = make_appliance(settings={"engine": {"kind": "f5", "fallback": False, "f5": f5}})
    appliance.wait_ready(mqtt_client, timeout_s=200)
    voices = tmp_path / "state" / "voices"

    put(voices, "anna", 3)
    final = appliance.final(mqtt_client, appliance.say(mqtt_client, "This one is short.", voice="anna"))
    assert (final["event"], final["voice"], final["engine"]) == ("finished", "anna", "f5")
    mqtt_client.wait_for(f"{appliance.root}/info", lambda message: message.json["voices"] == ["anna", "default"])
    eventually(lambda: "voice anna is ready: takes " in appliance.log, "the voice")
    mqtt_client.publish(f"{appliance.root}/voice/set", "anna")
    mqtt_client.wait_for(f"{appliance.root}/voice", lambda message: message.json == "anna")
    default = appliance.final(mqtt_client, appliance.say(mqtt_client, "This one names no voice."))
    assert (default["voice"], default["engine"], default["substituted_for"]) == ("anna", "f5", None)
    named = appliance.final(mqtt_client, appliance.say(mqtt_client, "This one does.", voice="default"))
    assert named["voice"] == "default"
    eventually(lambda: appliance.log.count("voice anna is ready: takes ") > 1, "the new default voice, prepared")
    takes = appliance.log.count("voice anna is ready")

    (voices / "anna" / "reference.wav").write_bytes(b"half a file")
    eventually(lambda: "voice anna cannot be used until its files change" in appliance.log, "the fault")
    told = "lines without a voice use 'default', because the one that was set over MQTT cannot be used"
    mqtt_client.wait_for(f"{appliance.root}/state", lambda message: told in (message.json["detail"] or ""))
    mqtt_client.wait_for(f"{appliance.root}/voice", lambda message: message.json == "default", count=2)
    plain = appliance.final(mqtt_client, appliance.say(mqtt_client, "It is spoken all the same."))
    assert (plain["event"], plain["voice"]) == ("finished", "default")
    failed = appliance.final(mqtt_client, appliance.say(mqtt_client, "This one is short.", voice="anna"))
    assert "anna" in failed["error"]
    put(voices, "anna", 6)
    eventually(lambda: appliance.log.count("voice anna is ready") > takes, "the mended voice")
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "Short again.", voice="anna"))["voice"] == "anna"

    shutil.rmtree(voices / "anna")
    gone = appliance.final(mqtt_client, appliance.say(mqtt_client, "This one is short.", voice="anna"))
    assert (gone["event"], gone["reason"]) == ("rejected", "unknown_voice")
    mqtt_client.wait_for(f"{appliance.root}/info", lambda message: message.json["voices"] == ["default"], count=2)
    assert "Traceback" not in appliance.log


@pytest.mark.f5
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_broken_default_voice_parks_the_engine_until_it_is_fixed(
    make_appliance: Callable[..., Appliance], tiny_checkpoint: Path, mqtt_client: Client, tmp_path: Path
) -> None:
    voices = tmp_path / "state" / "voices"
    put(voices, "default", 3)
    (voices / "default" / "reference.wav").write_bytes(b"no sound")
    f5 = {"weights": str(tiny_checkpoint), "device": "cpu", "nfe_step": 5}
    appliance = make_appliance(settings={"engine": {"kind": "f5", "f5": f5}})
    appliance.wait_ready(mqtt_client, "degraded", timeout_s=200)
    eventually(lambda: "parked" in appliance.log, "the fault", 100)
    put(voices, "default", 3)
    appliance.wait_ready(mqtt_client, timeout_s=200)
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "This one is short."))["engine"] == "f5"


def test_the_voices_are_known_without_f5(appliance: Appliance, mqtt_client: Client, tmp_path: Path) -> None:
    appliance.wait_ready(mqtt_client)
    put(tmp_path / "state" / "voices", "anna", 3)
    final = appliance.final(mqtt_client, appliance.say(mqtt_client, "one", voice="anna"))
    assert (final["event"], final["substituted_for"]) == ("finished", "f5")
    assert final["note"] == "espeak spoke in place of f5: engine.kind is espeak"
    mqtt_client.wait_for(f"{appliance.root}/info", lambda message: message.json["voices"] == ["anna", "default"])
    discovery = "homeassistant/device/ishowtts_ishowtts_test/config"
    mqtt_client.subscribe(discovery).wait_for(
        discovery, lambda message: message.json["components"]["voice"]["options"] == ["anna", "default"]
    )
    told = "voice anna can be read, but another engine speaks in its place: engine.kind is espeak"
    eventually(lambda: told in appliance.log, "the voice")

    assert mqtt_client.wait_for(f"{appliance.root}/voice").json == "default"
    mqtt_client.publish(f"{appliance.root}/voice/set", "anna")
    mqtt_client.wait_for(f"{appliance.root}/voice", lambda message: message.json == "anna")
    mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["voice"] == "anna")
    mqtt_client.publish(f"{appliance.root}/voice/set", {"voice": "nobody"})
    events = f"{appliance.root}/event"
    refused = mqtt_client.wait_for(events, lambda message: message.json.get("ok") is False).json
    assert (refused["command"], refused["detail"]) == (
        "voice",
        "there is no voice 'nobody'; the voices are anna, default",
    )
    final = appliance.final(mqtt_client, appliance.say(mqtt_client, "two"))
    assert (final["substituted_for"], final["note"]) == (None, None), "the line names no voice: nobody is replaced"
    appliance.stop()
    shutil.rmtree(tmp_path / "state" / "voices" / "anna")
    appliance.start()
    mqtt_client.wait_for(f"{appliance.root}/voice", lambda message: message.json == "default", count=2)
    degraded = mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "degraded").json
    assert (
        "use 'default', because the one that was set over MQTT cannot be used: there is no voice 'anna'"
        in (degraded["detail"])
    )


class WatcherHarness:
    """A voice watcher over real voices; the caller runs its rounds."""

    def __init__(self, folder: Path) -> None:
        self.library = VoiceLibrary(folder)
        self.forgotten: list[str] = []
        self.prepared: list[str] = []
        self.told = 0
        self.idle = True
        self.fault: Exception | None = None
        self.chosen: str | None = None
        self.watcher = VoiceWatcher(
            self.library.versions,
            forget=self.forgotten.append,
            prepare=self._prepare,
            chosen=lambda: self.chosen,
            idle=lambda: self.idle,
            on_change=self._tell,
        )

    def run_once(self) -> None:
        self.watcher.run_once(last=False)

    def _prepare(self, name: str) -> VoiceInfo:
        if self.fault is not None:
            raise self.fault
        self.library.find(name)
        self.prepared.append(name)
        return VoiceInfo(name, 100)

    def _tell(self) -> None:
        self.told += 1


def test_a_voice_is_prepared_once_its_files_stay_unchanged_and_no_line_is_spoken(tmp_path: Path) -> None:
    put(tmp_path, "old", 1)
    harness = WatcherHarness(tmp_path)
    harness.run_once()
    assert (harness.forgotten, harness.prepared, harness.told) == ([], [], 0)
    put(tmp_path, "anna", 1)
    harness.run_once()
    put(tmp_path, "anna", 2)  # it is still being copied
    harness.run_once()
    assert (harness.forgotten, harness.prepared, harness.told) == (["anna", "anna"], [], 2)
    harness.idle = False
    harness.run_once()
    assert harness.prepared == []
    harness.idle = True
    harness.run_once()
    harness.run_once()
    assert (harness.prepared, harness.told) == (["anna"], 2)
    shutil.rmtree(tmp_path / "anna")
    harness.run_once()
    harness.run_once()
    assert (harness.forgotten[2:], harness.prepared, harness.told) == (["anna"], ["anna"], 3)


def test_a_voice_that_becomes_the_default_one_is_prepared(tmp_path: Path) -> None:
    for name in ("anna", "bob"):
        put(tmp_path, name, 1)
    harness = WatcherHarness(tmp_path)
    harness.chosen, harness.fault = "anna", EngineUnavailable("the engine is warming")
    harness.run_once()
    harness.fault = None
    for _ in range(2):
        harness.run_once()
    assert harness.prepared == ["anna"]
    harness.chosen = "bob"
    harness.run_once()
    harness.chosen = None
    harness.run_once()
    assert harness.prepared == ["anna", "bob"]


@pytest.mark.parametrize("fault", [EngineUnavailable("the engine is warming"), InboxError("the disk is full")])
def test_a_temporary_error_is_tried_again(tmp_path: Path, fault: Exception) -> None:
    harness = WatcherHarness(tmp_path)
    put(tmp_path, "anna", 1)
    harness.fault = fault
    for _ in range(3):
        harness.run_once()
    harness.fault = None
    harness.run_once()
    assert harness.prepared == ["anna"]


def test_a_faulty_voice_is_logged_once_and_tried_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harness = WatcherHarness(tmp_path)
    put(tmp_path, "anna", 1)
    harness.fault = VoiceError("the clip is silent; record it again")
    for _ in range(4):
        harness.run_once()
    assert len([record for record in caplog.records if "record it again" in record.message]) == 1
    harness.fault = None
    put(tmp_path, "anna", 2)
    harness.run_once()
    harness.run_once()
    assert harness.prepared == ["anna"]


def test_the_thread_ends_when_it_is_closed(tmp_path: Path) -> None:
    harness = WatcherHarness(tmp_path)
    harness.watcher.start()
    harness.watcher.close(5)
    assert not [thread for thread in threading.enumerate() if thread.name == "voice-watcher"]
