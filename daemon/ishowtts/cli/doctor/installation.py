"""Examines what install.sh has made: releases, units, free space, the configuration, and unfinished work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ishowtts.backup.manifest import JOURNAL
from ishowtts.cli.findings import Finding
from ishowtts.config import DEFAULT_PATH, Config
from ishowtts.util import strict_yaml
from ishowtts.util.files import read_bounded

_MOST_NAMED = 12
_UPGRADE_MB = 1000  # an upgrade with the same torch; install.sh checks the exact figure


@dataclass(frozen=True)
class Installation:
    """Where install.sh puts things; the tests have another root."""

    root: Path = Path("/")

    @property
    def base(self) -> Path:
        """Folder of the releases."""
        return self.root / "opt/ishowtts"

    @property
    def config(self) -> Path:
        """Configuration of the service."""
        return self.root / DEFAULT_PATH.relative_to("/")

    @property
    def units(self) -> Path:
        """Folder of our units."""
        return self.root / "usr/local/lib/systemd/system"

    @property
    def operators_units(self) -> Path:
        """Folder of the operator's units, which win over ours. Earlier versions put ours there."""
        return self.root / "etc/systemd/system"


def examine_installation(_settings: Config, places: Installation | None = None) -> Iterator[Finding]:
    """Examine the installation of this machine. Nothing is said where install.sh was never run.

    Raises:
        OSError: Something cannot be read.
    """
    places = places or Installation()
    journal = places.config.with_name(JOURNAL)
    if journal.exists():
        unfinished = "a restore was interrupted: parts of the backup are in place, others are not"
        yield Finding("restore", "fault", unfinished, "sudo ishowtts restore --finish")
    if not places.base.is_dir():
        return
    release = _current_release(places)
    findings = [
        *_examine_releases(places, release),
        *(() if release is None else _examine_units(places, release)),
        *_examine_space(places),
        *(() if release is None else _examine_config(places, release)),
    ]
    if not findings:
        name = "a version before the releases" if release is None else release.name
        findings = [Finding("installation", "ok", f"{name} in {places.base}")]
    yield from findings


def _current_release(places: Installation) -> Path | None:
    """Folder of the release that `current` names; `None` if there is none."""
    current = places.base / "current"
    return current.resolve() if (current / ".complete").exists() else None


def _examine_releases(places: Installation, release: Path | None) -> Iterator[Finding]:
    finding = partial(Finding, "installation")
    current, releases = places.base / "current", places.base / "releases"
    if release is None and (current.is_symlink() or releases.is_dir()):
        what = "names no complete release" if current.is_symlink() else "does not exist"
        yield finding("fault", f"{current} {what}, so the service does not start", "run install.sh again")
    if (places.base / ".switch").exists():
        yield finding("fault", "an upgrade was interrupted while it switched the versions", "run install.sh again")
    if releases.is_dir():
        for folder in sorted(releases.iterdir()):
            if folder.is_dir() and not (folder / ".complete").exists():
                why = f"{folder} is being installed, or its installation was interrupted"
                yield finding("note", why, "run install.sh again, which removes it")
    if not releases.is_dir() and (places.base / "venv").is_dir():
        why = f"{places.base / 'venv'} is of a version without releases, which cannot be rolled back"
        yield finding("note", why, "run the install.sh of the new version")


def _examine_units(places: Installation, release: Path) -> Iterator[Finding]:
    finding = partial(Finding, "units")
    shipped = release / "share/ishowtts/systemd"
    for ours in sorted([*shipped.glob("ishowtts*.service"), *shipped.glob("ishowtts*.path")]):
        override, installed = places.operators_units / ours.name, places.units / ours.name
        if override.is_symlink() and override.resolve() == Path("/dev/null"):
            yield finding("note", f"{ours.name} is masked", f"sudo systemctl unmask {ours.name}")
        elif override.exists() and not override.is_symlink():
            keep = f"compare it with {installed}, or remove it: sudo systemctl revert {ours.name}"
            yield finding("note", f"systemd uses {override} instead of the unit of the release", keep)
        elif not installed.exists():
            yield finding("fault", f"{installed} does not exist", "run install.sh again")
        elif installed.read_bytes() != ours.read_bytes():
            changed = f"{installed} is not that of {release.name}: it was changed, or is older"
            fix = f"run install.sh again; put changes into a drop-in: sudo systemctl edit {ours.name}"
            yield finding("note", changed, fix)


def _examine_space(places: Installation) -> Iterator[Finding]:
    free_mb = shutil.disk_usage(places.base).free / 1e6
    if free_mb < _UPGRADE_MB:
        short = f"{places.base}: only {free_mb:.0f} MB free, and an upgrade takes about {_UPGRADE_MB} MB"
        yield Finding("installation", "note", short, "make room before the next upgrade")


def _examine_config(places: Installation, release: Path) -> Iterator[Finding]:
    """Name the keys that came with a version after the operator's file."""
    default = release / "share/ishowtts/config/ishowtts.yaml"
    yours, new = _keys(places.config), _keys(default)
    missing = [key for key in new if not any(_related(key, other) for other in yours)]
    # A file that has only the keys that differ does not tell which ones its author knew.
    if missing and 2 * len(missing) <= len(new):
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        lacks = f"{places.config} lacks {', '.join(missing[:_MOST_NAMED])}{more}: the defaults are in use"
        beside = places.config.with_name(f"{places.config.name}.new")
        source = beside if beside.exists() else default
        yield Finding("configuration", "note", lacks, f"copy what you want to change from {source}")


def _keys(path: Path) -> list[str]:
    """The dotted keys of a YAML file; none if it cannot be read. `ishowtts check` says what is wrong with it."""
    try:
        # Aliases could make 400 bytes endless, so a file that has some counts as one without keys.
        content = strict_yaml.load(read_bounded(path, strict_yaml.MOST_BYTES).decode("utf-8"))
    except (OSError, ValueError):
        return []
    return list(_flattened(content, "")) if isinstance(content, dict) else []


def _flattened(content: dict[Any, Any], prefix: str) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _related(key: str, other: str) -> bool:
    return key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.")
