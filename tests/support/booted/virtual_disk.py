"""Makes what a virtual machine boots from: Debian's kernel, an initramfs and a disk with a root file system."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support.booted import guest_agent

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


def make_boot_files(root: Path, folder: Path, *, size_mb: int = 4000) -> BootFiles:
    """Makes the files to boot a folder in a virtual machine. Needs root, because of the owners of the files.

    Args:
        root: A Debian root file system with systemd, udev, kmod and busybox-static. The agent and the modules of the
            kernel are added to it.
        folder: The folder for the files. It also keeps the package of the kernel.
        size_mb: The size of the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / "kernel"
    if not package.is_dir():
        unpacked = folder / "kernel.part"
        shutil.rmtree(unpacked, ignore_errors=True)
        subprocess.run(["dpkg", "-x", _kernel_package(root, folder), unpacked], check=True)
        unpacked.rename(package)
    (kernel,) = (package / "boot").glob("vmlinuz-*")
    release = kernel.name.removeprefix("vmlinuz-")
    _copy_modules(package, root, release)
    initramfs = folder / "initramfs"
    initramfs.write_bytes(_initramfs(root, release))
    _add_agent(root)
    disk = folder / "root.ext4"
    disk.unlink(missing_ok=True)
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", "-d", root, disk, f"{size_mb}M"], check=True
    )
    return BootFiles(kernel, initramfs, disk)


def _kernel_package(root: Path, folder: Path) -> Path:
    """Downloads Debian's kernel with the apt of this root."""
    found = _output("chroot", root, "apt-cache", "depends", "linux-image-amd64")
    name = next(word for word in found.split() if word.startswith("linux-image-") and word != "linux-image-amd64")
    subprocess.run(
        ["apt-get", "-q", "-o", f"Dir={root}", "-o", "APT::Sandbox::User=root", "download", name],
        cwd=folder, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return next(folder.glob(f"{name}_*.deb"))


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


def _add_agent(root: Path) -> None:
    shutil.copyfile(guest_agent.__file__, root / "usr/local/lib/guest_agent.py")
    unit = root / "etc/systemd/system/guest-agent.service"
    unit.write_text(_AGENT_UNIT, encoding="utf-8")
    wanted = root / "etc/systemd/system/sysinit.target.wants" / unit.name
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if not wanted.is_symlink():
        wanted.symlink_to(f"../{unit.name}")


def _output(*command: str | os.PathLike[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
