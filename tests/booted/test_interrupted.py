"""Installations that do not come to their end. What ran before goes on, and the next run repairs all."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.booted.installing import CACHES, CHECKOUT, install, main_pid, say, shared_cache, wait_for_ready
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]


@pytest.fixture
def machine(installed: tuple[Path, ...]) -> Iterator[BootedMachine]:
    """A machine of its own with an appliance that is to be upgraded over the network."""
    with BootedMachine(*installed, network=True, shared=shared_cache()) as machine:
        wait_for_ready(machine)
        yield machine


def _releases(machine: BootedMachine) -> set[str]:
    return {path.name for path in machine.path("/opt/ishowtts/releases").iterdir()}


def _begin(machine: BootedMachine) -> subprocess.Popen[str]:
    return machine.start("sh", "-c", f"cd {CHECKOUT} && exec ./install.sh", env=CACHES)


def _wait_for(machine: BootedMachine, upgrade: subprocess.Popen[str], is_reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_reached():
        assert upgrade.poll() is None, f"install.sh ended early: {upgrade.communicate()[0]}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _has_begun_packages(machine: BootedMachine, before: set[str]) -> Callable[[], bool]:
    def begun() -> bool:
        new = _releases(machine) - before
        return any(list(machine.path(f"/opt/ishowtts/releases/{name}").glob("lib/python3.*/site-packages/numpy*"))
                   for name in new)  # fmt: skip

    return begun


def _is_as_before(machine: BootedMachine, before: set[str], pid: int) -> None:
    assert main_pid(machine) == pid
    assert machine.path("/opt/ishowtts/current").readlink().name in before
    assert say(machine, "This version still runs.")["event"] == "finished"


def _install_again(machine: BootedMachine, before: set[str]) -> None:
    install(machine)
    wait_for_ready(machine)
    assert machine.path("/opt/ishowtts/current").readlink().name not in before
    assert len(_releases(machine)) == 2
    assert say(machine, "And the new one.")["event"] == "finished"


def test_a_kill_while_packages_are_installed_leaves_the_running_version(machine: BootedMachine) -> None:
    before, pid = _releases(machine), main_pid(machine)
    upgrade = _begin(machine)
    _wait_for(machine, upgrade, _has_begun_packages(machine, before))
    machine.run("pkill", "-9", "-f", "install.sh", check=False)
    machine.run("pkill", "-9", "uv", check=False)
    upgrade.communicate(timeout=60)
    _is_as_before(machine, before, pid)
    _install_again(machine, before)


def test_a_power_cut_while_packages_are_installed_boots_the_former_version(machine: BootedMachine) -> None:
    before = _releases(machine)
    upgrade = _begin(machine)
    _wait_for(machine, upgrade, _has_begun_packages(machine, before))
    machine.kill()
    upgrade.communicate(timeout=60)
    machine.boot()
    wait_for_ready(machine)
    _is_as_before(machine, before, main_pid(machine))
    _install_again(machine, before)


def test_a_network_that_goes_away_is_named(machine: BootedMachine) -> None:
    before, pid = _releases(machine), main_pid(machine)
    machine.cut_network()
    done = machine.run("sh", "-c", f"cd {CHECKOUT} && ./install.sh", check=False, timeout_s=300)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "network" in said
    assert "still runs" in said.splitlines()[-2] + said.splitlines()[-1]
    assert "Traceback" not in said
    _is_as_before(machine, before, pid)


def test_a_full_disk_is_named_and_leaves_the_running_version(machine: BootedMachine) -> None:
    before, pid = _releases(machine), main_pid(machine)
    used_mb = int(machine.run("du", "-sm", "/opt/ishowtts").stdout.split()[0])
    # A disk of its own for the releases, with room for a third of another one. A running program keeps its files.
    machine.shell(
        f"mkdir /srv/disk && mount -t tmpfs -o size={used_mb + 100}m,mode=755 disk /srv/disk\n"
        "cp -a /opt/ishowtts/. /srv/disk/ && mount --bind /srv/disk /opt/ishowtts"
    )
    done = install(machine, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "space" in said
    assert "still runs" in said
    _is_as_before(machine, before, pid)
    machine.run("mount", "-o", "remount,size=3g", "/srv/disk")
    _install_again(machine, before)
