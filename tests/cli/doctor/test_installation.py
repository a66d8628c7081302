"""What `ishowtts doctor` says about the installation: releases, units, space, keys, and unfinished work."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from ishowtts.backup.manifest import JOURNAL
from ishowtts.cli.doctor.installation import Installation, examine_installation
from ishowtts.cli.findings import Finding
from ishowtts.config import Config

UNITS = ("ishowtts.service", "ishowtts-gateway.service", "ishowtts-clocks-repair.path")
DEFAULT = "mqtt:\n  host: localhost\n  port: 1883\nlog:\n  level: info\nstate_dir: /var\naudio:\n  devices: {}\n"
SHIPPED = "releases/0.1.0-20261130T181500Z/share/ishowtts/config/ishowtts.yaml"


@pytest.fixture
def places(tmp_path: Path) -> Installation:
    """A machine with a release, as install.sh leaves it."""
    places = Installation(tmp_path)
    release = places.base / "releases/0.1.0-20261130T181500Z"
    for folder in (release / "share/ishowtts/systemd", release / "share/ishowtts/config", places.units):
        folder.mkdir(parents=True)
    for unit in UNITS:
        (release / "share/ishowtts/systemd" / unit).write_text("[Unit]\n")
        (places.units / unit).write_text("[Unit]\n")
    (release / "share/ishowtts/config/ishowtts.yaml").write_text(DEFAULT)
    (release / ".complete").touch()
    (places.base / "current").symlink_to("releases/0.1.0-20261130T181500Z")
    places.operators_units.mkdir(parents=True)
    places.config.parent.mkdir(parents=True)
    places.config.write_text(DEFAULT)
    return places


def found(places: Installation) -> list[Finding]:
    return list(examine_installation(Config(), places))


def only(places: Installation) -> Finding:
    (finding,) = found(places)
    return finding


def test_a_whole_installation_is_in_order(places: Installation) -> None:
    assert only(places) == Finding("installation", "ok", f"0.1.0-20261130T181500Z in {places.base}")


def test_nothing_is_said_without_an_installation(tmp_path: Path) -> None:
    assert found(Installation(tmp_path)) == []


def test_a_dangling_or_missing_link(places: Installation) -> None:
    shutil.rmtree(places.base / "releases/0.1.0-20261130T181500Z")
    assert only(places).verdict == "fault"
    assert "current names no complete release" in only(places).detail
    (places.base / "current").unlink()
    assert "current does not exist" in only(places).detail


def test_an_interrupted_installation(places: Installation) -> None:
    (places.base / "releases/0.2.0-20261201T000000Z").mkdir()
    assert only(places).verdict == "note"
    assert "its installation was interrupted" in only(places).detail
    (places.base / ".switch").touch()
    assert [finding.verdict for finding in found(places)] == ["fault", "note"]


def test_a_version_without_releases(places: Installation) -> None:
    shutil.rmtree(places.base)
    (places.base / "venv").mkdir(parents=True)
    assert "cannot be rolled back" in only(places).detail


def test_units_that_are_missing_changed_overridden_or_masked(places: Installation) -> None:
    (places.units / UNITS[0]).unlink()
    assert only(places).verdict == "fault"
    (places.units / UNITS[0]).write_text("[Unit]\nDescription=older\n")
    assert "it was changed, or is older" in only(places).detail
    (places.operators_units / UNITS[0]).write_text("[Unit]\n")
    assert only(places).detail.startswith(f"systemd uses {places.operators_units / UNITS[0]} instead")
    (places.operators_units / UNITS[1]).symlink_to("/dev/null")
    assert found(places)[0].detail == f"{UNITS[1]} is masked"


def test_a_short_disk(places: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")(300_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "only 300 MB free" in only(places).detail


def test_keys_that_came_with_a_later_version(places: Installation) -> None:
    places.config.write_text(DEFAULT.replace("  port: 1883\n", ""))
    assert only(places).part == "configuration"
    assert "lacks mqtt.port: the defaults are in use" in only(places).detail
    assert only(places).fix == f"copy what you want to change from {places.base}/{SHIPPED}"
    places.config.with_name("config.yaml.new").write_text(DEFAULT)
    assert only(places).fix == f"copy what you want to change from {places.config}.new"
    places.config.write_text("state_dir: /var\n")
    assert only(places).verdict == "ok", "a file that has only what differs"
    for broken in ("[", "device: &d {name: *d}"):
        places.config.write_text(broken)
        assert only(places).verdict == "ok", "`check` says it"


def test_an_unfinished_restore(places: Installation) -> None:
    places.config.with_name(JOURNAL).touch()
    assert found(places)[0] == Finding(
        "restore",
        "fault",
        "a restore was interrupted: parts of the backup are in place, others are not",
        "sudo ishowtts restore --finish",
    )
