"""From one version to the next, and back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.booted.host import fast_folder
from support.booted.installing import (
    REPOSITORY,
    configure,
    copy_checkout,
    history,
    install,
    is_active,
    large_folder,
    publish,
    say,
    shared_cache,
    state,
    wait_for_outcome,
    wait_for_ready,
)
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]

FORMER = "4402b271"
"""The last commit whose install.sh knew no releases."""
FORMER_CHECKOUT = "/home/alice/ishowtts-former"
QUEUE = "/var/lib/ishowtts/state/inbox.sqlite"
INSTALLED = "/opt/ishowtts/install.sh"


@pytest.fixture(scope="module")
def former(base: Path) -> Iterator[tuple[Path, ...]]:
    """The layers of a machine with the former version, with a spoken line and two that wait in its queue."""
    if subprocess.run(["git", "-C", str(REPOSITORY), "cat-file", "-e", FORMER], check=False).returncode:
        pytest.skip(f"the history of this checkout does not have the commit {FORMER}")
    with large_folder(fast_folder()) as folder:
        with BootedMachine(base, network=True, shared=shared_cache()) as machine:
            copy_checkout(machine, FORMER, FORMER_CHECKOUT)
            copy_checkout(machine)
            install(machine, "--without-f5", checkout=FORMER_CHECKOUT)
            # On a busy machine the tests take longer than the 900 s after which a waiting line expires.
            configure(machine, engine={"kind": "espeak"}, queue={"max_age_s": 86400})
            machine.run("systemctl", "restart", "ishowtts")
            wait_for_ready(machine)
            assert say(machine, "A line of the former version.")["event"] == "finished"
            machine.user("ishowtts", "volume", "35")
            machine.user("ishowtts", "pause")
            for line_id in ("first", "second"):
                publish(machine, "say", f'{{"text": "The {line_id} line waits.", "id": "{line_id}"}}')
            machine.wait_until(lambda: state(machine)["queue_depth"] == 2, "two waiting lines")
            machine.shutdown()
            machine.save(folder / "layer")
        yield folder / "layer", base


@pytest.fixture
def machine(former: tuple[Path, ...]) -> Iterator[BootedMachine]:
    """A machine of its own with the former version."""
    with BootedMachine(*former, network=True, shared=shared_cache()) as machine:
        wait_for_ready(machine)
        yield machine


def _current(machine: BootedMachine) -> str:
    return machine.run("readlink", "-f", "/opt/ishowtts/current").stdout.strip()


def test_an_upgrade_keeps_waiting_lines_and_settings_and_a_rollback_too(machine: BootedMachine) -> None:
    text = install(machine).stdout
    assert "installed" in text
    wait_for_ready(machine)
    assert _current(machine).startswith("/opt/ishowtts/releases/")
    assert machine.run("readlink", "/opt/ishowtts/previous").stdout.strip().endswith("venv")
    assert not machine.path("/etc/systemd/system/ishowtts.service").exists()
    assert state(machine)["queue_depth"] == 2
    assert state(machine)["volume"] == 35
    machine.user("ishowtts", "resume")
    wait_for_outcome(machine, "second", "finished")
    # install.sh has withdrawn its own line, because the appliance was paused.
    assert sorted(line["outcome"] for line in history(machine)) == ["cancelled", "finished", "finished", "finished"]
    assert install(machine, "--without-f5").returncode == 0  # the former version is not kept any longer
    machine.run("rm", "-rf", FORMER_CHECKOUT)
    before = _current(machine)
    machine.user("sudo", INSTALLED, "--rollback")
    wait_for_ready(machine)
    assert _current(machine) != before
    assert say(machine, "And back again.")["event"] == "finished"


def test_a_rollback_to_a_version_before_the_releases_runs_it_as_before(machine: BootedMachine) -> None:
    install(machine)
    wait_for_ready(machine)
    done = machine.user("sudo", INSTALLED, "--rollback", check=False)
    if done.returncode:  # the file of the queue has changed since
        assert "--set-queue-aside" in done.stdout + done.stderr
        wait_for_ready(machine)
        machine.user("sudo", INSTALLED, "--rollback", "--set-queue-aside")
    wait_for_ready(machine)
    assert _current(machine) == "/opt/ishowtts/venv"
    machine.user("ishowtts", "resume")
    assert say(machine, "As before.")["event"] == "finished"
    machine.reboot()
    wait_for_ready(machine)


def test_a_queue_of_a_later_version_is_refused_in_words(machine: BootedMachine) -> None:
    install(machine)
    wait_for_ready(machine)
    machine.run("systemctl", "stop", "ishowtts")
    machine.run(
        "python3", "-c",
        f"import sqlite3; sqlite3.connect('{QUEUE}').execute('PRAGMA user_version=999')",
    )  # fmt: skip
    assert machine.run("systemctl", "start", "ishowtts", check=False).returncode != 0
    journal = machine.journal("ishowtts")
    assert "inbox.sqlite" in journal
    assert "--rollback" in journal
    assert "Traceback" not in journal
    refused = machine.user("sudo", INSTALLED, "--rollback", check=False)
    assert refused.returncode != 0
    assert "--set-queue-aside" in refused.stdout + refused.stderr
    machine.user("sudo", INSTALLED, "--rollback", "--set-queue-aside")
    wait_for_ready(machine)
    assert machine.shell(f"ls {QUEUE}.aside-*").stdout
    assert is_active(machine)
