"""Memory is short while the natural voice speaks: the kernel ends the worker and not the daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.booted import virtual_appliance as appliance
from support.booted.virtual_disk import BootFiles
from support.booted.virtual_machine import VirtualMachine

_WORKER_S = 600.0
# The worker has 170 MB, and needs 120 MB more to speak this.
_LONG = ("the train is late again, " * 20)[:400]
# With what can be read again from the disk out of memory, the limit is a little above what is used. It must not be
# below: then the kernel kills processes until it fits, and does not wait for the pages of the first one.
_SET_LIMIT = """
group=/sys/fs/cgroup/system.slice/ishowtts.service
echo 1G >$group/memory.reclaim || true
systemctl set-property --runtime ishowtts MemoryMax=$(($(cat $group/memory.current) + 15000000)) MemorySwapMax=0
"""
_LIFT_LIMIT = "systemctl set-property --runtime ishowtts MemoryMax=infinity"
_STOP = "[Service]\nOOMPolicy=stop\n"


@pytest.fixture(scope="module")
def machine(boot_files: BootFiles) -> Iterator[VirtualMachine]:
    with VirtualMachine(boot_files) as booted:
        appliance.configure(booted, engine={"kind": "hibari", "fallback": ["espeak"]})
        appliance.wait_for_ready(booted)
        booted.wait_until(lambda: loads(booted) == 1, "the worker", _WORKER_S)
        appliance.record_events(booted)
        yield booted


def worker(machine: VirtualMachine) -> str:
    """Returns the PID of the worker of the natural voice; empty if there is none."""
    return machine.run("pgrep", "-f", "worker_main [0-9]+ hibari", check=False).stdout.strip()


def loads(machine: VirtualMachine) -> int:
    """Returns how often the natural voice has become ready to speak since the boot."""
    # The journal also has the installation, in a boot before.
    return machine.journal("ishowtts", "-b").count("the engine hibari is ready")


def restarts(machine: VirtualMachine) -> int:
    """Returns how often systemd has started the service again by itself."""
    return int(machine.run("systemctl", "show", "-P", "NRestarts", "ishowtts").stdout)


def test_the_daemon_goes_on_when_the_kernel_has_killed_its_worker(machine: VirtualMachine) -> None:
    daemon, former = appliance.main_pid(machine), worker(machine)
    assert former
    machine.shell(_SET_LIMIT)
    appliance.publish(machine, id="long", text=_LONG)
    appliance.publish(machine, id="after", text="Spoken after the worker was killed.")
    machine.wait_until(lambda: worker(machine) != former, "the end of the worker", _WORKER_S)
    # Now, since after five deaths in ten minutes no worker is started for an hour.
    machine.shell(_LIFT_LIMIT)
    for line_id in ("long", "after"):
        appliance.wait_for_event(machine, line_id, "finished")
    journal = machine.journal("ishowtts")
    assert "A process of this unit has been killed by the OOM killer" in journal
    assert "espeak spoke in place of hibari" in journal
    assert f"Killed process {former}" in machine.run("journalctl", "-k", "--no-pager", "-o", "cat").stdout
    assert (appliance.main_pid(machine), restarts(machine)) == (daemon, 0)

    machine.wait_until(lambda: loads(machine) > 1, "the next worker", _WORKER_S)
    assert worker(machine) != former
    assert (appliance.main_pid(machine), restarts(machine)) == (daemon, 0)


def test_with_the_default_policy_of_systemd_the_daemon_would_end_too(machine: VirtualMachine) -> None:
    machine.write("/etc/systemd/system/ishowtts.service.d/policy.conf", _STOP)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "ishowtts", timeout_s=_WORKER_S)
    daemon = appliance.main_pid(machine)
    machine.shell(_SET_LIMIT)
    appliance.publish(machine, id="stopped", text=_LONG)
    machine.wait_until(lambda: appliance.main_pid(machine) != daemon, "the end of the daemon", _WORKER_S)
    machine.shell(_LIFT_LIMIT)
    assert "Failed with result 'oom-kill'" in machine.journal("ishowtts")
    # Even so, no line is lost.
    appliance.wait_for_event(machine, "stopped", "finished")
