"""Backups of the installed service: made while it speaks, and restored by the operator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.booted.installing import (
    history,
    is_active,
    main_pid,
    publish,
    retained,
    say,
    wait_for_outcome,
    wait_for_ready,
)
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]

LONG = " ".join(f"This is sentence number {number} of a line that takes long." for number in range(1, 9))
ARCHIVE = "/root/hall.tar.gz"


def _volume(machine: BootedMachine) -> int:
    found: int = json.loads(retained(machine, "state"))["volume"]
    return found


def test_a_backup_in_mid_line_and_a_restore_that_stops_the_service(appliance: BootedMachine) -> None:
    assert say(appliance, "This line is in the history.", "--volume", "90")["event"] == "finished"
    publish(appliance, "volume/set", "37")
    appliance.wait_until(lambda: _volume(appliance) == 37, "the volume")
    publish(appliance, "say", json.dumps({"text": LONG, "id": "long"}))
    publish(appliance, "say", json.dumps({"text": "This one waits.", "id": "waiting"}))
    appliance.wait_until(lambda: len(history(appliance)) == 3, "the lines")
    appliance.shell("umask 077 && echo secret > /etc/ishowtts/gateway-token")
    made = appliance.user("sudo", "ishowtts", "backup", ARCHIVE).stdout
    assert "other files of /etc/ishowtts (gateway-token)" in made
    assert "2 waiting lines and 1 in the history" in made
    assert appliance.shell(f"stat -c '%U %a' {ARCHIVE}").stdout.split() == ["root", "600"]
    wait_for_outcome(appliance, "waiting", "finished")
    publish(appliance, "volume/set", "60")
    appliance.wait_until(lambda: _volume(appliance) == 60, "the other volume")

    before = main_pid(appliance)
    refused = appliance.user("sudo", "ishowtts", "restore", ARCHIVE, check=False)
    assert refused.returncode == 1
    assert "the daemon runs and uses /var/lib/ishowtts/state/inbox.sqlite" in refused.stderr
    assert main_pid(appliance) == before

    done = appliance.user("sudo", "ishowtts", "restore", ARCHIVE, "--stop").stdout
    assert "the former one is kept: /var/lib/ishowtts/state/inbox.sqlite.before-restore-" in done
    assert is_active(appliance)
    wait_for_ready(appliance)
    appliance.wait_until(lambda: _volume(appliance) == 37, "the volume of the backup")
    assert sorted(line["outcome"] for line in history(appliance)) == ["expired", "expired", "finished"]
    assert say(appliance, "It speaks again.")["event"] == "finished"
    owners = appliance.shell(
        "cd /var/lib/ishowtts && stat -c '%n %U %a' . state state/inbox.sqlite state/uploaded-voices voices chimes"
        " /etc/ishowtts/config.yaml"
    ).stdout
    assert owners.splitlines() == [
        ". root 750",
        "state ishowtts 700",
        "state/inbox.sqlite ishowtts 600",
        "state/uploaded-voices ishowtts 700",
        "voices root 755",
        "chimes root 755",
        "/etc/ishowtts/config.yaml root 644",
    ]
    findings = json.loads(appliance.user("sudo", "ishowtts", "doctor", "--json", check=False).stdout)
    assert [each for each in findings if each["part"] in ("installation", "units", "restore")] == [
        {"part": "installation", "verdict": "ok", "detail": findings[0]["detail"], "fix": None}
    ]


def test_a_backup_over_a_pipe_moves_to_another_machine(appliance: BootedMachine, installed: tuple[Path, ...]) -> None:
    publish(appliance, "command", '{"command": "pause"}')
    publish(appliance, "say", json.dumps({"text": "This one moves.", "id": "moves"}))
    appliance.wait_until(lambda: len(history(appliance)) == 1, "the line")
    appliance.shell("ishowtts backup - > /home/archive.tar.gz")
    with BootedMachine(*installed) as other:
        wait_for_ready(other)
        other.path("/home/archive.tar.gz").write_bytes(appliance.path("/home/archive.tar.gz").read_bytes())
        other.shell("ishowtts restore - --stop --with-waiting < /home/archive.tar.gz")
        wait_for_ready(other)
        publish(other, "command", '{"command": "resume"}')
        wait_for_outcome(other, "moves", "finished")
