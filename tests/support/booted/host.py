"""What a container needs of the host: overlay mounts, cgroups, and the processes of its namespaces."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from support.waiting import eventually

_ENOUGH_MB = 6000  # several installations, and as much again for what else runs


def reason_unavailable() -> str:
    """Say why no machine can boot here; empty if one can."""
    if os.geteuid() != 0:
        return "booted machines need root"
    missing = [name for name in ("systemd-nspawn", "nsenter", "mount") if not shutil.which(name)]
    if missing:
        return f"booted machines need {' and '.join(missing)}"
    if unified_cgroup() is None:
        return "booted machines need cgroup v2, which this machine does not have mounted"
    with tempfile.TemporaryDirectory(prefix="ishowtts-overlay-") as folder:
        places = {name: Path(folder) / name for name in ("lower", "upper", "work", "merged")}
        for place in places.values():
            place.mkdir()
        if not mount_overlay([places["lower"]], places["upper"], places["work"], places["merged"]):
            return "booted machines need overlay mounts, which this machine refuses"
        unmount(places["merged"])
    return ""


@cache
def fast_folder() -> str | None:
    """Return where the files of machines are kept in memory; None if memory is short, and they go to the disk.

    An installation has 400 MB in 16 000 files. On a busy disk their removal alone has taken 40 s.
    """
    available_mb = next(
        int(line.split()[1]) // 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable:")
    )
    place = Path("/dev/shm")
    if available_mb < _ENOUGH_MB or not place.is_dir() or shutil.disk_usage(place).free < _ENOUGH_MB << 20:
        return None
    return str(place)


def unified_cgroup() -> Path | None:
    """Return where cgroup v2 is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def required_cgroup() -> Path:
    """Return where cgroup v2 is mounted, or fail."""
    place = unified_cgroup()
    if place is None:
        raise RuntimeError("no cgroup v2 is mounted")
    return place


def remove_cgroups(top: Path) -> None:
    """Remove a cgroup and those in it. The kernel takes a moment to remove processes that have been killed."""
    for folder, _, _ in sorted(os.walk(top), reverse=True):
        eventually(partial(_remove_cgroup, Path(folder)), f"the end of {folder}")


def _remove_cgroup(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def mount_overlay(layers: Sequence[Path], upper: Path, work: Path, merged: Path) -> bool:
    """Mount a writable folder over those that stay as they are, the topmost first; false if the kernel refuses."""
    options = f"lowerdir={':'.join(map(str, layers))},upperdir={upper},workdir={work}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmount(place: Path) -> None:
    """Unmount a folder, if something is mounted there."""
    if place.is_mount():
        # Lazily: a process of the host may still look into it.
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that it has not outlived."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def pid_inside(pid: int) -> int:
    """Return the number that a process has in its own PID namespace; 0 if it is gone or not in one of its own."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    numbers = next(line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:"))
    return int(numbers[-1]) if len(numbers) > 1 else 0


def kill(pid: int) -> None:
    """Kill a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
