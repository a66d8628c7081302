"""Finds the version of JetPack. The board itself names only that of Jetson Linux (L4T)."""

from __future__ import annotations

import re
from pathlib import Path

from ishowtts.board.sensor_files import read_text

# From NVIDIA's archives of JetPack and Jetson Linux, as of November 2026.
_JETPACK_OF_L4T = {
    "39.2.2": "7.2.2",
    "39.2.1": "7.2.1",
    "39.2.0": "7.2",
    "39.0.0": "7.2 EA",
    "38.4.0": "7.1",
    "38.2.2": "7.0",
    "38.2.1": "7.0",
    "38.2.0": "7.0",
    "36.5.2": "6.2.3",
    "36.5.0": "6.2.2",
    "36.4.7": "6.2.1",
    "36.4.4": "6.2.1",
    "36.4.3": "6.2",
    "36.4.2": "6.1",
    "36.4.0": "6.1",
    "36.3.0": "6.0",
    "36.2.0": "6.0 DP",
    "35.6.5": "5.1.7",
    "35.6.4": "5.1.6",
    "35.6.3": "5.1.5",
    "35.6.2": "5.1.5",
    "35.6.1": "5.1.5",
    "35.6.0": "5.1.4",
    "35.5.0": "5.1.3",
    "35.4.1": "5.1.2",
    "35.3.1": "5.1.1",
    "35.2.1": "5.1",
    "35.1.0": "5.0.2",
    "34.1.1": "5.0.1 DP",
    "34.1.0": "5.0 DP",
    "32.7.6": "4.6.6",
    "32.7.5": "4.6.5",
    "32.7.4": "4.6.4",
    "32.7.3": "4.6.3",
    "32.7.2": "4.6.2",
    "32.7.1": "4.6.1",
    "32.6.1": "4.6",
}
_MAJOR_OF_L4T = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7", "39": "7"}
_MAJOR_OF_KERNEL = {"4.9": "4", "5.10": "5", "5.15": "6", "6.8": "7"}
_MAX_PACKAGES_BYTES = 32 * 1024 * 1024  # the list of packages of a desktop installation has 5 MB


def read_jetpack(etc: Path, var: Path, proc: Path) -> str | None:
    """Returns for example `JetPack 6.2 (L4T 36.4.3)`; `None` if this is not a Jetson.

    The release of Jetson Linux is in /etc/nv_tegra_release, also on Thor. The list of packages is read only if that
    file is missing, or if it names a release that is newer than this program. Its package `nvidia-jetpack` is the
    version itself, but may be missing. Without both, the kernel tells the major version.
    """
    text = read_text(etc / "nv_tegra_release") or ""
    found = re.search(r"R(\d{1,3}) \(release\), REVISION: (\d{1,3}(?:\.\d{1,3}){0,2})", text, re.ASCII)
    l4t = _three_parts(f"{found[1]}.{found[2]}") if found else None
    if l4t in _JETPACK_OF_L4T:
        return f"JetPack {_JETPACK_OF_L4T[l4t]} (L4T {l4t})"
    packages = _Packages(var / "lib" / "dpkg" / "status")
    if l4t is None:
        core = re.match(r"\d{1,3}(?:\.\d{1,3}){1,2}", packages.version("nvidia-l4t-core") or "", re.ASCII)
        l4t = _three_parts(core[0]) if core else None
    metapackage = re.match(r"\d{1,3}(?:\.\d{1,3}){1,3}", packages.version("nvidia-jetpack") or "", re.ASCII)
    if l4t is not None:
        version = metapackage[0] if metapackage else _JETPACK_OF_L4T.get(l4t) or _MAJOR_OF_L4T.get(l4t.split(".")[0])
        return f"JetPack {version} (L4T {l4t})" if version else f"L4T {l4t}"
    if metapackage:
        return f"JetPack {metapackage[0]}"
    return _jetpack_of_kernel(read_text(proc / "sys" / "kernel" / "osrelease") or "")


def _three_parts(version: str) -> str:
    """Completes `38.4` to `38.4.0`."""
    parts = [str(int(part)) for part in version.split(".")]
    return ".".join([*parts, "0", "0"][:3])


def _jetpack_of_kernel(release: str) -> str | None:
    found = re.match(r"(\d{1,3}\.\d{1,3})\.[\w.+-]{0,60}-tegra", release, re.ASCII)
    major = _MAJOR_OF_KERNEL.get(found[1]) if found else None
    return f"JetPack {major} (kernel {release[:80]})" if major else None


class _Packages:
    """The installed packages of dpkg, read when the first version is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: str | None = None

    def version(self, package: str) -> str | None:
        """Returns the version of an installed package."""
        if self._text is None:
            self._text = f"\n{read_text(self._path, _MAX_PACKAGES_BYTES) or ''}\n\n"
        start = self._text.find(f"\nPackage: {package}\n")
        if start < 0:
            return None
        fields = self._text[start : self._text.index("\n\n", start)]
        installed = re.search(r"^Status: \S{1,20} ok installed$", fields, re.MULTILINE)
        version = re.search(r"^Version: (\S{1,80})$", fields, re.MULTILINE)
        return version[1] if installed and version else None
