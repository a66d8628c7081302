"""Virtual machines with a kernel of their own. Only `scripts/test-appliance --vm` runs what is here."""

from __future__ import annotations

import os
import shutil

import pytest

from support.booted import roots
from support.booted.host import reason_unavailable
from support.booted.installing import configure, copy_checkout, install, shared_cache
from support.booted.machine import BootedMachine
from support.booted.virtual_disk import BootFiles, make_boot_files

_RELEASE = "debian-12"
_PROGRAMS = ("qemu-system-x86_64", "qemu-img", "mke2fs", "depmod", "dpkg")

if os.environ.get("ISHOWTTS_BOOTED_LENGTH") != "vm":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def boot_files(tmp_path_factory: pytest.TempPathFactory) -> BootFiles:
    """What a machine boots from, with an appliance that is installed and speaks with espeak-ng, beside a broker."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if why := reason_unavailable() or (f"virtual machines need {' and '.join(missing)}" if missing else ""):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("virtual")
    layer = folder / "layer"
    base = roots.base_root(_RELEASE)
    with BootedMachine(base, network=True, shared=shared_cache()) as machine:
        copy_checkout(machine)
        install(machine, "--without-f5", "--no-line")
        configure(machine, engine={"kind": "espeak", "fallback": False})
        machine.shutdown()
        machine.save(layer)
    return make_boot_files([layer, base], folder / "boot")
