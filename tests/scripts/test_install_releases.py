"""Releases: what an interrupted run leaves, the switch and its way back, rollback, and the removal of old releases."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from support.install_machine import ROOT, InstallMachine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
FORMER_UNIT = "[Service]\nExecStart=/opt/ishowtts/venv/bin/ishowtts run\n"


@pytest.fixture
def machine(tmp_path: Path) -> InstallMachine:
    return InstallMachine(tmp_path)


@pytest.fixture(scope="module")
def twice_installed(tmp_path_factory: pytest.TempPathFactory) -> InstallMachine:
    machine = InstallMachine(tmp_path_factory.mktemp("upgraded"))
    machine.install()
    machine.install()
    machine.keep_state()
    return machine


@pytest.fixture
def upgraded(twice_installed: InstallMachine) -> InstallMachine:
    """A machine with a previous and a current release. Its folders are as they were after the upgrade."""
    twice_installed.restore_state()
    return twice_installed


def make_former_version(machine: InstallMachine) -> None:
    """Makes an installation as it was before the releases, without a gateway."""
    venv = machine.path("/opt/ishowtts/venv")
    (venv / "bin").mkdir(parents=True)
    for name in ("python", "ishowtts"):
        (venv / "bin" / name).symlink_to(machine.root / "programs/stand-in")
    machine.command.symlink_to(venv / "bin/ishowtts")
    (machine.former_units / "ishowtts.service").write_text(FORMER_UNIT.replace("/opt/", f"{machine.root}/opt/"))
    wants = machine.former_units / "multi-user.target.wants/ishowtts.service"
    wants.parent.mkdir()
    wants.symlink_to(machine.former_units / "ishowtts.service")
    machine.config.parent.mkdir()
    machine.config.write_text("device: {name: kitchen}\n")


def make_queue(machine: InstallMachine, version: int) -> Path:
    """Makes the file of the queue, with one line."""
    machine.config.write_text(f"state_dir: {machine.data}/state\n")
    file = machine.data / "state/inbox.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE lines (text)")
    connection.execute("INSERT INTO lines VALUES ('waiting')")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
    return file


def queue_of(file: Path) -> tuple[int, str]:
    """Version of the file, and its line."""
    connection = sqlite3.connect(file)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return int(version), str(connection.execute("SELECT text FROM lines").fetchone()[0])
    finally:
        connection.close()


def let_only_start(machine: InstallMachine, release: str, other: str = "") -> None:
    """From now on only this release becomes ready. Before it fails, another one does what `other` says."""
    (machine.root / "at-restart").write_text(
        f'if [ "$(readlink -f {machine.current})" != {machine.path(release)} ]; then {other}\nexit 1; fi\n'
    )


def runnable(root: Path, machine: InstallMachine) -> str:
    """Name of the release that would run after a reboot, in a tree that is a machine or a copy of one."""
    link = (root / "opt/ishowtts/current").readlink() if (root / "opt/ishowtts/current").is_symlink() else Path("venv")
    release = root / "opt/ishowtts" / link
    assert (release / "bin/ishowtts").exists(), release
    units = [root / "etc/systemd/system/ishowtts.service", root / "usr/local/lib/systemd/system/ishowtts.service"]
    unit = next(place for place in units if place.exists()).read_text()
    program = re.findall(r"^ExecStart=(\S+)", unit, re.MULTILINE)[0].removeprefix(str(machine.root))
    assert (root / program.lstrip("/")).exists(), program
    assert (root / "etc/ishowtts/config.yaml").exists()
    command = root / machine.command.relative_to(machine.root)
    assert (root / str(command.readlink()).removeprefix(f"{machine.root}/")).exists()
    return link.name


def snapshots(machine: InstallMachine) -> list[str]:
    """What would run after a kill before each step of the last run."""
    folders = sorted((machine.root / "snapshots").iterdir(), key=lambda path: int(path.name))
    names = [runnable(folder, machine) for folder in folders]
    assert len(folders) == len([line for line in machine.log() if line.startswith("+ ")]) > 30
    shutil.rmtree(machine.root / "snapshots")
    return [name for name, before in zip(names, ["", *names], strict=False) if name != before]


def test_a_kill_at_any_step_of_an_upgrade_leaves_a_version_that_runs(upgraded: InstallMachine) -> None:
    before = Path(upgraded.release()).name
    (upgraded.config.parent / "mqtt-password").write_text("s3cret")
    upgraded.install(HOOK="snapshot")
    assert snapshots(upgraded) == [before, Path(upgraded.release()).name], "the switch is one step"


def test_the_run_after_a_kill_removes_what_it_left(upgraded: InstallMachine) -> None:
    before = upgraded.release()
    assert upgraded.run(HOOK="kill", HOOK_AT="8").returncode == -9
    assert len(list(upgraded.releases.iterdir())) == 3
    done = upgraded.run(HOOK="fail", HOOK_AT="9")
    assert done.returncode == 1
    assert f"The version {Path(before).name} still runs." in done.stderr
    assert upgraded.release() == before
    assert len(list(upgraded.releases.iterdir())) == 2, "a failure leaves nothing, and what the kill has left is gone"


def test_a_failure_of_the_first_installation_says_that_nothing_is_installed(machine: InstallMachine) -> None:
    done = machine.run(HOOK="fail", HOOK_AT="5")
    assert done.returncode == 1
    failed, *rest = done.stderr.splitlines()[-3:]
    assert re.fullmatch(r"install.sh failed in part 3 of \d+ \(Build .*\), with status 1\.", failed)
    assert rest == [
        "Nothing is installed yet.",
        "Fix what the messages above name, then run install.sh again. /var/log/ishowtts/install.log has every step.",
    ]


def test_a_failure_at_any_step_of_a_switch_goes_back(upgraded: InstallMachine) -> None:
    before = (upgraded.current.readlink(), upgraded.previous.readlink(), upgraded.units_now())
    for number in range(2, 100, 2):  # every other one, for its time: a link takes two steps
        done = upgraded.run("--rollback", HOOK="fail", HOOK_AT=str(number))
        if done.returncode == 0:
            break
        assert (upgraded.current.readlink(), upgraded.previous.readlink(), upgraded.units_now()) == before, number
        assert not upgraded.path("/opt/ishowtts/.switch").exists(), number
        assert f"The version {before[0].name} still runs." in done.stderr, number
    assert number > 10
    assert upgraded.current.readlink() == before[1]


def test_the_run_after_a_kill_during_the_switch_goes_back_first(upgraded: InstallMachine) -> None:
    before = upgraded.current.readlink()
    units = upgraded.units_now()
    assert upgraded.run("--rollback", HOOK="kill", HOOK_AT="10").returncode == -9
    assert runnable(upgraded.root, upgraded)
    assert upgraded.path("/opt/ishowtts/.switch").exists()
    done = upgraded.run("--rollback", HOOK="fail", HOOK_AT="1")
    assert done.returncode == 1
    assert "an earlier run was interrupted while it switched" in done.stdout
    assert upgraded.current.readlink() == before
    assert upgraded.units_now() == units


def test_nothing_of_an_interrupted_switch_is_left_for_the_next_one(machine: InstallMachine) -> None:
    """A kill before the link `current` was made, as in an upgrade of a version before the releases."""
    make_former_version(machine)
    former = machine.path("/opt/ishowtts/venv")
    for is_complete in (False, True):
        if is_complete:
            (former / ".complete").touch()
        machine.path("/opt/ishowtts/.switch").write_text(f"{former}\n\n/queue\n/queue.before-1\n")
        said = machine.call('finish_interrupted_switch; echo "kept: $queue_kept."')
        assert ("going back" in said) == is_complete
        assert "kept: .\n" in said
        assert "rm -f /.complete" not in said
        assert not machine.path("/opt/ishowtts/.switch").exists()


def test_a_version_that_does_not_become_ready_gives_way_to_the_one_before(upgraded: InstallMachine) -> None:
    first, links = upgraded.release(), (upgraded.current.readlink(), upgraded.previous.readlink())
    unit = upgraded.units / "ishowtts.service"
    unit.write_text("[Service]\n")
    let_only_start(upgraded, first)
    done = upgraded.run()
    assert done.returncode == 1
    assert "the last warnings of the services:\nentry 3\n" in done.stderr
    assert "entry 12\ngoing back to the version" in done.stderr
    assert "systemctl restart ishowtts.service" in upgraded.calls
    assert (upgraded.current.readlink(), upgraded.previous.readlink()) == links
    assert unit.read_bytes() == (ROOT / "systemd/ishowtts.service").read_bytes()
    [failed] = [path for path in upgraded.releases.iterdir() if not (path / ".complete").exists()]
    upgraded.run(HOOK="fail", HOOK_AT="1")
    assert not failed.exists(), "the next run removes it"


def test_a_first_version_that_does_not_become_ready_stays_and_says_so(machine: InstallMachine) -> None:
    machine.fail("systemctl restart")
    machine.fail("systemctl is-active")
    done = machine.run()
    assert done.returncode == 1
    assert machine.current.exists()
    assert "'systemctl status ishowtts' shows why it does not run" in done.stderr


def test_a_queue_that_the_new_version_has_changed_goes_back_with_the_version(upgraded: InstallMachine) -> None:
    queue = make_queue(upgraded, 6)
    (upgraded.root / "queue-version").write_text("7\n")
    # The new version upgrades the file and accepts a line, but does not become ready.
    changes = "c.execute('PRAGMA user_version = 7'); c.execute('UPDATE lines SET text = 1'); c.commit()"
    let_only_start(
        upgraded, upgraded.release(), f"$PYTHON_HERE -c \"import sqlite3; c = sqlite3.connect('{queue}'); {changes}\""
    )
    done = upgraded.run()
    assert done.returncode == 1
    assert queue_of(queue) == (6, "waiting")
    [aside] = queue.parent.glob("inbox.sqlite.aside-*")
    assert queue_of(aside) == (7, "1")
    assert f"{aside.name} has the lines that the other version has accepted" in done.stderr


def test_no_copy_of_the_queue_stays_after_an_upgrade_of_its_file(upgraded: InstallMachine) -> None:
    queue = make_queue(upgraded, 6)
    (upgraded.root / "queue-version").write_text("7\n")
    upgraded.install()
    assert upgraded.called("systemctl stop") == ["systemctl stop ishowtts.service"], "no line arrives after the copy"
    assert [path.name for path in queue.parent.iterdir()] == ["inbox.sqlite"]


def test_a_rollback_without_a_previous_version_is_refused(machine: InstallMachine) -> None:
    done = machine.run("--rollback")
    assert (done.returncode, machine.calls) == (1, [])
    assert "there is no previous version" in done.stderr


def test_a_rollback_changes_to_the_version_before_and_again_to_the_later_one(upgraded: InstallMachine) -> None:
    second, first = upgraded.current.readlink(), upgraded.previous.readlink()
    installer = upgraded.path("/opt/ishowtts/install.sh")
    assert f"now: the version {first.name}" in upgraded.install("--rollback", program=installer)
    assert (upgraded.current.readlink(), upgraded.previous.readlink()) == (first, second)
    assert upgraded.called("python3") == upgraded.called("uv") == []
    assert upgraded.calls[-1] == "systemctl restart ishowtts.service"
    upgraded.install("--rollback", program=installer)
    assert (upgraded.current.readlink(), upgraded.previous.readlink()) == (second, first)


def test_a_version_from_before_the_releases_becomes_the_previous_one(machine: InstallMachine) -> None:
    make_former_version(machine)
    unit = (machine.former_units / "ishowtts.service").read_text()
    machine.install(HOOK="snapshot")
    assert snapshots(machine) == ["venv", Path(machine.release()).name]
    assert not (machine.former_units / "ishowtts.service").exists()
    assert (machine.former_units / "multi-user.target.wants/ishowtts.service").exists(), "it leads to the new unit"
    assert (machine.units / "ishowtts-gateway.service").exists()
    machine.install("--rollback")
    assert machine.current.readlink() == Path("venv")
    assert (machine.units / "ishowtts.service").read_text() == unit
    assert machine.called("systemctl enable") == ["systemctl enable ishowtts.service"], "it has no other unit"
    assert not (machine.units / "ishowtts-gateway.service").exists()
    assert machine.config.read_text() == "device: {name: kitchen}\n"
    machine.install("--rollback")
    assert (machine.units / "ishowtts-gateway.service").exists()
    machine.install()
    assert not machine.path("/opt/ishowtts/venv").exists(), "it is older than the previous version"


def test_a_rollback_brings_the_former_defaults_back_and_keeps_an_edited_file(upgraded: InstallMachine) -> None:
    former = upgraded.previous.resolve() / "share/ishowtts/config.yaml"
    former.write_text("former: defaults\n")
    upgraded.install("--rollback")
    assert upgraded.config.read_text() == "former: defaults\n"
    upgraded.restore_state()
    former.write_text("former: defaults\n")
    upgraded.config.write_text("edited: file\n")
    upgraded.install("--rollback")
    assert upgraded.config.read_text() == "edited: file\n"


def test_a_version_that_cannot_read_the_queue_is_refused_until_the_queue_is_set_aside(
    upgraded: InstallMachine,
) -> None:
    first = upgraded.previous.readlink()
    queue = make_queue(upgraded, 7)
    before = upgraded.tree()
    done = upgraded.run("--rollback")
    assert done.returncode == 1
    assert f"has version 7, and {first.name} reads up to 6" in done.stderr
    assert "--set-queue-aside" in done.stderr
    after = upgraded.tree()
    changed = {path for path in after if after[path] != before.get(path) and not path.endswith((".lock", ".log"))}
    assert changed == set()
    assert "the queue is set aside" in upgraded.install("--rollback", "--set-queue-aside")
    assert upgraded.current.readlink() == first
    assert not queue.exists()
    [aside] = queue.parent.glob("inbox.sqlite.aside-*")
    assert queue_of(aside) == (7, "waiting")
    calls = upgraded.calls
    assert calls.index("systemctl stop ishowtts.service") < calls.index("systemctl restart ishowtts.service")


def test_a_queue_that_was_set_aside_comes_back_if_the_former_version_does_not_start(upgraded: InstallMachine) -> None:
    second = upgraded.release()
    queue = make_queue(upgraded, 7)
    let_only_start(upgraded, second)
    assert upgraded.run("--rollback", "--set-queue-aside").returncode == 1
    assert upgraded.release() == second
    assert [path.name for path in queue.parent.iterdir()] == ["inbox.sqlite"]
    assert queue_of(queue) == (7, "waiting")


def test_a_release_in_use_is_not_removed(upgraded: InstallMachine) -> None:
    first = str(upgraded.previous.resolve())
    program = Path(first) / "bin/sleep"
    program.symlink_to("/usr/bin/sleep")
    with subprocess.Popen([program, "60"]) as process:
        output = upgraded.install("--no-start")
        process.kill()
    assert f"kept: {first.removeprefix(str(upgraded.root))}, because a process still runs from it" in output
    assert Path(first).exists()


def test_packages_that_no_release_shares_leave_the_cache(upgraded: InstallMachine) -> None:
    cache = upgraded.path("/opt/ishowtts/cache/archive-v0")
    for name in ("used", "unused"):
        (cache / name).mkdir(parents=True)
        (cache / name / "module.py").touch()
    (upgraded.current.resolve() / "module.py").hardlink_to(cache / "used/module.py")
    upgraded.install()
    assert [path.name for path in cache.iterdir()] == ["used"]


def test_a_second_run_at_the_same_time_is_refused(upgraded: InstallMachine) -> None:
    lock_file = upgraded.path("/run/ishowtts-install.lock")
    assert stat.S_IMODE(lock_file.stat().st_mode) == 0o600, "no other user can hold the lock"
    with lock_file.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = upgraded.run(LOCK_WAIT_S="0")
    assert (done.returncode, upgraded.calls) == (1, [])
    assert "another install.sh" in done.stderr


def test_only_root_reads_the_log_which_has_every_step_with_its_time(upgraded: InstallMachine) -> None:
    log = upgraded.path("/var/log/ishowtts/install.log")
    first = log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
    output = upgraded.install("--rollback")
    assert "+ " not in output
    assert log.read_text().startswith(first)
    time = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.search(rf"{time} \+ systemctl restart ishowtts.service$", log.read_text(), re.MULTILINE)
    with log.open("a") as file:
        file.truncate(5_000_001)
    upgraded.run("--rollback", HOOK="fail", HOOK_AT="1")
    assert log.with_name("install.log.1").stat().st_size == 5_000_001


def test_a_log_folder_that_is_a_link_is_refused(machine: InstallMachine) -> None:
    machine.path("/var/log/ishowtts").symlink_to("/etc")
    done = machine.run()
    assert (done.returncode, machine.calls) == (1, [])
    assert "/var/log/ishowtts is a link" in done.stderr


def test_a_folder_in_place_of_a_link_is_refused_before_the_switch(upgraded: InstallMachine) -> None:
    before = upgraded.release()
    upgraded.previous.unlink()
    upgraded.previous.mkdir()
    done = upgraded.run()
    assert (done.returncode, upgraded.calls) == (1, [])
    assert "/opt/ishowtts/previous is not a link" in done.stderr
    assert upgraded.release() == before


def test_a_log_that_is_a_link_is_refused(machine: InstallMachine) -> None:
    """Who may write in /var/log, as the group syslog of Ubuntu, may have made the folder with it."""
    machine.path("/var/log/ishowtts").mkdir()
    machine.path("/var/log/ishowtts/install.log").symlink_to("/etc/fstab")
    done = machine.run()
    assert (done.returncode, machine.calls) == (1, [])
    assert "install.log is a link" in done.stderr


def test_a_run_whose_terminal_is_gone_goes_on(upgraded: InstallMachine) -> None:
    """Each message fails, as after the end of an ssh session, or in `install.sh | head`."""
    script = 'task() { echo "a message"; sleep 0.1; echo "another"; touch "$MACHINE/reached"; }\n'
    done = upgraded.shell(f"{script} exec >/dev/full 2>&1; begin; part task 'A task'; run_parts")
    assert done.returncode == 0
    assert (upgraded.root / "reached").exists()
    assert upgraded.path("/var/log/ishowtts/install.log").read_text().endswith("Z another\n")


def test_variables_of_the_caller_lead_no_program_elsewhere(machine: InstallMachine) -> None:
    (machine.root / "at-restart").write_text('env >"$MACHINE/environment"\n')
    caller = {"PYTHONPATH": "/elsewhere", "PIP_TARGET": "/elsewhere", "UV_SYSTEM_PYTHON": "1", "CDPATH": "/elsewhere"}
    machine.install("--no-line", **caller)
    environment = dict(line.split("=", 1) for line in (machine.root / "environment").read_text().splitlines())
    assert not caller.keys() & environment.keys()
    assert "/usr/sbin" in environment["PATH"], "after `su`, runuser is not found without it"


def test_the_copy_of_the_installer_removes_but_does_not_install(upgraded: InstallMachine) -> None:
    installer = upgraded.path("/opt/ishowtts/install.sh")
    refused = upgraded.run(program=installer)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "this copy can only go back" in refused.stderr
    upgraded.install("--uninstall", "--purge", program=installer)
    left = {str(path.relative_to(upgraded.root)) for folder in ("etc", "opt", "run", "usr", "var")
            for path in (upgraded.root / folder).rglob("*") if "ishowtts" in path.name}  # fmt: skip
    assert left == set()


def test_a_release_is_readable_for_the_service_whoever_made_the_checkout(machine: InstallMachine) -> None:
    (machine.root / "checkout/scripts/install/queue_file.py").chmod(0o600)
    machine.install()
    share = machine.current.resolve() / "share/ishowtts"
    assert stat.S_IMODE((share / "scripts/install/queue_file.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((share / "install.sh").stat().st_mode) == 0o755
    assert (share / "queue-version").read_text() == "6\n"
