"""Says where weights come from, and what a source lacks: the hub, or a folder that holds their files."""

from __future__ import annotations

import os
import re
import shlex
import socket
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ishowtts.engines.hub_client import HUB, endpoint
from ishowtts.engines.weights_catalogue import OFFICIAL, CatalogueModel, HubFile
from ishowtts.util.files import read_bounded

_CONNECT_S = 3.0
_MAX_METADATA_BYTES = 1000
_METADATA = re.compile(r"([0-9a-f]{40})\n(?:([0-9a-f]{64})|([0-9a-f]{40}))\n[0-9.]+\n?")


def address(file: HubFile) -> str:
    """Returns the URL of a file at its revision."""
    return f"{HUB}/{file.repo}/resolve/{file.revision}/{file.path}"


def instructions(model: CatalogueModel, files: Sequence[HubFile]) -> list[str]:
    """Returns the lines that say how to get files on a machine with a network, and how to bring them here."""
    lines = ["These files are needed:"]
    lines += [f"  {_size(file.size):>8}  {address(file)}" for file in files]
    lines += ["On a machine with a network, `pip install huggingface_hub` brings the program hf, which gets them:"]
    for repo in sorted({file.repo for file in files}):
        ours = [file for file in files if file.repo == repo]
        folder = "f5-weights/vocos" if "vocos" in repo else "f5-weights"
        names = " ".join(shlex.quote(file.path) for file in ours)
        revision = f" --revision {ours[0].revision}" if ours[0].size else ""
        lines.append(f"  hf download {repo} {names}{revision} --local-dir {folder}")
    name = "" if model is OFFICIAL else f"--model {model.name} "
    lines.append(f"Copy the folder f5-weights here, then: sudo ishowtts fetch {name}--from f5-weights")
    return lines


def missing(model: CatalogueModel, target_dir: Path, others: Sequence[Path] = ()) -> tuple[HubFile, ...]:
    """Returns the files of a model that must be got, because a folder lacks them or has them in another size.

    Their checksums are not looked at. What another model has (`others`) is copied from there.
    """
    pinned = [
        file
        for file in model.pinned
        if _size_of(target_dir / file.local_path) != file.size and not installed_copy(file, others)
    ]
    installed = all((target_dir / name).is_file() for name in ("model.yaml", "model.safetensors", "vocab.txt"))
    return (*pinned, *(() if installed else model.unpinned))


def installed_copy(file: HubFile, others: Iterable[Path]) -> Path | None:
    """Returns a file of another fetched model with this name and size; `None` if there is none."""
    if "vocos" not in file.repo:
        return None
    paths = (folder / file.local_path for folder in others)
    return next((path for path in paths if _size_of(path) == file.size), None)


def source_of(file: HubFile, from_dir: Path) -> Path | None:
    """Returns the path of a file below a folder, in the layout of `fetch` or of the hub; `None` if it is not there."""
    own = Path(file.path).parent.name or Path(file.repo).name
    folders = ("vocos", "vocos-mel-24khz", ".") if "vocos" in file.repo else (own, ".")
    paths = (from_dir / folder / Path(file.path).name for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def described(file: HubFile, from_dir: Path) -> HubFile:
    """Returns a file with its size in a folder, and with the checksum that `hf download` left beside it, if it did."""
    source = source_of(file, from_dir)
    if source is None:
        return replace(file, revision="")
    found = replace(file, revision="", size=_size_of(source) or 0)
    metadata = source.parent / ".cache/huggingface/download" / f"{source.name}.metadata"
    try:
        match = _METADATA.fullmatch(read_bounded(metadata, _MAX_METADATA_BYTES).decode("ascii", "replace"))
    except OSError:
        match = None
    if match is None:
        return found
    return replace(found, revision=match[1], sha256=match[2], git_sha1=match[3])


def folder_problem(from_dir: Path, files: Sequence[HubFile]) -> str | None:
    """Returns why files cannot be copied from a folder, with all of their names; `None` if they can be."""
    if not from_dir.exists():
        return f"there is no folder {from_dir}; give the folder or the mounted stick that holds the files"
    if not from_dir.is_dir():
        return f"{from_dir} is not a folder; give the folder that holds the files"
    faults = []
    for file in files:
        source = source_of(file, from_dir)
        name = Path(file.path).name
        if source is None:
            faults.append(f"{name} of {file.repo} is missing")
        elif file.size and (size := _size_of(source)) != file.size:
            faults.append(f"{source} has {size} bytes instead of {file.size}")
    if not faults:
        return None
    own = Path(files[0].path).parent.name or Path(files[-1].path).parent.name
    folders = f"{own} and vocos in it" if own else "vocos in it"
    return f"{from_dir} lacks files: {', '.join(faults)}; put them there, or into {folders}"


def hub_problem() -> str | None:
    """Returns why the hub cannot be reached, after at most 3 s for each of its addresses; `None` if it can be."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    hub = urlsplit(endpoint())
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
    return f"{size} B" if size else ""
