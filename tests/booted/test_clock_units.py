"""The units that lock the clocks of a Jetson, on a machine that looks like one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.booted.installing import configure, is_active, wait_for_ready
from support.booted.machine import BootedMachine
from support.booted.stand_in_jetson import (
    BOARD,
    FREE_HZ,
    LOCKED_HZ,
    add_board,
    gpu_min_hz,
    memory_is_locked,
    unlock_gpu,
)

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]


@pytest.fixture(scope="module")
def jetson(installed: tuple[Path, ...]) -> Iterator[BootedMachine]:
    with BootedMachine(*installed) as machine:
        board = {"sysfs_root": f"{BOARD}/sys", "power_mode": "MAXN"}
        configure(machine, engine={"kind": "espeak"}, board=board)
        machine.shutdown()
        add_board(machine)
        machine.boot()
        wait_for_ready(machine)
        yield machine


def is_locked(machine: BootedMachine) -> bool:
    return gpu_min_hz(machine) == LOCKED_HZ and memory_is_locked(machine)


def is_free(machine: BootedMachine) -> bool:
    return gpu_min_hz(machine) == FREE_HZ and not memory_is_locked(machine)


def test_the_clocks_are_locked_in_the_power_mode_at_boot(jetson: BootedMachine) -> None:
    jetson.wait_until(lambda: is_locked(jetson), "the lock")
    assert is_active(jetson, "ishowtts-clocks")
    assert is_active(jetson, "ishowtts-clocks-repair.path")
    assert jetson.path("/var/lib/nvpmodel/status").read_text() == "pmode:0000 fmode:quiet\n"
    assert "and is now MAXN; undo: sudo nvpmodel -m 2" in jetson.journal("ishowtts-clocks")


def test_clocks_that_another_program_unlocks_are_locked_again(jetson: BootedMachine) -> None:
    jetson.wait_until(lambda: is_locked(jetson), "the lock")
    unlock_gpu(jetson)
    jetson.wait_until(lambda: is_locked(jetson), "the repair")
    jetson.wait_until(lambda: "Finished" in jetson.journal("ishowtts-clocks-repair"), "the end of the repair")


def test_the_former_clocks_are_back_after_a_stop_and_locked_after_a_start(jetson: BootedMachine) -> None:
    jetson.run("systemctl", "stop", "ishowtts")
    jetson.wait_until(lambda: is_free(jetson), "the former clocks")
    assert not is_active(jetson, "ishowtts-clocks-repair.path")
    jetson.run("systemctl", "start", "ishowtts")
    jetson.wait_until(lambda: is_locked(jetson), "the lock")


def test_a_program_that_was_killed_halfway_is_repeated(jetson: BootedMachine) -> None:
    jetson.run("systemctl", "stop", "ishowtts")
    drop_in = jetson.path("/run/systemd/system/ishowtts-clocks.service.d/pause.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nEnvironment=STANDIN_PAUSE=lock-half\n")
    jetson.run("systemctl", "daemon-reload")
    jetson.run("systemctl", "start", "--no-block", "ishowtts")
    jetson.wait_until(lambda: "sleep" in jetson.shell("ps -e -o args", check=False).stdout, "the pause")
    drop_in.unlink()
    jetson.run("systemctl", "daemon-reload")
    jetson.run("systemctl", "kill", "--signal=KILL", "ishowtts-clocks")
    jetson.wait_until(lambda: is_locked(jetson) and is_active(jetson, "ishowtts-clocks"), "the lock")
    jetson.run("systemctl", "stop", "ishowtts")
    jetson.wait_until(lambda: is_free(jetson), "the former clocks")
    jetson.run("systemctl", "start", "ishowtts")
