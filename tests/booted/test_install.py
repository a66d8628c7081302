"""From a fresh machine without a network to a spoken line, and back to a machine without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.booted.installing import (
    INSTALL_S,
    configure,
    files,
    is_active,
    say,
    sound,
    wait_for_ready,
)
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted"), pytest.mark.timeout(900)]

BUNDLE = "/media/stick"
KEPT = ("/etc/ishowtts", "/var/lib/ishowtts", "/var/cache/ishowtts", "/var/log/ishowtts")


@pytest.fixture(scope="module")
def fresh(base: Path, bundle: Path) -> Iterator[BootedMachine]:
    """A machine without an appliance and without a network, with a bundle on a medium."""
    with BootedMachine(base, binds={bundle: BUNDLE}) as machine:
        yield machine


def _check_sound(machine: BootedMachine, after: int = 0) -> None:
    """Check that something was played after this number of samples."""
    heard = sound(machine)[after:]
    assert len(heard) > 24_000
    assert np.abs(heard).max() > 1000


def test_an_installation_without_a_network_speaks_and_leaves_nothing_when_it_is_removed(fresh: BootedMachine) -> None:
    files_before, users_before = files(fresh), fresh.path("/etc/passwd").read_text()
    units_before = fresh.run("systemctl", "list-unit-files", "--no-legend").stdout

    # A configuration that is there: its sound goes to files, so the line at the end can be heard.
    fresh.run("mkdir", "/etc/ishowtts")
    configure(fresh)
    said = fresh.user("sudo", f"{BUNDLE}/install.sh", timeout_s=INSTALL_S).stdout
    assert "If you did not hear it" in said
    assert is_active(fresh)
    _check_sound(fresh)
    assert "ishowtts" in fresh.path("/etc/passwd").read_text()
    for unit in ("ishowtts.service", "ishowtts-clocks.service", "ishowtts-clocks-repair.path"):
        assert fresh.run("systemctl", "is-enabled", unit).stdout == "enabled\n"
    fresh.reboot()
    wait_for_ready(fresh)
    before = len(sound(fresh))
    assert say(fresh, "The kettle is on.")["event"] == "finished"
    _check_sound(fresh, after=before)

    fresh.user("sudo", "/opt/ishowtts/install.sh", "--uninstall")
    kept = files(fresh) - files_before
    assert {name for name in kept if not name.startswith(KEPT)} == set()
    assert "/etc/ishowtts/config.yaml" in kept
    assert fresh.run("systemctl", "list-unit-files", "--no-legend").stdout == units_before
    assert fresh.path("/etc/passwd").read_text() == users_before
    assert "ishowtts" not in fresh.run("ps", "-eo", "args").stdout
    fresh.user("sudo", f"{BUNDLE}/install.sh", "--uninstall", "--purge")
    assert files(fresh) == files_before
