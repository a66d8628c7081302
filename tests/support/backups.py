"""A folder with everything that a backup holds, and archives made by hand."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.model import Arrival, Line

Content: TypeAlias = "bytes | str"


class FilledAppliance:
    """An appliance in one folder: its files say `stamp`, so that two can be told apart."""

    def __init__(self, folder: Path, stamp: str) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.write("config.yaml", yaml.safe_dump(self._settings(stamp)))
        self.write("pronunciations.yaml", f"{{kettle: {stamp}}}")
        self.write("blocked.txt", f"{stamp}word\n")
        for folder_name in ("voices", "uploaded-voices"):
            self.write(f"state/{folder_name}/anna/reference.txt", stamp)
            self.write(f"state/{folder_name}/anna/reference.flac", f"{stamp} sound")
        self.write("state/chimes/ding.wav", stamp)
        with closing(self.inbox()) as inbox:
            wait_for(inbox.accept([Arrival(Line(f"{stamp}-{each}", f"{stamp} {each}")) for each in range(3)]))
            wait_for(inbox.remember("volume", str(len(stamp))))
            wait_for(inbox.remember("stamp", stamp))

    def _settings(self, device: str) -> dict[str, Any]:
        return {
            "device": {"name": device},
            "state_dir": str(self.state),
            "cache_dir": str(self.folder / "cache"),
            "text": {"pronunciations": str(self.folder / "pronunciations.yaml")},
            "policies": {"blocked": {"file": str(self.folder / "blocked.txt")}},
            "board": {"source": "simulated"},
        }

    def write(self, name: str, content: Content) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(content))
        return path

    def inbox(self) -> Inbox:
        return Inbox(self.state / "inbox.sqlite", InboxLimits())

    def arguments(self, *words: str) -> list[str]:
        """The words of a command for this appliance."""
        return [*words, "--config", str(self.config)]

    def files(self) -> dict[str, bytes]:
        """Each file that a backup holds, except the queue."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and "inbox.sqlite" not in path.name
        }


Member: TypeAlias = "tuple[str, Content] | tarfile.TarInfo"


def manifest(members: Sequence[tuple[str, Content]], **changes: Any) -> dict[str, Any]:
    """A manifest that fits these files, with some changes."""
    return {
        "format": 1,
        "made_by": "0.1.0",
        "made_at": "2026-01-01T00:00:00.000Z",
        "device": "ishowtts/kitchen",
        "machine": None,
        "queue": None,
        "trees": ["voices", "uploaded-voices", "chimes"],
        "files": [
            {"name": name, "size": len(as_bytes(content)), "sha256": sha256(as_bytes(content)).hexdigest()}
            for name, content in members
        ],
        **changes,
    }


def archive(members: Sequence[tuple[str, Content]], changes: Mapping[str, Any] | None = None) -> bytes:
    """An archive of these files, with a manifest that fits them, except for some changes."""
    return tar([("manifest.json", json.dumps(manifest(members, **(changes or {})))), *members])


def as_bytes(content: Content) -> bytes:
    """The bytes of a file."""
    return content.encode() if isinstance(content, str) else content


def tar(members: Sequence[Member]) -> bytes:
    """A compressed tar file with these members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=tarfile.USTAR_FORMAT) as made:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                made.addfile(member, io.BytesIO(bytes(member.size)))
                continue
            name, content = member
            data = as_bytes(content)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def unzipped(content: bytes) -> bytes:
    """The tar file in an archive."""
    return gzip.decompress(content)
