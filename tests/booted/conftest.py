"""Machines with a systemd of their own. Only `scripts/test-appliance` runs all that is here.

Without arguments of it, one root is tested, in the short form that is part of the whole suite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.booted import bundles, roots
from support.booted.host import fast_folder, reason_unavailable
from support.booted.installing import INSTALL_S, configure, copy_checkout, large_folder, wait_for_ready
from support.booted.machine import BootedMachine

_RELEASE = os.environ.get("ISHOWTTS_BOOTED_ROOT", "debian-12")


def _reason_to_skip() -> str:
    if why := reason_unavailable():
        return why
    if roots.is_built(_RELEASE) and bundles.is_built(_RELEASE):
        return ""
    return f"the root of {_RELEASE} and its packages are not built; `scripts/test-appliance --build {_RELEASE}` does it"


_REASON_TO_SKIP = _reason_to_skip()
_FILES = {path.name for path in Path(__file__).parent.glob("test_*.py")}
_SHORT = {"test_here.py", "test_machine.py", "test_install.py"}
if _REASON_TO_SKIP:
    collect_ignore = sorted(_FILES - {"test_here.py"})
elif os.environ.get("ISHOWTTS_BOOTED_LENGTH") != "long":
    collect_ignore = sorted(_FILES - _SHORT)


@pytest.fixture(scope="session")
def release() -> str:
    """The name of the release that is tested."""
    return _RELEASE


@pytest.fixture(scope="session")
def base() -> Path:
    """The root folder of the release that is tested."""
    if _REASON_TO_SKIP:
        pytest.skip(_REASON_TO_SKIP)
    return roots.base_root(_RELEASE)


@pytest.fixture(scope="module")
def machine(base: Path) -> Iterator[BootedMachine]:
    """A booted machine that the tests of a module share."""
    with BootedMachine(base) as booted:
        yield booted


@pytest.fixture(scope="session")
def bundle(release: str) -> Iterator[Path]:
    """A bundle of the present files."""
    with large_folder() as folder:
        yield bundles.fresh(release, folder)


@pytest.fixture(scope="session")
def installed(base: Path, bundle: Path) -> Iterator[tuple[Path, ...]]:
    """The layers of a machine with an appliance that was installed without a network, is enabled and uses espeak-ng."""
    with large_folder(fast_folder()) as folder:
        with BootedMachine(base, binds={bundle: "/media/stick"}) as machine:
            copy_checkout(machine)
            machine.user("sudo", "/media/stick/install.sh", "--no-line", timeout_s=INSTALL_S)
            configure(machine, engine={"kind": "espeak"})
            machine.shutdown()
            machine.save(folder / "layer")
        yield folder / "layer", base


@pytest.fixture
def appliance(installed: tuple[Path, ...]) -> Iterator[BootedMachine]:
    """A machine of its own with an appliance that is ready and speaks with espeak-ng, beside a broker."""
    with BootedMachine(*installed) as booted:
        wait_for_ready(booted)
        yield booted
