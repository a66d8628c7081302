"""Memory runs out: the kernel ends the worker, and the daemon goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.booted import memory_leak
from support.booted.installing import configure, main_pid, publish, wait_for_outcome, wait_for_ready
from support.booted.machine import BootedMachine
from support.waiting import eventually

pytestmark = [
    pytest.mark.booted,
    pytest.mark.xdist_group("booted"),
    pytest.mark.skipif(
        not Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists(),
        reason="it limits memory by cgroup v1, which this host does not use; tests/vm does the same with v2",
    ),
]

LINE = " ".join(f"This is sentence number {number} of a line that takes long." for number in range(1, 9))
_LIMIT_BYTES = 200_000_000
_CONTROLLER = Path("/sys/fs/cgroup/memory")


def _worker(machine: BootedMachine) -> str:
    """The PID of the worker of the natural voice, as the machine sees it; empty if there is none."""
    return machine.run("pgrep", "-f", "worker_main [0-9]+ hibari", check=False).stdout.strip()


def _loads(machine: BootedMachine) -> int:
    return machine.journal("ishowtts", "-b").count("the engine hibari is ready")


@contextmanager
def _limited(machine: BootedMachine) -> Iterator[Path]:
    """Let the processes of the service allocate no more than `_LIMIT_BYTES`. Yields the group that counts the kills.

    A machine has no controller of memory if the host uses it in cgroup v1. So the host limits the processes.
    """
    group = _CONTROLLER / f"ishowtts-test-{os.getpid()}"
    group.mkdir()
    try:
        # What they have stays counted elsewhere: the limit is for what they allocate from now on.
        (group / "memory.limit_in_bytes").write_text(str(_LIMIT_BYTES))
        for pid in machine.host_pids("ishowtts"):
            (group / "cgroup.procs").write_text(str(pid))
        yield group
    finally:
        eventually(lambda: _removed(group), "the end of the group")


def _removed(group: Path) -> bool:
    """Move the processes out of the group and remove it. Returns false if a new one was started in it meanwhile."""
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            (_CONTROLLER / "cgroup.procs").write_text(pid)
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def test_the_daemon_goes_on_when_the_kernel_has_killed_its_worker(appliance: BootedMachine) -> None:
    folder = appliance.path(memory_leak.FOLDER)
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(memory_leak.SITE)
    drop_ins = appliance.path("/etc/systemd/system/ishowtts.service.d")
    drop_ins.mkdir(exist_ok=True)
    (drop_ins / "leak.conf").write_text(memory_leak.DROP_IN)
    configure(appliance, engine={"kind": "hibari", "fallback": ["espeak"]})
    appliance.run("systemctl", "daemon-reload")
    appliance.run("systemctl", "restart", "ishowtts")
    wait_for_ready(appliance)
    appliance.wait_until(lambda: _loads(appliance) > 0, "the natural voice")
    before, daemon, worker = _loads(appliance), main_pid(appliance), _worker(appliance)
    assert worker

    publish(appliance, "say", json.dumps({"text": LINE, "id": "long"}))
    publish(appliance, "say", json.dumps({"text": "Spoken after that.", "id": "after"}))
    with _limited(appliance) as group:
        appliance.path(memory_leak.TRIGGER).touch()
        appliance.wait_until(lambda: _worker(appliance) != worker, "the end of the worker")
        assert "oom_kill 1" in (group / "memory.oom_control").read_text().splitlines()
    for line_id in ("long", "after"):
        wait_for_outcome(appliance, line_id, "finished")
    assert "killed by SIGKILL, perhaps because memory ran out" in appliance.journal("ishowtts", "-b")
    appliance.wait_until(lambda: _loads(appliance) > before, "the next worker")
    assert main_pid(appliance) == daemon
    assert appliance.run("systemctl", "show", "-P", "NRestarts", "ishowtts").stdout == "0\n"
