"""Installations that do not come to their end. What ran before goes on, and the next run repairs all."""

from __future__ import annotations

import re
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
    upgrade.communicate(timeout=300)
    _is_as_before(machine, before, pid)
    _install_again(machine, before)


def test_a_power_cut_while_packages_are_installed_boots_the_former_version(machine: BootedMachine) -> None:
    before = _releases(machine)
    upgrade = _begin(machine)
    _wait_for(machine, upgrade, _has_begun_packages(machine, before))
    machine.kill()
    upgrade.communicate(timeout=300)
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


def _move_to_disk(machine: BootedMachine, free_mb: int) -> None:
    """Give the releases a disk of their own with this much free space. A running program keeps its files."""
    used_mb = int(machine.run("du", "-sm", "/opt/ishowtts").stdout.split()[0])
    machine.shell(
        f"mkdir /srv/disk && mount -t tmpfs -o size={used_mb + free_mb}m,mode=755 disk /srv/disk\n"
        "cp -a /opt/ishowtts/. /srv/disk/ && mount --bind /srv/disk /opt/ishowtts"
    )


def test_a_small_disk_is_refused_before_anything_changes(machine: BootedMachine) -> None:
    before, pid = _releases(machine), main_pid(machine)
    _move_to_disk(machine, free_mb=100)
    done = install(machine, check=False)
    assert done.returncode != 0
    assert re.search(r"needs \d+ MB in /opt/ishowtts, but only \d+ MB are free", done.stdout + done.stderr)
    _is_as_before(machine, before, pid)
    assert _releases(machine) == before


def test_a_disk_that_fills_up_is_named_and_leaves_the_running_version(machine: BootedMachine) -> None:
    before, pid = _releases(machine), main_pid(machine)
    _move_to_disk(machine, free_mb=1200)
    upgrade = _begin(machine)
    _wait_for(machine, upgrade, _has_begun_packages(machine, before))
    machine.shell("head -c 2G /dev/zero >/srv/disk/filled || true")
    said = upgrade.communicate(timeout=300)[0]
    assert upgrade.returncode != 0
    assert "space" in said
    assert "still runs" in said
    assert "Traceback" not in said
    _is_as_before(machine, before, pid)
    machine.run("rm", "/srv/disk/filled")
    _install_again(machine, before)
