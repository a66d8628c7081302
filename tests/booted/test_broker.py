"""The broker that install.sh sets up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.booted.installing import DEVICE, INSTALL_S, configure, is_active, main_pid
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]

BUNDLE = "/media/stick"


@pytest.fixture(scope="module")
def machine(base: Path, bundle: Path) -> Iterator[BootedMachine]:
    """A machine with an appliance and its own broker, both from a bundle."""
    with BootedMachine(base, binds={bundle: BUNDLE}) as machine:
        machine.user("sudo", f"{BUNDLE}/install.sh", "--broker", timeout_s=INSTALL_S)
        configure(machine, engine={"kind": "espeak"})
        machine.run("systemctl", "restart", "ishowtts")
        machine.wait_until(lambda: is_active(machine) and main_pid(machine), "the service")
        yield machine


def test_only_its_users_may_speak(machine: BootedMachine) -> None:
    topic = f"ishowtts/{DEVICE}/say"
    assert machine.user("mosquitto_pub", "-q", "1", "-t", topic, "-m", "Nobody said this.", check=False).returncode != 0
    assert machine.user("sudo", "ishowtts", "say", "This is said.").returncode == 0
    assert machine.user("ishowtts", "say", "This is not.", check=False).returncode != 0


def test_its_passwords_belong_to_root_and_stay(machine: BootedMachine) -> None:
    def secrets() -> str:
        return machine.shell("stat -c '%U %a %n' /etc/ishowtts/*password*; sha256sum /etc/ishowtts/*password*").stdout

    before = secrets()
    assert before.count("root 600 ") >= 3
    machine.user("sudo", f"{BUNDLE}/install.sh", "--broker", timeout_s=INSTALL_S)
    assert secrets() == before
    assert machine.user("sudo", "ishowtts", "say", "And again.").returncode == 0
