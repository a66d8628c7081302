"""The power is cut while a line is spoken."""

from __future__ import annotations

import pytest

from support.booted import virtual_appliance as appliance
from support.booted.virtual_disk import BootFiles
from support.booted.virtual_machine import VirtualMachine

LINES = [f"line-{number}" for number in range(12)]


@pytest.mark.parametrize("cache", ["writeback", "none"])
def test_no_accepted_line_is_lost(boot_files: BootFiles, cache: str) -> None:
    with VirtualMachine(boot_files, cache=cache) as machine:
        appliance.configure(machine, audio={"device": "silent"})
        appliance.wait_for_ready(machine)
        appliance.record_events(machine)
        for line_id in LINES:
            appliance.publish(machine, id=line_id, text=f"This is {line_id}, and it has some more words to say.")
        # From now on the daemon must not lose them. Nothing is written to the disk on purpose.
        appliance.wait_for_event(machine, LINES[-1], "accepted")
        appliance.wait_for_event(machine, LINES[2], "started")
        machine.kill()
        machine.boot()
        appliance.wait_for_ready(machine)
        machine.wait_until(lambda: f"finished (id '{LINES[-1]}')" in machine.journal("ishowtts"), "the last line", 900)
        outcomes = appliance.outcomes(machine)
        assert {line_id: outcomes.get(line_id) for line_id in LINES} == dict.fromkeys(LINES, "finished")
        damaged = machine.run("journalctl", "-b", "-k", "--no-pager", "-p", "err").stdout
        assert "EXT4-fs error" not in damaged
