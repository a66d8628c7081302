"""The install script, the units and the example configuration."""

from __future__ import annotations

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


def test_the_service_and_the_installer_close_what_was_said_to_others() -> None:
    unit = (ROOT / "systemd/ishowtts.service").read_text().splitlines()
    assert {"StateDirectoryMode=0750", "CacheDirectoryMode=0750"} <= set(unit)
    made = "install -d -m 0750 -o ishowtts -g ishowtts /var/lib/ishowtts /var/cache/ishowtts"
    assert made in (ROOT / "install.sh").read_text()


@pytest.mark.parametrize("name", ["mqtt-username", "mqtt-password", "mqtt-tls-key"])
def test_a_drop_in_hands_over_the_secret_that_it_is_named_after(name: str) -> None:
    lines = (ROOT / f"systemd/{name}.conf").read_text().splitlines()
    assert f"LoadCredential={name}:/etc/ishowtts/{name}" in lines
    assert name in (ROOT / "install.sh").read_text()
