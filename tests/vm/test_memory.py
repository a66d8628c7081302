"""Memory runs out in a service with a limit of systemd: the kernel ends the worker, and not the daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.booted import memory_leak
from support.booted import virtual_appliance as appliance
from support.booted.installing import main_pid
from support.booted.virtual_disk import BootFiles
from support.booted.virtual_machine import VirtualMachine

_WORKER_S = 600.0
_LINE = ("the train is late again, " * 20)[:400]
_STOP = "[Service]\nOOMPolicy=stop\n"
_LEAK = f"""
limit=$(($(systemctl show -P MemoryCurrent ishowtts) + 150000000))
systemctl set-property --runtime ishowtts MemoryMax=$limit MemorySwapMax=0
touch {memory_leak.TRIGGER}
"""
_LIFT_LIMIT = "systemctl set-property --runtime ishowtts MemoryMax=infinity"


@pytest.fixture(scope="module")
def machine(boot_files: BootFiles) -> Iterator[VirtualMachine]:
    with VirtualMachine(boot_files) as booted:
        booted.write(f"{memory_leak.FOLDER}/sitecustomize.py", memory_leak.SITE)
        booted.write("/etc/systemd/system/ishowtts.service.d/leak.conf", memory_leak.DROP_IN)
        booted.run("systemctl", "daemon-reload")
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
    daemon, former = main_pid(machine), worker(machine)
    assert former
    appliance.publish(machine, id="long", text=_LINE)
    appliance.publish(machine, id="after", text="Spoken after the worker was killed.")
    machine.shell(_LEAK)
    machine.wait_until(lambda: worker(machine) != former, "the end of the worker", _WORKER_S)
    machine.shell(_LIFT_LIMIT)
    for line_id in ("long", "after"):
        appliance.wait_for_event(machine, line_id, "finished")
    assert f"Killed process {former}" in machine.run("journalctl", "-k", "--no-pager", "-o", "cat").stdout
    assert "A process of this unit has been killed by the OOM killer" in machine.journal("ishowtts", "-b")
    machine.wait_until(lambda: loads(machine) > 1, "the next worker", _WORKER_S)
    assert worker(machine) != former
    assert (main_pid(machine), restarts(machine)) == (daemon, 0)


def test_with_the_default_policy_of_systemd_the_daemon_would_end_too(machine: VirtualMachine) -> None:
    machine.write("/etc/systemd/system/ishowtts.service.d/policy.conf", _STOP)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "ishowtts", timeout_s=_WORKER_S)
    former = loads(machine)
    machine.wait_until(lambda: loads(machine) > former, "the worker", _WORKER_S)
    daemon = main_pid(machine)
    appliance.publish(machine, id="stopped", text=_LINE)
    machine.shell(_LEAK)
    machine.wait_until(lambda: main_pid(machine) != daemon, "the end of the daemon", _WORKER_S)
    machine.shell(_LIFT_LIMIT)
    assert "Failed with result 'oom-kill'" in machine.journal("ishowtts", "-b")
    # Even so, no line is lost.
    appliance.wait_for_event(machine, "stopped", "finished")
