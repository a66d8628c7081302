"""Back-up of one machine, and restore on another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.booted.installing import history, is_active, publish, say, state, wait_for_ready
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]


def test_a_backup_of_a_running_service_is_restored_on_another_machine(
    appliance: BootedMachine, installed: tuple[Path, ...], tmp_path: Path
) -> None:
    assert say(appliance, "A line before the backup.")["event"] == "finished"
    appliance.user("ishowtts", "volume", "35")
    appliance.user("ishowtts", "pause")
    publish(appliance, "say", json.dumps({"text": "This line waits.", "id": "waits"}))
    appliance.wait_until(lambda: state(appliance)["queue_depth"] == 1, "the waiting line")
    appliance.user("sudo", "ishowtts", "backup", "/home/alice/board.tar.gz")
    assert is_active(appliance)
    assert appliance.run("stat", "-c", "%a", "/home/alice/board.tar.gz").stdout == "600\n"
    archive = appliance.path("/home/alice/board.tar.gz").read_bytes()

    with BootedMachine(*installed) as other:
        wait_for_ready(other)
        other.path("/home/alice/board.tar.gz").write_bytes(archive)
        refused = other.user("sudo", "ishowtts", "restore", "/home/alice/board.tar.gz", check=False)
        assert refused.returncode != 0
        assert "--stop" in refused.stderr
        assert history(other) == []
        other.user("sudo", "ishowtts", "restore", "--stop", "/home/alice/board.tar.gz")
        wait_for_ready(other)
        assert state(other)["volume"] == 35
        assert {line["text"] for line in history(other)} == {"A line before the backup.", "This line waits."}
