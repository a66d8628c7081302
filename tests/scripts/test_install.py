"""install.sh from its first to its last line, on a machine that is a folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.install_machine import ROOT, SCRIPTS, SYSTEM_PATH, UNCHANGED, InstallMachine

NOBODY = 65534
SECRETS = ["mqtt-username", "mqtt-password", "mqtt-tls-key"]
GATEWAY_SECRETS = ["gateway-mqtt-username", "gateway-mqtt-password", "gateway-token", "mqtt-tls-key"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def machine(tmp_path: Path) -> InstallMachine:
    return InstallMachine(tmp_path)


def test_the_copy_that_is_run_names_no_path_outside_the_root_folder(machine: InstallMachine) -> None:
    for name in SCRIPTS:
        text = (machine.root / "checkout" / name).read_text().replace(str(machine.root), "ROOT")
        for path in UNCHANGED:
            text = text.replace(path, "")
        assert SYSTEM_PATH.findall(text) == [], name


def test_a_fresh_installation_takes_these_steps_in_this_order(machine: InstallMachine) -> None:
    machine.install()
    venv = machine.release()
    uv = f"uv pip install --quiet --python {venv}/bin/python --no-deps"
    assert machine.calls == [
        "runuser -u nobody -- /programs/python3 -c ",
        f"python3 -m venv {venv}",
        "python -m pip install --quiet --disable-pip-version-check --require-hashes -r daemon/requirements/uv.txt",
        f"{uv} --require-hashes -r daemon/requirements/linux.txt",
        f"{uv} --require-hashes -r daemon/requirements/natural.txt",
        f"{uv} --no-build-isolation --reinstall-package ishowtts .",
        f"python -m compileall -qq -j 0 {venv}/lib",
        "systemd-sysusers /usr/local/lib/sysusers.d/ishowtts.conf",
        "systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/ishowtts.conf",
        "ishowtts chimes --make --config /etc/ishowtts/config.yaml",
        "systemctl daemon-reload",
        "systemctl enable ishowtts.service ishowtts-clocks.service ishowtts-clocks-repair.path",
        "systemctl try-restart ishowtts-gateway.service",
        "systemctl restart ishowtts.service",
        "ishowtts say --verbose --wait 15 --config /etc/ishowtts/config.yaml iShowTTS is installed and ready.",
    ]


def test_a_unit_that_the_operator_has_disabled_stays_disabled(machine: InstallMachine) -> None:
    clocks = "ishowtts-clocks.service"
    machine.fail("systemctl is-enabled")
    machine.install("--no-start")
    machine.install()
    assert f"systemctl enable ishowtts.service {clocks} ishowtts-clocks-repair.path" in machine.calls
    (machine.root / "fails/systemctl is-enabled").unlink()
    (machine.root / f"fails/disabled {clocks}").touch()
    assert f"kept: {clocks} is disabled" in machine.install()
    assert "systemctl enable ishowtts.service ishowtts-clocks-repair.path" in machine.calls


def test_the_benches_are_installed_only_if_asked_for(machine: InstallMachine) -> None:
    left_over = machine.root / "checkout/build/lib/removed.py"
    left_over.parent.mkdir(parents=True)
    left_over.touch()
    machine.install("--bench")
    assert not left_over.exists()
    called = machine.called("uv")
    assert called[-1].endswith("--reinstall-package ishowtts-bench ./daemon/ishowtts_bench")
    locks = [call.rpartition("/")[2] for call in called if " -r " in call]
    assert locks == ["linux.txt", "upstream.txt", "torchaudio.txt", "natural.txt"]
    machine.install()
    assert not re.search("ishowtts-bench|torchaudio|upstream", " ".join(machine.called("uv")))
    machine.install("--bench", "--without-f5")
    assert not re.search("torchaudio|upstream", " ".join(machine.called("uv")))


def test_without_the_natural_voice_the_installation_goes_on_and_says_so_once(machine: InstallMachine) -> None:
    assert re.search(
        r"^\+ (/opt/ishowtts/releases/\S+)/bin/uv pip install --python \1/bin/python --no-deps "
        r"--require-hashes -r daemon/requirements/natural\.txt$", machine.install("--dry-run"), re.MULTILINE,
    )  # fmt: skip
    assert "natural voice" not in machine.install()
    machine.fail("natural")
    output = machine.install()
    sentence = (
        "the natural voice could not be installed, so espeak-ng speaks wherever F5 does not; "
        "to add it, run install.sh again"
    )
    assert output.count(sentence) == 1
    assert machine.called("systemctl")[-1] == "systemctl restart ishowtts.service"
    assert len([call for call in machine.called("uv") if call.endswith("natural.txt")]) == 2, "an index may fail once"


def test_speech_recognition_is_installed_if_asked_for_and_upgraded_later(machine: InstallMachine) -> None:
    lock = "--require-hashes -r daemon/requirements/transcription.txt"
    assert lock in machine.install("--with-transcription", "--dry-run")
    machine.install()
    assert not any(call.endswith(lock) for call in machine.called("uv"))
    machine.install("--with-transcription")
    assert any(call.endswith(lock) for call in machine.called("uv"))
    (machine.current / "lib/python3.11/site-packages/faster_whisper").mkdir(parents=True)
    machine.install()
    assert any(call.endswith(lock) for call in machine.called("uv"))


def test_neither_f5_nor_torch_is_installed_if_not_wanted_and_later_upgrades_keep_it(machine: InstallMachine) -> None:
    def locks(*arguments: str) -> set[str]:
        machine.install(*arguments)
        return set(re.findall(r"requirements/(\w+)\.txt", " ".join(machine.called("uv pip install"))))

    assert "core" in machine.install("--without-f5", "--dry-run")
    assert locks() == {"linux", "natural"}
    assert locks("--without-f5") == {"core", "natural"}
    assert locks() == {"core", "natural"}
    assert locks("--with-f5") == {"linux", "natural"}
    assert locks() == {"linux", "natural"}
    refused = machine.run("--without-f5", "--torch", "/wheels")
    assert refused.returncode == 2
    assert "--torch is for F5, which --without-f5 leaves out" in refused.stderr


def test_a_fresh_installation_leaves_command_configuration_units_and_folders(machine: InstallMachine) -> None:
    machine.install()
    assert machine.command.readlink() == machine.current / "bin/ishowtts"
    assert machine.config.read_bytes() == (ROOT / "config/ishowtts.yaml").read_bytes()
    assert machine.owner("/etc/ishowtts/config.yaml") == (0, 0, "0o644")
    assert {path.name for path in machine.units.iterdir()} == {
        "ishowtts.service", "ishowtts-clocks.service", "ishowtts-clocks-repair.path", "ishowtts-clocks-repair.service",
        "ishowtts-gateway.service",
    }  # fmt: skip
    for unit in machine.units.iterdir():
        assert unit.read_bytes() == (ROOT / "systemd" / unit.name).read_bytes()
        programs = re.findall(r"^Exec\w+=(\S+)", unit.read_text(), re.MULTILINE)
        assert bool(programs) == (unit.suffix == ".service")
        for program in programs:
            installed = machine.path(program) if program.startswith("/opt/") else program  # /bin/kill is the system's
            assert os.access(installed, os.X_OK), program
    assert machine.owner("/var/lib/ishowtts") == (0, NOBODY, "0o750")
    assert machine.owner("/var/lib/ishowtts/state") == (NOBODY, NOBODY, "0o700")
    assert machine.owner("/var/cache/ishowtts") == (NOBODY, NOBODY, "0o700")
    assert machine.owner("/var/lib/ishowtts/voices") == machine.owner("/var/lib/ishowtts/chimes") == (0, 0, "0o755")


@pytest.mark.parametrize(
    "arguments", [(), ("--no-start",), ("--without-f5",), ("--uninstall",), ("--uninstall", "--purge")]
)
def test_a_dry_run_prints_the_steps_of_the_real_run_and_changes_nothing(
    machine: InstallMachine, arguments: tuple[str, ...]
) -> None:
    machine.config.parent.mkdir()
    (machine.config.parent / "mqtt-password").write_text("s3cret")
    if "--uninstall" in arguments:
        machine.install()
    (machine.root / "uid").write_text("1000\n")
    before = machine.tree()
    dry = machine.install("--dry-run", *arguments)
    assert machine.calls == []
    assert machine.tree() == before
    (machine.root / "uid").write_text("0\n")
    real = machine.install(*arguments)
    assert steps(dry) == steps("\n".join(machine.log())) != []
    assert "dry run" not in real
    assert not [line for line in steps(dry) if line.startswith(("+ make_venv", "+ install_", "+ apt_install"))]
    assert not [line for line in steps(dry) if line.endswith("-c ")], "each can be typed as it stands"


def steps(output: str) -> list[str]:
    """The steps; the time in the name of the new release differs from run to run."""
    return [re.sub(r"\d{8}T\d{6}Z[.\d]*", "TIME", line) for line in output.splitlines() if line.startswith("+ ")]


def test_an_upgrade_keeps_configuration_and_user_and_restarts_the_service(machine: InstallMachine) -> None:
    machine.install()
    machine.config.write_text("device: {name: kitchen}\n")
    (machine.data / "state/inbox.sqlite").write_text("lines")
    (machine.units / "ishowtts.service").write_text("of the version before")
    assert "kept: /etc/ishowtts/config.yaml" in machine.install()
    assert machine.config.read_text() == "device: {name: kitchen}\n"
    assert (machine.data / "state/inbox.sqlite").read_text() == "lines"
    assert (machine.units / "ishowtts.service").read_bytes() == (ROOT / "systemd/ishowtts.service").read_bytes()
    assert machine.called("systemctl")[-1] == "systemctl restart ishowtts.service"
    assert "systemctl stop ishowtts.service" not in machine.calls, "the service speaks until the new version is there"


def test_an_upgrade_from_the_old_layout_stops_the_service_before_its_queue_moves(machine: InstallMachine) -> None:
    machine.install()
    machine.config.write_text(f"state_dir: {machine.data}\n")
    (machine.data / "state").rmdir()
    os.chown(machine.data, NOBODY, NOBODY)
    (machine.data / "inbox.sqlite").write_text("lines")
    machine.install()
    assert machine.config.read_text() == f"state_dir: {machine.data}/state\n"
    assert (machine.data / "state/inbox.sqlite").read_text() == "lines"
    log = "\n".join(machine.log())
    assert log.index("systemctl stop ishowtts.service") < log.index("mv -n -T")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_foreign_command_outlives_installation_and_removal(machine: InstallMachine, kind: str) -> None:
    if kind == "file":
        machine.command.write_text("#!/bin/sh\n")
    else:
        machine.command.symlink_to("/usr/bin/true")
    before = machine.tree()[str(machine.command)]
    assert "kept: /usr/local/bin/ishowtts" in machine.install()
    machine.install("--uninstall")
    assert machine.tree()[str(machine.command)] == before


def test_the_command_of_an_earlier_installation_is_made_again(machine: InstallMachine) -> None:
    machine.install()
    shutil.rmtree(machine.path("/opt/ishowtts"))
    machine.install()
    assert machine.command.exists()


def test_each_service_gets_each_of_its_secrets_that_exists_and_no_other(machine: InstallMachine) -> None:
    folder = machine.config.parent
    folder.mkdir()
    drop_ins = {machine.drop_ins: SECRETS, machine.gateway_drop_ins: GATEWAY_SECRETS}
    every = list(dict.fromkeys([*SECRETS, *GATEWAY_SECRETS]))
    for present in (every, ["mqtt-password", "gateway-token"], ["mqtt-tls-key"], []):
        for name in every:
            (folder / name).unlink(missing_ok=True)
        for name in present:
            (folder / name).write_text("s3cret")
        machine.install("--no-start")
        for place, own in drop_ins.items():
            assert {path.name for path in place.iterdir()} == {f"{name}.conf" for name in own if name in present}
            for drop_in in place.iterdir():
                assert drop_in.read_bytes() == (ROOT / "systemd" / drop_in.name).read_bytes()


def test_the_gateway_is_off_until_the_operator_enables_it(machine: InstallMachine) -> None:
    machine.fail("systemctl is-enabled")
    assert "sudo systemctl enable --now ishowtts-gateway" in machine.install()
    assert not [call for call in machine.called("systemctl enable") if "gateway" in call]
    (machine.root / "fails/systemctl is-enabled").unlink()
    assert "enable --now ishowtts-gateway" not in machine.install()
    assert "systemctl try-restart ishowtts-gateway.service" in machine.calls
    machine.install("--no-start")
    assert machine.called("systemctl try-restart") == []


def test_only_packages_that_are_missing_are_asked_of_apt(machine: InstallMachine) -> None:
    machine.install()
    assert machine.called("apt-get") == []
    packages = (machine.root / "packages").read_text().splitlines()
    (machine.root / "packages").write_text("".join(f"{name}\n" for name in packages if name != "espeak-ng"))
    machine.install()
    assert machine.called("apt-get") == [
        "apt-get update -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0",
        "apt-get install -y -qq --no-install-recommends espeak-ng -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0",
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["f5", "transcription"])
def test_a_part_cannot_be_chosen_and_left_out(part: str) -> None:
    done = subprocess.run(
        [ROOT / "install.sh", "--dry-run", f"--with-{part}", f"--without-{part}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    words = f"install.sh: --with-{part} and --without-{part} exclude each other; --help shows the options\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", words)


def test_without_a_start_the_units_are_there_and_nothing_runs(machine: InstallMachine) -> None:
    machine.install("--no-start")
    assert machine.called("systemctl") == ["systemctl daemon-reload"]
    assert (machine.units / "ishowtts.service").exists()


def test_without_a_running_systemd_files_are_installed_and_removed(machine: InstallMachine) -> None:
    machine.path("/run/systemd/system").rmdir()
    machine.install()
    assert (machine.units / "ishowtts.service").exists()
    machine.install("--uninstall")
    assert not machine.units.exists()
    assert machine.called("systemctl") == []


def test_a_removal_restores_the_clocks_and_keeps_what_is_the_operators(machine: InstallMachine) -> None:
    announcements = machine.path("/etc/avahi/services")
    announcements.mkdir(parents=True)
    (announcements / "other.service").touch()
    before = machine.tree()
    machine.install()
    shutil.copy(ROOT / "config/avahi/ishowtts-wyoming.service", announcements)  # as docs/gateway.md says
    (machine.data / "state/inbox.sqlite").write_text("lines")
    output = machine.install("--uninstall")
    assert machine.calls == [
        "systemctl disable --now ishowtts-gateway.service",
        "systemctl disable --now ishowtts.service",
        "systemctl disable --now ishowtts-clocks.service",
        "ishowtts clocks restore",
        "systemctl disable --now ishowtts-clocks-repair.path",
        "ishowtts ha remove",
        "systemctl daemon-reload",
        "userdel ishowtts-gateway",
        "userdel ishowtts",
    ]
    assert {path.removeprefix(str(machine.root)) for path in machine.tree().keys() - before.keys()} == {
        "/etc/ishowtts", "/etc/ishowtts/config.yaml", "/var/cache/ishowtts", "/var/lib/ishowtts",
        "/var/lib/ishowtts/chimes", "/var/lib/ishowtts/state", "/var/lib/ishowtts/state/inbox.sqlite",
        "/var/lib/ishowtts/voices", "/var/log/ishowtts", "/var/log/ishowtts/install.log",
    }  # fmt: skip
    assert "kept: /etc/ishowtts /var/lib/ishowtts /var/cache/ishowtts /var/log/ishowtts" in output


def test_a_removal_goes_on_if_the_broker_does_not_answer(machine: InstallMachine) -> None:
    machine.install()
    machine.fail("ishowtts ha")
    assert "delete the device there" in machine.install("--uninstall")
    assert machine.calls[-1] == "userdel ishowtts"


def test_a_purge_leaves_nothing_except_the_packages(machine: InstallMachine) -> None:
    before = machine.tree()
    machine.install()
    machine.drop_ins.mkdir()
    (machine.drop_ins / "override.conf").write_text("[Service]\n")
    machine.install("--uninstall", "--purge")
    assert machine.tree() == before


def test_a_removal_keeps_the_drop_ins_of_systemctl_edit_alone(machine: InstallMachine) -> None:
    machine.config.parent.mkdir()
    for secret in ("mqtt-password", "gateway-token"):
        (machine.config.parent / secret).write_text("s3cret")
    machine.install()
    machine.install("--uninstall")
    assert not machine.drop_ins.exists()
    assert not machine.gateway_drop_ins.exists()
    machine.install()
    for folder in (machine.drop_ins, machine.gateway_drop_ins):
        (folder / "override.conf").write_text("[Service]\n")
    kept = machine.install("--uninstall")
    for folder in (machine.drop_ins, machine.gateway_drop_ins):
        assert str(folder).removeprefix(str(machine.root)) in kept
        assert [path.name for path in folder.iterdir()] == ["override.conf"]


def test_a_user_that_cannot_be_removed_does_not_stop_the_removal(machine: InstallMachine) -> None:
    machine.install()
    machine.fail("userdel")
    machine.fail("systemctl disable")
    assert "the user ishowtts stays" in machine.install("--uninstall", "--purge")
    assert not machine.data.exists()


def test_a_chime_that_cannot_be_made_does_not_stop_an_upgrade(machine: InstallMachine) -> None:
    machine.install()
    machine.fail("ishowtts")
    assert "sudo ishowtts chimes --make" in machine.install()
    assert machine.called("systemctl")[-1] == "systemctl restart ishowtts.service"


@pytest.mark.parametrize(
    ("version", "supported"),
    [("(3, 9, 18)", False), ("(3, 10, 0)", True), ("(3, 13, 9)", True), ("(3, 14, 0)", False)],
)
def test_python_3_10_to_3_13_is_supported(machine: InstallMachine, version: str, supported: bool) -> None:
    (machine.root / "version").write_text(version)
    done = machine.run("--dry-run")
    assert (done.returncode == 0, "is not Python 3.10 to 3.13" in done.stderr) == (supported, not supported)
    assert ("+ " in done.stdout) == supported


def test_a_python_that_the_service_cannot_run_is_refused_before_the_program_is_installed(
    machine: InstallMachine,
) -> None:
    machine.fail("runuser")
    done = machine.run()
    assert (done.returncode, "only root can run" in done.stderr) == (1, True)
    assert not machine.path("/opt/ishowtts").exists()


def test_other_users_than_root_are_refused(machine: InstallMachine) -> None:
    (machine.root / "uid").write_text("1000\n")
    done = machine.run()
    assert (done.returncode, machine.calls) == (1, [])
    assert (
        f"this needs root: run sudo {machine.root}/checkout/install.sh; --dry-run".replace(str(machine.root), "")
        in done.stderr
    )


@pytest.mark.parametrize("arguments", [
    ["--bad"], ["--torch"], ["--purge"], ["--weights", "--no-line"], ["--offline", "--broker"],
    ["--uninstall", "--broker"], ["--rollback", "--without-f5"],
])  # fmt: skip
def test_a_wrong_option_gets_one_sentence_and_exit_2(machine: InstallMachine, arguments: list[str]) -> None:
    done = machine.run(*arguments)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout, machine.calls) == (2, 1, "", [])


def test_the_help_names_every_option(machine: InstallMachine) -> None:
    usage = machine.install("--help")
    cases = re.findall(r"^ +((?:--[a-z0-9-]+ \| )*--[a-z0-9-]+)\)", (ROOT / "install.sh").read_text(), re.MULTILINE)
    options = {option for case in cases for option in case.split(" | ")}
    assert {"--fetch", "--with-f5"} <= options
    assert set(re.findall(r"^  (--[a-z0-9-]+)", usage, re.MULTILINE)) == options - {
        "--without-transcription",
        "--with-f5",
    }
    assert options <= set(re.findall(r"--[a-z0-9-]+", usage.split("\n\n")[0]))
