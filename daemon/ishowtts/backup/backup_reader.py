"""Reads a backup in one pass and checks all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from ishowtts.backup.manifest import MANIFEST, MOST_MANIFEST_BYTES, ArchivedFile, Manifest, read_manifest
from ishowtts.backup.tar_stream import TarReader
from ishowtts.errors import BackupError


class BackupReader:
    """An archive that is being read.

    Attributes:
        manifest: What the archive says is in it, already checked.

    Raises:
        BackupError: It is not a backup, or not a valid one.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._tar = TarReader(stream)
        name, size = self._tar.next_file() or ("nothing", 0)
        if name != MANIFEST:
            raise BackupError(f"this is not a backup of ishowtts: it begins with {name[:100]!r}, not with {MANIFEST}")
        if size > MOST_MANIFEST_BYTES:
            raise BackupError(f"the backup is not valid: its manifest is larger than {MOST_MANIFEST_BYTES} bytes")
        self.manifest: Manifest = read_manifest(b"".join(self._tar.chunks(size)))

    def files(self) -> Iterator[tuple[ArchivedFile, Iterator[bytes]]]:
        """Yield each file with its content, which has to be read to its end before the next file.

        After the last file the rest of the archive is read too. So an archive is whole if this ends without an error.

        Raises:
            BackupError: The files are not exactly those of the manifest.
        """
        for file in self.manifest.files:
            found = self._tar.next_file()
            if found != (file.name, file.size):
                what = "its end" if found is None else f"{found[0][:200]!r} with {found[1]} bytes"
                raise BackupError(
                    f"the backup is not valid: {what} comes where its manifest has {file.name} with {file.size} bytes"
                )
            yield file, self._content(file)
        if (found := self._tar.next_file()) is not None:
            raise BackupError(f"the backup is not valid: its manifest does not name {found[0][:200]!r}")

    def verify(self) -> None:
        """Read everything and keep nothing. Raises BackupError."""
        for _, content in self.files():
            for _ in content:
                pass

    def _content(self, file: ArchivedFile) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in self._tar.chunks(file.size):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != file.sha256:
            raise BackupError(f"the backup is damaged: {file.name} does not have the checksum of the manifest")
