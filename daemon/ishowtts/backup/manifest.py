"""What an archive says about itself, and the names that its files may have."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ishowtts.errors import BackupError

FORMAT: Final = 1
MANIFEST = "manifest.json"
QUEUE = "queue/inbox.sqlite"
CONFIG = "configuration/config.yaml"
PRONUNCIATIONS = "configuration/pronunciations"
BLOCKED_WORDS = "configuration/blocked-words"
JOURNAL = "restore-unfinished.json"
"""Stands beside the configuration while a restore is at work."""

MOST_MANIFEST_BYTES = 32 << 20
_MOST_FILES = 100_000
_MOST_FILE_BYTES = (8 << 30) - 1  # more does not fit into the header of a tar file
_MOST_CONFIG_BYTES = 1 << 20
_MOST_PART_BYTES = 80
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True)
class TreeKind:
    """A folder of the appliance that a backup can hold.

    Args:
        what: What is in it, in words.
        levels: How many levels of folders it may have.
        most_bytes: Limit of one file.
        file_mode: Mode of its files after a restore.
        folder_mode: Mode of its folders after a restore.
    """

    what: str
    levels: int
    most_bytes: int
    file_mode: int
    folder_mode: int


TREES = {
    "voices": TreeKind("voices", 1, 50_000_000, 0o644, 0o755),
    "uploaded-voices": TreeKind("voices that came over MQTT", 1, 50_000_000, 0o600, 0o700),
    "chimes": TreeKind("chimes", 0, 10_000_000, 0o644, 0o755),
    "recordings": TreeKind("recordings", 0, 1_000_000_000, 0o640, 0o750),
    "weights": TreeKind("weights", 3, _MOST_FILE_BYTES, 0o644, 0o755),
}
"""By the first part of their names in an archive."""
_SINGLE_FILES = {
    QUEUE: _MOST_FILE_BYTES,
    CONFIG: _MOST_CONFIG_BYTES,
    PRONUNCIATIONS: _MOST_CONFIG_BYTES,
    BLOCKED_WORDS: _MOST_CONFIG_BYTES,
}


class _ManifestPart(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class ArchivedFile(_ManifestPart):
    """One file of an archive."""

    name: str
    size: Annotated[int, Field(ge=0, le=_MOST_FILE_BYTES)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ArchivedQueue(_ManifestPart):
    """The queue: version of its tables, and how many lines wait and are in the history, if that is known."""

    version: Annotated[int, Field(ge=0, le=1_000_000)]
    waiting: int | None
    ended: int | None


class Manifest(_ManifestPart):
    """The first file of an archive.

    Args:
        format: Version of the form of the archive.
        made_by: Version of ishowtts.
        made_at: UTC time.
        device: Root topic of the appliance.
        machine: Names the board without saying which one it is; `None` if it has no identity.
        trees: The folders that are in the archive as a whole, also if they are empty.
        beside: Names of files beside the configuration that are not in the archive, such as passwords.
    """

    format: Literal[1]
    made_by: Annotated[str, Field(max_length=100)]
    made_at: Annotated[str, Field(max_length=40)]
    device: Annotated[str, Field(max_length=300)]
    machine: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    queue: ArchivedQueue | None
    trees: Annotated[list[str], Field(max_length=20)]
    files: Annotated[list[ArchivedFile], Field(max_length=_MOST_FILES)]
    beside: Annotated[list[str], Field(max_length=1000)] = []

    def encoded(self) -> bytes:
        """As the archive has it."""
        return self.model_dump_json(indent=1).encode()

    def digest(self) -> str:
        """Names the content of the archive."""
        return hashlib.sha256(self.encoded()).hexdigest()

    def file(self, name: str) -> ArchivedFile | None:
        """A file by its name."""
        return next((each for each in self.files if each.name == name), None)

    def in_tree(self, kind: str) -> Sequence[ArchivedFile]:
        """The files of a folder."""
        return [each for each in self.files if each.name.startswith(f"{kind}/")]


def read_manifest(content: bytes) -> Manifest:
    """Parse and check a manifest.

    Raises:
        BackupError: It is not one of this version, or names files that no backup has.
    """
    try:
        found = Manifest.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the whole"
        if where == "format":
            raise BackupError(
                f"this backup has a form that ishowtts does not know (it is not form {FORMAT}): a newer version made"
                " it; install that one"
            ) from error
        raise BackupError(f"this is not a backup of ishowtts: its manifest is wrong at {where}") from error
    names = [each.name for each in found.files]
    if len(set(names)) < len(names):
        raise BackupError("the backup is not valid: its manifest names a file twice")
    if foreign := set(found.trees) - set(TREES):
        raise BackupError(f"the backup is not valid: it has the unknown folder {min(foreign)[:100]!r}")
    for each in found.files:
        check_file(each, found.trees)
    if (found.queue is None) != (QUEUE not in names):
        raise BackupError("the backup is not valid: its manifest and its files do not agree about the queue")
    return found


def check_file(file: ArchivedFile, trees: Sequence[str]) -> None:
    """Refuse a name that no backup has, and a file that is too large.

    Raises:
        BackupError: The sentence names the file.
    """
    most_bytes = _SINGLE_FILES.get(file.name)
    if most_bytes is None:
        kind, *parts = file.name.split("/")
        if kind not in trees or not 1 <= len(parts) <= TREES[kind].levels + 1 or not all(map(is_plain, parts)):
            raise BackupError(f"the backup is not valid: no backup has a file with the name {file.name[:200]!r}")
        most_bytes = TREES[kind].most_bytes
    if file.size > most_bytes:
        raise BackupError(f"the backup is not valid: {file.name} is larger than {most_bytes} bytes")


def is_plain(part: str) -> bool:
    """Whether a part of a path can be in a backup: not hidden, printable, and short enough for every file system."""
    return part.isprintable() and not part.startswith((".", " ")) and "/" not in part and _short(part)


def _short(part: str) -> bool:
    try:
        return 0 < len(part.encode()) <= _MOST_PART_BYTES
    except UnicodeEncodeError:
        return False


def machine(serial: str | None) -> str | None:
    """Name this machine, without a way back to the ids that the system asks to keep secret; `None` if it has none.

    Args:
        serial: Serial number of the board. Copies of a disk image share the id that systemd makes.
    """
    try:
        machine_id = _MACHINE_ID.read_bytes().strip()
    except OSError:
        machine_id = b""
    if not machine_id and not serial:
        return None
    return hmac.new(machine_id, b"ishowtts backup " + (serial or "").encode(), hashlib.sha256).hexdigest()
