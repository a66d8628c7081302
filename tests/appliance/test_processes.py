"""torch is loaded only in the worker, and no training package anywhere; systemd gets its notifications."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.appliance import Appliance
from support.client import Client
from support.waiting import eventually

# Python runs this first in the worker: after each segment it writes down what is loaded.
TELLS = """
import json, os, sys
from ishowtts.engines.worker import registry

class NotingModules:
    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def synthesize(self, segment, cancelled):
        spoken = self._engine.synthesize(segment, cancelled)
        with open(os.environ["MODULES"], "w") as file:
            json.dump(sorted(sys.modules), file)
        return spoken

    def synthesize_batch(self, segments, cancelled):
        return [self.synthesize(segment, cancelled) for segment in segments]

make = registry.make
registry.make = lambda kind, options: NotingModules(make(kind, options))
"""
UNWANTED = {
    "gradio",
    "wandb",
    "transformers",
    "datasets",
    "bitsandbytes",
    "accelerate",
    "hydra",
    "vocos",
    "x_transformers",
    "librosa",
}


@pytest.mark.f5
@pytest.mark.timeout(300)
def test_torch_is_only_in_the_worker_and_training_packages_are_nowhere(
    make_appliance: Callable[..., Appliance], tiny_checkpoint: Path, mqtt_client: Client, tmp_path: Path
) -> None:
    modules = tmp_path / "modules.json"
    appliance = make_appliance(
        settings={
            "engine": {"kind": "auto", "f5": {"weights": str(tiny_checkpoint), "device": "cpu", "max_rtf": 1000}}
        },
        environment={"MODULES": str(modules)},
        site=TELLS,
    )
    appliance.wait_ready(mqtt_client, timeout_s=200)
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "This one is short."))["engine"] == "f5"
    loaded = set(json.loads(modules.read_text()))
    assert {"torch", "f5_tts.model.utils"} <= loaded
    assert not UNWANTED & loaded
    engine = mqtt_client.wait_for(f"{appliance.root}/telemetry", lambda message: message.json["engine"]["pid"]).json
    worker_pid = engine["engine"]["pid"]
    assert "libtorch" in Path(f"/proc/{worker_pid}/maps").read_text()
    maps = Path(f"/proc/{appliance.pid}/maps").read_text()
    assert ("libtorch" in maps, "onnxruntime" in maps) == (False, False)


def test_systemd_gets_ready_watchdog_and_stopping(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(0.1)
        heard: list[str] = []

        def has(word: str) -> bool:
            with contextlib.suppress(TimeoutError):
                while True:
                    heard.extend(notify.recv(4096).decode().splitlines())
            return word in heard

        # A session of its own: started from a terminal, SIGHUP says that the terminal is gone.
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        appliance = make_appliance(environment=environment, wrap=["setsid"])
        appliance.wait_ready(mqtt_client)
        eventually(lambda: has("READY=1"), "READY")
        eventually(lambda: heard.count("WATCHDOG=1") >= 2 or has(""), "the watchdog's food")
        assert any(line.startswith("STATUS=ready") for line in heard)
        assert appliance.process is not None
        appliance.process.send_signal(signal.SIGHUP)
        eventually(lambda: has("RELOADING=1"), "RELOADING, as for `systemctl reload`")
        eventually(lambda: has("") or "READY=1" in heard[heard.index("RELOADING=1") :], "READY again")
        appliance.stop()
        eventually(lambda: has("STOPPING=1"), "STOPPING")
    assert heard.index("READY=1") < heard.index("WATCHDOG=1") < heard.index("STOPPING=1")


def test_the_fallback_speaks_if_the_weights_cannot_be_used(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    earlier = {"active": True, "since": "2026-11-20T10:15:00.000Z", "detail": "it is hot; cool it", "value": 99.0}
    mqtt_client.publish(f"{Appliance.root}/alert/hot", earlier, retain=True)
    appliance = make_appliance(settings={"engine": {"kind": "f5", "f5": {"weights": str(tmp_path / "weights")}}})
    appliance.wait_ready(mqtt_client, "degraded")
    alert = mqtt_client.wait_for(f"{appliance.root}/alert/fallback_voice", lambda message: message.json["active"]).json
    assert str(tmp_path / "weights") in alert["detail"]
    assert "so espeak speaks in its place; " in alert["detail"]
    assert f"alert fallback_voice: {alert['detail']}" in appliance.log
    mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["alerts"] == ["fallback_voice"])
    mqtt_client.wait_for(f"{appliance.root}/alert/hot", lambda message: not message.json["active"])
    state = mqtt_client.on(f"{appliance.root}/state")[-1].json
    assert str(tmp_path / "weights") in state["detail"]
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "one"))["engine"] == "espeak"
    assert "Traceback" not in appliance.log
