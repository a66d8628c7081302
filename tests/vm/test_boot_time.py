"""From the start of systemd's units to READY, on a machine without any network interface but loopback."""

from __future__ import annotations

import pytest

from support.booted import virtual_appliance as appliance
from support.booted.virtual_disk import BootFiles
from support.booted.virtual_machine import VirtualMachine

# A core of 10⁹ instructions a second, alone, has about a third of what each of the 12 cores of an AGX Orin does.
_READY_S = 10.0


@pytest.mark.parametrize("broker", ["local", "none"])
def test_the_appliance_is_ready_in_time(boot_files: BootFiles, broker: str) -> None:
    with VirtualMachine(boot_files, counts_instructions=True) as machine:
        if broker == "none":
            machine.run("systemctl", "disable", "mosquitto")
            machine.reboot()
        # One command that waits: each question would take time from the boot.
        machine.run("systemctl", "is-system-running", "--wait", check=False, timeout_s=1200)
        assert machine.run("ls", "/sys/class/net").stdout == "lo\n"
        began_us = appliance.property_us(machine, "basic.target", "ActiveEnter")
        ready_us = appliance.property_us(machine, "ishowtts", "ActiveEnter")
        assert 0 < ready_us - began_us < _READY_S * 1e6
