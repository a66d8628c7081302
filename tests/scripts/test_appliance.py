"""The install script, the units and the example configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from ishowtts import config

ROOT = Path(__file__).resolve().parents[2]
UNITS = ("ishowtts.service", "ishowtts-clocks.service")


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "install.sh", *arguments], capture_output=True, text=True, check=False)


def test_a_dry_run_prints_the_plan_and_changes_nothing() -> None:
    places = [Path("/opt/ishowtts"), Path("/etc/ishowtts"), Path("/etc/systemd/system/ishowtts.service")]
    before = [place.exists() for place in places]
    done = install("--dry-run")
    assert done.returncode == 0, done.stderr
    for step in (
        "usermod",
        "install_lock /opt/ishowtts/venv",
        "ishowtts.service",
        "chimes --make",
        "ln -sfn /opt/ishowtts/venv/bin/ishowtts /usr/local/bin/ishowtts",
        "nothing was changed",
    ):
        assert step in done.stdout
    assert [place.exists() for place in places] == before


def test_uninstalling_keeps_state_unless_purged() -> None:
    removed = [line for line in install("--uninstall", "--dry-run").stdout.splitlines() if "+ rm" in line]
    assert removed
    assert not any("/var/lib" in line or "/etc/ishowtts" in line for line in removed)
    assert "+ rm -rf /etc/ishowtts /var/lib/ishowtts" in install("--uninstall", "--purge", "--dry-run").stdout


@pytest.mark.parametrize("arguments", [["--bad"], ["--torch"], ["--purge"]])
def test_a_wrong_option_gets_one_sentence_and_exit_2(arguments: list[str]) -> None:
    done = install(*arguments)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A root folder in which the units find their program."""
    program = tmp_path / "opt/ishowtts/venv/bin/ishowtts"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        text = (ROOT / "systemd" / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/opt/ishowtts", f"{tmp_path}/opt/ishowtts"))
    return tmp_path


def test_systemd_finds_no_fault_in_the_units(staged: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(staged / unit for unit in UNITS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, [line for line in done.stderr.splitlines() if "ishowtts" in line]) == (0, [])


def test_the_service_is_sandboxed() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", ROOT / "systemd/ishowtts.service"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_configuration_says_every_default() -> None:
    path = ROOT / "config/ishowtts.yaml"
    assert config.load(path) == config.Config()
    assert keys(yaml.safe_load(path.read_text())) == keys(config.Config().model_dump())


def keys(tree: dict[str, object]) -> set[str]:
    found = set()
    for name, value in tree.items():
        found.add(name)
        if isinstance(value, dict):
            found |= {f"{name}.{inner}" for inner in keys(value)}
    return found


def unit(name: str) -> set[str]:
    return set((ROOT / "systemd" / name).read_text().splitlines())


def test_the_service_keeps_what_each_of_its_lines_is_there_for() -> None:
    assert {
        # Nobody else sees what was said, and the service changes nothing beside its own state.
        "StateDirectory=ishowtts/state", "StateDirectoryMode=0750", "CacheDirectory=ishowtts",
        "CacheDirectoryMode=0750", "UMask=0077", "ProtectSystem=strict", "User=ishowtts", "Group=ishowtts",
        "NoNewPrivileges=yes", "Environment=HOME=/var/lib/ishowtts/state PYTHONUNBUFFERED=1",
        # It is started again, except with a configuration that is wrong, and a thread that stands still is noticed.
        "Type=notify", "Restart=on-failure", "RestartPreventExitStatus=2", "WatchdogSec=30", "OOMPolicy=continue",
        # SIGTERM goes to the daemon alone, which ends its worker.
        "KillMode=mixed",
        # Sound, and the GPU under each of its names.
        "DevicePolicy=closed", "DeviceAllow=char-alsa rw", "DeviceAllow=char-nv* rw", "DeviceAllow=char-drm rw",
        "DeviceAllow=/dev/nvmap rw",
    } <= unit("ishowtts.service")  # fmt: skip
    program = "/opt/ishowtts/venv/bin/ishowtts clocks"
    assert {
        "Type=oneshot", "RemainAfterExit=yes", "PartOf=ishowtts.service",
        f"ExecStart={program} apply --config /etc/ishowtts/config.yaml",
        f"ExecStop={program} restore --config /etc/ishowtts/config.yaml",
    } <= unit("ishowtts-clocks.service")  # fmt: skip


class Installer:
    """install.sh's functions in a tree of their own, with `nobody` as the service's user."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.command = root / "bin/ishowtts"
        self.config = root / "etc/config.yaml"
        self.drop_ins = root / "units/ishowtts.service.d"
        self.data = root / "lib/ishowtts"
        places = {
            "/var/lib/ishowtts": self.data, "/var/cache/ishowtts": root / "cache/ishowtts",
            "/etc/ishowtts": root / "etc", "/etc/systemd/system": root / "units", "/opt/ishowtts": root / "opt",
            "/usr/local/bin/ishowtts": self.command,
        }  # fmt: skip
        for folder in ("bin", "units", "lib", "cache"):
            (root / folder).mkdir()
        self._program = root / "opt/venv/bin/ishowtts"
        self.install_program()
        functions = (ROOT / "install.sh").read_text().split('\nif [ "$dry_run" = no ]')[0]
        for place, here in places.items():
            functions = functions.replace(place, str(here))
        self._functions = functions.replace('"$CACHE" ishowtts ishowtts', '"$CACHE" nobody nogroup')
        assert "nogroup" in self._functions

    def install_program(self) -> None:
        self._program.parent.mkdir(parents=True)
        self._program.write_text("#!/bin/sh\n")
        self._program.chmod(0o755)

    def __call__(self, program: str) -> str:
        manager = 'systemd_step() { echo "+ systemctl $*"; }\nid() { true; }\nuserdel() { true; }\n'
        done = subprocess.run(
            ["bash", "-c", f"{self._functions}\n{manager}{program}", ROOT / "install.sh"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to another user")
    return Installer(tmp_path)


def test_a_fresh_machine_gets_command_configuration_units_and_folders(installer: Installer) -> None:
    said = installer("install_files")
    assert installer.command.readlink() == installer.root / "opt/venv/bin/ishowtts"
    assert installer.config.read_bytes() == (ROOT / "config/ishowtts.yaml").read_bytes()
    assert {path.name for path in (installer.root / "units").iterdir()} == set(UNITS)
    assert {path.name for path in installer.data.iterdir()} == {"state", "voices", "chimes"}
    assert (installer.data / "state").stat().st_uid == (installer.root / "cache/ishowtts").stat().st_uid == 65534
    assert "systemctl stop" not in said


def test_an_upgrade_keeps_the_configuration_and_stops_the_service_before_its_queue_moves(installer: Installer) -> None:
    installer("install_files")
    installer.config.write_text(f"device: {{name: kitchen}}\nstate_dir: {installer.data}\n")
    (installer.data / "state").rmdir()
    os.chown(installer.data, 65534, 65534)
    (installer.data / "inbox.sqlite").write_text("lines")
    said = installer("install_files")
    assert installer.config.read_text() == f"device: {{name: kitchen}}\nstate_dir: {installer.data}/state\n"
    assert (installer.data / "state/inbox.sqlite").read_text() == "lines"
    assert said.index("systemctl stop ishowtts.service") < said.index("mv -n -T")
    assert "systemctl stop" not in installer("install_files"), "a service of this layout runs on"


def test_a_command_that_is_not_ours_stays(installer: Installer) -> None:
    installer.command.write_text("#!/bin/sh\n")
    assert "which is not ours" in installer("install_files")
    installer("remove")
    assert installer.command.read_text() == "#!/bin/sh\n"
    installer.command.unlink()
    installer.install_program()
    installer("install_files")
    installer("remove")
    assert not installer.command.is_symlink()
    assert installer.config.exists()
    assert (installer.data / "state").exists()
    installer("purge=yes; remove")
    assert not installer.data.exists()


def test_each_secret_that_is_there_is_handed_over_and_no_other(installer: Installer) -> None:
    installer.config.parent.mkdir()
    (installer.config.parent / "mqtt-password").write_text("s3cret")
    installer("install_files")
    assert [path.name for path in installer.drop_ins.iterdir()] == ["mqtt-password.conf"]
    (installer.config.parent / "mqtt-password").rename(installer.config.parent / "mqtt-username")
    installer("install_files")
    assert [path.name for path in installer.drop_ins.iterdir()] == ["mqtt-username.conf"]


def test_the_user_is_let_at_sound_and_gpu(installer: Installer) -> None:
    said = installer('getent() { [ "$2" != render ]; }\nstep() { echo "+ $*"; }\nadd_user')
    assert said.splitlines() == ["+ usermod -aG audio ishowtts", "+ usermod -aG video ishowtts"]
    said = installer('getent() { true; }\nstep() { echo "+ $*"; }\nid() { false; }\nadd_user')
    assert "+ usermod -aG render ishowtts" in said
    assert "useradd --system --user-group" in said


@pytest.mark.parametrize("name", ["mqtt-username", "mqtt-password", "mqtt-tls-key"])
def test_a_drop_in_hands_over_the_secret_that_it_is_named_after(name: str) -> None:
    lines = (ROOT / f"systemd/{name}.conf").read_text().splitlines()
    assert f"LoadCredential={name}:/etc/ishowtts/{name}" in lines
    assert name in (ROOT / "install.sh").read_text()
