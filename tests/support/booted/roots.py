"""Builds root folders of Debian and Ubuntu releases with systemd, once for each recipe, and keeps them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NORMAL_USER = "alice"
"""A user of each root that may become root by `sudo`, as the person who installs the appliance."""

_PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter")
_KEYRINGS = Path("/usr/share/keyrings")
_BUILD_S = 900.0

_BOOT_PACKAGES = ("systemd", "systemd-sysv", "dbus", "ca-certificates", "sudo")
_INSTALLER_PACKAGES = (
    "python3-venv", "python3-dev", "gcc", "pkg-config", "libsystemd-dev", "libasound2-plugins", "alsa-utils",
    "espeak-ng",
)  # fmt: skip
"""What install.sh asks of apt: a machine without a network has them already."""
_TEST_PACKAGES = ("mosquitto", "mosquitto-clients", "strace", "procps", "iproute2", "faketime")

_FINISH = f"""
set -eu
useradd --create-home --shell /bin/bash {NORMAL_USER}
echo '{NORMAL_USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{NORMAL_USER}
chmod 0440 /etc/sudoers.d/{NORMAL_USER}
echo appliance >/etc/hostname
printf '%s\\n' '127.0.0.1 localhost' '::1 localhost ip6-localhost' '127.0.1.1 appliance' >/etc/hosts
# A machine that has booted before: an empty file would make each boot a first boot, which enables every unit.
systemd-machine-id-setup >/dev/null
# They wait for hardware that a container does not have.
systemctl mask --quiet console-getty.service getty@.service systemd-networkd-wait-online.service \\
    apt-daily.timer apt-daily-upgrade.timer systemd-timesyncd.service
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/lib/dpkg/*-old
"""


class RootUnavailableError(Exception):
    """A root cannot be built on this machine; the message says why."""


@dataclass(frozen=True)
class _Release:
    suite: str
    script: str
    keyring: str
    components: str = "main"


_RELEASES = {
    "debian-12": _Release("bookworm", "sid", "debian-archive-keyring.gpg"),
    "debian-13": _Release("trixie", "sid", "debian-archive-keyring.gpg"),
    "ubuntu-22.04": _Release("jammy", "gutsy", "ubuntu-archive-keyring.gpg", "main,universe"),
    "ubuntu-24.04": _Release("noble", "gutsy", "ubuntu-archive-keyring.gpg", "main,universe"),
}
RELEASES = tuple(_RELEASES)


def cache_folder() -> Path:
    """Where roots and package caches stay between runs: `ISHOWTTS_ROOTS`, or a folder in the user's cache."""
    return Path(os.environ.get("ISHOWTTS_ROOTS") or Path.home() / ".cache/ishowtts/roots").absolute()


def base_root(release: str) -> Path:
    """Return the root folder of a release, which nobody may change. The first call builds it in about 90 s.

    Raises:
        RootUnavailableError: It cannot be built here.
    """
    recipe = _RELEASES[release]
    root = _root_folder(release)
    if root.is_dir():
        return root
    if why := _reason_not_to_build(release):
        raise RootUnavailableError(why)
    with cache_lock():
        if not root.is_dir():  # another process may have built it while this one waited
            _build(root, recipe)
    return root


def is_built(release: str) -> bool:
    """Whether the root of this release is in the cache, so that `base_root` takes no time."""
    return _root_folder(release).is_dir()


def _root_folder(release: str) -> Path:
    recipe = repr((_RELEASES[release], _BOOT_PACKAGES, _INSTALLER_PACKAGES, _TEST_PACKAGES, _FINISH))
    return cache_folder() / f"{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def _reason_not_to_build(release: str) -> str:
    if os.geteuid() != 0:
        return "only root can build a root folder"
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing:
        return f"{' and '.join(missing)} must be installed to build a root folder"
    keyring = _KEYRINGS / _RELEASES[release].keyring
    if not keyring.exists():
        return f"{release} needs the keyring {keyring}, which this machine does not have"
    return ""


@contextmanager
def cache_lock() -> Iterator[None]:
    """Let one process build at a time, a root folder or a bundle.

    They share one cache of packages, which apt locks without waiting.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(root: Path, release: _Release) -> None:
    packages = root.parent / "apt"
    (packages / "partial").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=root.parent) as folder:
        new = Path(folder) / "root"
        _run(
            "debootstrap", "--variant=minbase", f"--components={release.components}", f"--cache-dir={packages}",
            f"--keyring={_KEYRINGS / release.keyring}", f"--include={','.join(_BOOT_PACKAGES)}",
            release.suite, str(new), "", f"/usr/share/debootstrap/scripts/{release.script}",
        )  # fmt: skip
        inside = [
            *(
                "systemd-nspawn",
                "--quiet",
                "--pipe",
                "--register=no",
                "--keep-unit",
                "--resolv-conf=replace-host",
                "--timezone=off",
            ),
            *(f"--machine=building-{os.getpid()}", f"--bind={packages}:/var/cache/apt/archives"),
            *(f"--setenv={name}" for name in os.environ if name.lower().endswith("_proxy")),
            *("--setenv=DEBIAN_FRONTEND=noninteractive", "-D", str(new)),
        ]
        options = ("APT::Sandbox::User=root", "APT::Keep-Downloaded-Packages=true", "Acquire::Retries=3")
        apt = [*inside, "apt-get", "-qq", *(word for option in options for word in ("-o", option))]
        _run(*apt, "update")
        _run(*apt, "install", "-y", "--no-install-recommends", *_INSTALLER_PACKAGES, *_TEST_PACKAGES)
        _run(*inside, "/bin/sh", "-c", _FINISH)
        (new / "etc/resolv.conf").unlink()  # on Ubuntu a link
        (new / "etc/resolv.conf").touch()
        new.rename(root)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=_BUILD_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RootUnavailableError(f"{command[0]} failed with status {done.returncode}:\n{done.stdout[-2000:]}")
