"""Keeps the packages of a bundle, and makes a bundle of the present files with them, without a network."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support.booted.installing import CACHES, CHECKOUT, INSTALL_S, REPOSITORY, copy_checkout, shared_cache
from support.booted.machine import BootedMachine
from support.booted.roots import base_root, cache_folder, cache_lock

_VERSION = re.compile("^version=.*", re.MULTILINE)
_FORMAT = re.compile("^BUNDLE_FORMAT=.*", re.MULTILINE)


def build(release: str) -> Path:
    """Return a bundle without F5 for this release. The first call makes it in a machine with a network."""
    root, folder = base_root(release), _folder(release)
    if not folder.is_dir():
        with cache_lock():
            if not folder.is_dir():  # another process may have made it while this one waited
                _build(root, folder)
    return folder


def _build(root: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as new:
        with BootedMachine(root, network=True, shared={**shared_cache(), Path(new): "/srv/new"}) as machine:
            copy_checkout(machine)
            machine.run("apt-get", "update", "-qq")
            machine.run(
                f"{CHECKOUT}/scripts/bundle", "/srv/new/bundle", "--without-f5", env=CACHES, timeout_s=2 * INSTALL_S
            )
        (Path(new) / "bundle").rename(folder)


def is_built(release: str) -> bool:
    """Whether the bundle is in the cache, so that `fresh` needs no network."""
    return _folder(release).is_dir()


def fresh(release: str, folder: Path) -> Path:
    """Make a bundle with the packages of the cached one and the files of this working tree."""
    bundle = folder / "bundle"
    shutil.copytree(build(release), bundle, copy_function=_link_or_copy)
    for path in bundle.glob("wheels/ishowtts-*.whl"):
        path.unlink()
    with tempfile.TemporaryDirectory() as source:
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPOSITORY / name, source)
        shutil.copytree(REPOSITORY / "daemon", f"{source}/daemon", ignore=shutil.ignore_patterns("build", "*.egg-info"))
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
             "--disable-pip-version-check", "--wheel-dir", str(bundle / "wheels"), source],
            check=True,
        )  # fmt: skip
    wheel = next(bundle.glob("wheels/ishowtts-*.whl"))
    _, version, *_ = wheel.name.split("-")
    _write(bundle / "locks/ishowtts.txt", f"ishowtts=={version} --hash=sha256:{_sha256(wheel)}\n")
    _write(bundle / "manifest", _VERSION.sub(f"version={version}", (bundle / "manifest").read_text()))
    for name in ("install.sh", "LICENSE", "systemd", "config", "scripts/common.sh", "scripts/install"):
        _replace(REPOSITORY / name, bundle / name)
    sums = sorted(path for path in bundle.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    _write(bundle / "SHA256SUMS", "".join(f"{_sha256(path)}  {path.relative_to(bundle)}\n" for path in sums))
    return bundle


def _folder(release: str) -> Path:
    recipe = hashlib.sha256(base_root(release).name.encode())
    for path in [REPOSITORY / "scripts/bundle", *sorted((REPOSITORY / "daemon/requirements").glob("*.txt"))]:
        recipe.update(path.read_bytes())
    recipe.update(str(_FORMAT.findall((REPOSITORY / "scripts/install/offline.sh").read_text())).encode())
    return cache_folder() / "bundles" / f"{release}-{recipe.hexdigest()[:12]}"


def _replace(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        target.unlink()
        shutil.copy(source, target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # the folder is on another file system
        shutil.copy2(source, target)


def _write(path: Path, text: str) -> None:
    path.unlink()  # a hard link to the cached one
    path.write_text(text)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
