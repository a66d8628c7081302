"""How long a boot takes on a machine that has no network interface but loopback."""

from __future__ import annotations

import pytest

from support.booted.installing import is_active, main_pid, say, wait_for_ready
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]

_READY_S = 10.0


def entered_s(machine: BootedMachine, unit: str) -> float:
    return int(machine.run("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", unit).stdout) / 1e6


def starved_s(machine: BootedMachine) -> float:
    """How long the main thread of the daemon was ready to run and waited for a core of this host."""
    return int(machine.run("cat", f"/proc/{main_pid(machine)}/schedstat").stdout.split()[1]) / 1e9


def test_the_appliance_is_ready_within_ten_seconds_of_a_boot_without_a_link(appliance: BootedMachine) -> None:
    """Without a broker it waits the longest: 5 s for a connection."""
    appliance.run("systemctl", "disable", "mosquitto")
    appliance.reboot()
    appliance.wait_until(lambda: is_active(appliance), "the service")
    assert not is_active(appliance, "mosquitto")
    assert not is_active(appliance, "network-online.target")
    took_s = entered_s(appliance, "ishowtts") - entered_s(appliance, "basic.target")
    assert took_s - starved_s(appliance) < _READY_S
    appliance.run("systemctl", "start", "mosquitto")
    wait_for_ready(appliance)
    assert say(appliance, "The broker has come later.")["event"] == "finished"
