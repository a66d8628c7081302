"""Makes what a virtual machine boots from: Debian's kernel, an initramfs and a disk with a root file system."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.booted import guest_agent
from support.booted.machine import BootedMachine
from support.booted.roots import cache_folder

# In the initramfs: the disk and its file system.
_BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4")
# On the disk: the agent's port, the network, and the cards of the tests.
_MODULES = (*_BOOT_MODULES, "virtio_console", "virtio_net", "xhci_pci", "snd-usb-audio", "snd-dummy")

_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev /root
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in {modules}; do /bin/busybox insmod /$module; done
until [ -e /dev/vda ]; do /bin/busybox sleep 0.05; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /root
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
"""

# Not ordered before anything: the boot of the machine is what the tests measure.
_AGENT_UNIT = """[Unit]
Description=Runs commands for the host of this virtual machine
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/guest_agent.py
Restart=always
OOMScoreAdjust=-1000

[Install]
WantedBy=sysinit.target
"""


# Without KVM, and beside other tests, the daemon needs up to three minutes instead of one second.
_DEADLINES = """[Service]
TimeoutStartSec=900
WatchdogSec=300
"""
_MASKED = (
    "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "dpkg-db-backup.timer", "logrotate.timer",
    "getty@tty1.service",
)  # fmt: skip

_ADD_PACKAGES = """
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o APT::Sandbox::User=root udev kmod busybox-static openssl
"""
_DOWNLOAD_KERNEL = """
cd /var/tmp
apt-get -q -o APT::Sandbox::User=root download \
    "$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p')"
"""
_DOWNLOAD_S = 600.0
_DISK_SIZE = "4000M"


@dataclass(frozen=True)
class BootFiles:
    """What QEMU needs to boot a root file system.

    Attributes:
        kernel: The compressed kernel.
        initramfs: Mounts the disk and starts its systemd.
        disk: The raw image of the root file system. Machines write to overlays.
    """

    kernel: Path
    initramfs: Path
    disk: Path


def make_boot_files(layers: Sequence[Path], folder: Path) -> BootFiles:
    """Makes the files to boot an installed machine in QEMU, with what a container does without: udev and modules.

    Args:
        layers: The layers of a `BootedMachine`.
        folder: A new folder for the files.
    """
    folder.mkdir()
    with BootedMachine(*layers, network=True) as machine:
        machine.shell(_ADD_PACKAGES, timeout_s=_DOWNLOAD_S)
        package = _kernel_package(machine)
        machine.shutdown()
        return _make_from_root(machine.path("/"), package, folder)


def _make_from_root(root: Path, package: Path, folder: Path) -> BootFiles:
    subprocess.run(["dpkg", "-x", package, folder / "kernel"], check=True)
    (kernel,) = (folder / "kernel/boot").glob("vmlinuz-*")
    release = kernel.name.removeprefix("vmlinuz-")
    _copy_modules(folder / "kernel", root, release)
    _add_units(root)
    initramfs = folder / "initramfs"
    initramfs.write_bytes(_initramfs(root, release))
    disk = folder / "root.ext4"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk, _DISK_SIZE], check=True, stdout=subprocess.DEVNULL)
    return BootFiles(kernel, initramfs, disk)


def _kernel_package(machine: BootedMachine) -> Path:
    """Returns Debian's kernel, which is downloaded once."""
    cache = cache_folder() / "kernel"
    if not (found := sorted(cache.glob("linux-image-*.deb"))):
        machine.shell(_DOWNLOAD_KERNEL, timeout_s=_DOWNLOAD_S)
        cache.mkdir(exist_ok=True)
        for file in machine.path("/var/tmp").glob("linux-image-*.deb"):
            shutil.move(file, cache)
        found = sorted(cache.glob("linux-image-*.deb"))
    return found[-1]


def _copy_modules(package: Path, root: Path, release: str) -> None:
    """Copies the modules of the tests and those that they need: all of them have 400 MB."""
    subprocess.run(["depmod", "-b", package, release], check=True)
    source, target = package / "lib/modules" / release, root / "lib/modules" / release
    for module in _with_dependencies(source, _MODULES):
        (target / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / module, target / module)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copyfile(source / name, target / name)
    subprocess.run(["depmod", "-b", root, release], check=True)


def _with_dependencies(modules: Path, names: Iterable[str]) -> list[str]:
    """Returns the files of these modules in the order in which the kernel can load them."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        file, _, others = line.partition(":")
        needs[file] = others.split()
    files = {Path(file).name.partition(".")[0].replace("-", "_"): file for file in needs}
    ordered: dict[str, None] = {}
    for name in names:
        file = files[name.replace("-", "_")]
        # modules.dep lists the nearest dependency first.
        ordered.update(dict.fromkeys([*reversed(needs[file]), file]))
    # ext4 asks for this algorithm by its name, so it is no dependency.
    crc32c = files["crc32c_generic"]
    return [crc32c, *(file for file in ordered if file != crc32c)]


def _initramfs(root: Path, release: str) -> bytes:
    modules = root / "lib/modules" / release
    files = _with_dependencies(modules, _BOOT_MODULES)
    init = _INIT.format(modules=" ".join(Path(file).name for file in files))
    content = {"bin/busybox": (root / "bin/busybox").read_bytes(), "init": init.encode()}
    content |= {Path(file).name: (modules / file).read_bytes() for file in files}
    archive = _cpio_entry("bin", 0o040755, b"") + b"".join(
        _cpio_entry(name, 0o100755, data) for name, data in content.items()
    )
    archive += _cpio_entry("TRAILER!!!", 0, b"")
    return lzma.compress(archive, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=0)  # the kernel knows no CRC64


def _cpio_entry(name: str, mode: int, data: bytes) -> bytes:
    """Returns one file in the format "newc" that the kernel unpacks."""
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    entry = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    entry += b"\0" * (-len(entry) % 4) + data
    return entry + b"\0" * (-len(entry) % 4)


def _add_units(root: Path) -> None:
    """Adds the agent, longer deadlines, and leaves out what would only compute."""
    shutil.copyfile(guest_agent.__file__, root / "usr/local/lib/guest_agent.py")
    units = root / "etc/systemd/system"
    (units / "guest-agent.service").write_text(_AGENT_UNIT, encoding="utf-8")
    wanted = units / "sysinit.target.wants/guest-agent.service"
    wanted.parent.mkdir(exist_ok=True)
    wanted.symlink_to("../guest-agent.service")
    drop_in = units / "ishowtts.service.d/emulated.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(_DEADLINES, encoding="utf-8")
    for unit in _MASKED:
        mask = units / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")
