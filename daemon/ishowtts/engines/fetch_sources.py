"""Says where the official weights come from, and what a source lacks: the hub, or a folder that holds their files."""

from __future__ import annotations

import os
import shlex
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from ishowtts.engines import weights
from ishowtts.engines.weights import HubFile

_HUB = "https://huggingface.co"
_CONNECT_S = 3.0


def address(file: HubFile) -> str:
    """Returns the URL of a file at its pinned revision."""
    return f"{_HUB}/{file.repo}/resolve/{file.revision}/{file.path}"


def instructions(files: tuple[HubFile, ...]) -> list[str]:
    """Returns the lines that say how to get files on a machine with a network, and how to bring them here."""
    lines = ["These files are needed:"]
    lines += [f"  {_size(file.size):>8}  {address(file)}" for file in files]
    lines += ["On a machine with a network, `pip install huggingface_hub` brings the program hf, which gets them:"]
    for repo in sorted({file.repo for file in files}):
        ours = [file for file in files if file.repo == repo]
        folder = "f5-weights/vocos" if "vocos" in repo else "f5-weights"
        names = " ".join(shlex.quote(file.path) for file in ours)
        lines.append(f"  hf download {repo} {names} --revision {ours[0].revision} --local-dir {folder}")
    lines.append("Copy the folder f5-weights here, then: sudo ishowtts fetch --from f5-weights")
    return lines


def missing(target_dir: Path) -> tuple[HubFile, ...]:
    """Returns the files that a folder lacks, or has in another size. Their checksums are not looked at."""
    return tuple(file for file in weights.FILES if _size_of(target_dir / file.local_path) != file.size)


def folder_problem(from_dir: Path, files: tuple[HubFile, ...]) -> str | None:
    """Returns why files cannot be copied from a folder, with all of their names; `None` if they can be."""
    if not from_dir.exists():
        return f"there is no folder {from_dir}; give the folder or the mounted stick that holds the files"
    if not from_dir.is_dir():
        return f"{from_dir} is not a folder; give the folder that holds the files"
    faults = []
    for file in files:
        source = weights.source_of(file, from_dir)
        name = Path(file.path).name
        if source is None:
            faults.append(f"{name} of {file.repo} is missing")
        elif (size := _size_of(source)) != file.size:
            faults.append(f"{source} has {size} bytes instead of {file.size}")
    if not faults:
        return None
    return f"{from_dir} lacks files: {', '.join(faults)}; put them there, or into F5TTS_v1_Base and vocos in it"


def hub_problem() -> str | None:
    """Returns why the hub cannot be reached, after at most 3 s for each of its addresses; `None` if it can be."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    hub = urlsplit(os.environ.get("HF_ENDPOINT") or _HUB)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(hub.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(hub.hostname or ""):
        hub = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    host, port = hub.hostname or "", hub.port or (80 if hub.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except socket.gaierror:
        return f"the name {host} cannot be resolved"
    except OSError as error:
        return f"{host} does not answer ({error.strerror or error})"
    return None


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _size(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"
