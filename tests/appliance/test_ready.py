"""`ready` means ready: the first line finds everything loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from support.appliance import Appliance
from support.client import Client
from support.service_process import DAEMON
from support.waiting import eventually

# Python runs this first in the daemon: it writes down what is loaded whenever its process is asked.
TELLS = """
import os, sys, threading, time

def tell(path=os.environ["MODULES"]):
    while True:
        time.sleep(0.02)
        if os.path.exists(f"{path}.{os.getpid()}"):
            os.unlink(f"{path}.{os.getpid()}")
            with open(f"{path}.new", "w") as file:
                file.write("\\n".join(sys.modules))
            os.rename(f"{path}.new", path)

threading.Thread(target=tell, daemon=True).start()
"""


def test_the_first_lines_load_nothing(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    hook, told, blocked = tmp_path / "hook", tmp_path / "modules", tmp_path / "blocked.txt"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(TELLS)
    blocked.write_text("darn\n")
    appliance = make_appliance(
        settings={
            "audio": {
                "loudness_lufs": -16,
                "peak_dbtp": -1,
                "cache_mb": 100,
                "record_dir": str(tmp_path / "recordings"),
            },
            "policies": {
                "template": "{author} says: {text}",
                "blocked": {"file": str(blocked), "action": "mask"},
                "repeats": 3,
            },
        },
        environment={"MODULES": str(told), "PYTHONPATH": f"{hook}{os.pathsep}{DAEMON}"},
    )

    def loaded() -> set[str]:
        told.unlink(missing_ok=True)
        told.with_name(f"{told.name}.{appliance.pid}").touch()
        eventually(told.exists, "the modules")
        return set(told.read_text().split("\n"))

    appliance.wait_ready(mqtt_client)
    states = [message.json["state"] for message in mqtt_client.on(f"{appliance.root}/state")]
    assert set(states) == {"starting", "ready"}
    at_ready = loaded()
    lines = [
        appliance.say(mqtt_client, "Fire at 5 p.m., it has 300.5 °C!", topic="urgent"),
        appliance.say(mqtt_client, "今天气温是25度。 😀😀", author="Ａnna", chime=True),
        appliance.say(mqtt_client, "soooooooo darn 𝓬𝓸𝓸𝓵 https://example.com/a", voice="default", speed=1.5, volume=5),
    ]
    for line in lines:
        assert appliance.final(mqtt_client, line)["event"] == "finished"
    assert loaded() - at_ready == set()
