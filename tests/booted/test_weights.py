"""A first boot without weights of F5, which come later."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from support.booted.installing import configure, retained, say, wait_for_ready
from support.booted.machine import BootedMachine
from support.checkpoints import shared_checkpoint

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]

WEIGHTS = "/srv/weights"
LINE = "The weights may come later."


def _start(machine: BootedMachine) -> dict[str, Any]:
    """Starts the service again, and returns its retained `info`."""
    machine.run("systemctl", "restart", "ishowtts", timeout_s=120)
    wait_for_ready(machine, 120)
    info: dict[str, Any] = json.loads(retained(machine, "info"))
    return info


def test_the_natural_voice_speaks_until_weights_and_a_restart(
    appliance: BootedMachine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("torch", reason="without torch no weights can be made")
    configure(appliance, engine={"kind": "auto"})
    info = _start(appliance)
    assert (info["engine"], info["engine_why"]) == (
        "hibari", "no F5-TTS weights were found; `ishowtts fetch` gets them",
    )  # fmt: skip
    assert say(appliance, LINE)["engine"] == "hibari"

    shutil.copytree(shared_checkpoint(tmp_path_factory), appliance.path(WEIGHTS))
    configure(appliance, engine={"kind": "auto", "f5": {"weights": WEIGHTS}})
    doctor = appliance.user("sudo", "ishowtts", "doctor", check=False, timeout_s=120).stdout
    assert "hibari leads, and not f5" in doctor
    assert say(appliance, LINE)["engine"] == "hibari"

    info = _start(appliance)
    assert info["engine"] == "f5"
    assert WEIGHTS in info["engine_why"]
    # This installation has no torch, so that F5 cannot load: the next engine speaks, and says for which one.
    event = say(appliance, LINE)
    assert (event["engine"], event["substituted_for"]) == ("hibari", "f5")
