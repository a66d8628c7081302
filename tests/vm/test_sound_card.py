"""A sound card that is not there at boot, comes, is pulled in mid-line and comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.booted import virtual_appliance as appliance
from support.booted.virtual_disk import BootFiles
from support.booted.virtual_machine import VirtualMachine

# Bytes a second of what the card plays: 48 kHz, two channels, 16 bits.
_BYTES_A_SECOND = 192_000


@pytest.fixture(scope="module")
def machine(boot_files: BootFiles) -> Iterator[VirtualMachine]:
    with VirtualMachine(boot_files) as booted:
        appliance.wait_for_ready(booted)
        booted.run("systemctl", "stop", "ishowtts", timeout_s=300)
        # As at the boot of a machine without a card: no driver has registered the class of its devices.
        assert "alsa" not in booted.shell("rmmod snd_timer snd soundcore || true; cat /proc/devices").stdout
        appliance.configure(booted, audio={"device": "auto"})
        appliance.record_events(booted)
        yield booted


def test_a_line_waits_for_the_first_card(machine: VirtualMachine) -> None:
    appliance.publish(machine, id="one", text="The first line waits for a sound card.")
    appliance.wait_for_event(machine, "one", "accepted")
    assert "no sound card" in machine.journal("ishowtts")
    machine.plug_in_card()
    appliance.wait_for_event(machine, "one", "finished")
    assert machine.sound.stat().st_size > _BYTES_A_SECOND


def test_a_line_goes_on_after_its_card_was_pulled(machine: VirtualMachine) -> None:
    appliance.publish(machine, id="two", text="The second line is long enough to be interrupted. " * 5)
    appliance.wait_for_event(machine, "two", "started")
    machine.pull_card()
    appliance.wait_for_event(machine, "two", "interrupted")
    heard = machine.sound.stat().st_size
    machine.plug_in_card()
    appliance.wait_for_event(machine, "two", "finished")
    assert appliance.events(machine, "two") == ["accepted", "started", "interrupted", "resumed", "finished"]
    assert machine.sound.stat().st_size > heard + _BYTES_A_SECOND


def test_a_card_of_another_driver_plays_under_the_device_policy(machine: VirtualMachine) -> None:
    machine.pull_card()
    machine.run("modprobe", "snd-dummy")
    appliance.configure(machine, audio={"device": "plughw:CARD=Dummy"})
    appliance.publish(machine, id="three", text="Played by a card that is not a USB card.")
    appliance.wait_for_event(machine, "three", "finished")
    assert appliance.status(machine)["state"]["state"] == "ready"
    policy = machine.run("systemctl", "show", "-P", "DevicePolicy", "ishowtts").stdout
    assert policy == "closed\n"
