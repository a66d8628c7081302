"""Writes and reads a compressed tar file in one pass. Reading is bounded, and takes nothing but regular files.

`tarfile` reads extended headers of any size into memory, and knows links and devices. A backup has only plain headers.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from ishowtts.errors import BackupError

BLOCK_BYTES = 512
CHUNK_BYTES = 1 << 18
_MOST_PADDING_BYTES = 1 << 20  # zeros after the last file; tar programs write up to 10 kB
_DAMAGED = "the backup is damaged or incomplete"


class TarWriter:
    """Writes files into a stream. `close` completes it."""

    def __init__(self, stream: BinaryIO, mtime_s: int) -> None:
        self._zipped = gzip.GzipFile("", "wb", 6, stream, mtime=0)
        self._mtime_s = mtime_s
        self._left = 0

    def begin(self, name: str, size: int) -> None:
        """Begin a file of exactly `size` bytes."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._mtime_s, 0o600
        self._zipped.write(info.tobuf(tarfile.USTAR_FORMAT, "utf-8"))
        self._left = size

    def write(self, chunk: bytes) -> None:
        """Write the next bytes of the file."""
        self._left -= len(chunk)
        self._zipped.write(chunk)

    def end(self, size: int) -> None:
        """End a file. Its size must be the one that it began with."""
        if self._left:
            raise ValueError(f"{self._left} bytes are missing")
        self._zipped.write(bytes(-size % BLOCK_BYTES))

    def close(self) -> None:
        """Write the end of the archive. The stream stays open."""
        self._zipped.write(bytes(2 * BLOCK_BYTES))
        self._zipped.close()


class TarReader:
    """Reads the files of a stream in their order. Every method raises BackupError for an archive that is not valid."""

    def __init__(self, stream: BinaryIO) -> None:
        self._zipped = gzip.GzipFile("", "rb", fileobj=stream)

    def next_file(self) -> tuple[str, int] | None:
        """Name and size of the next file; `None` at the end of the archive."""
        block = self._read(BLOCK_BYTES)
        if block == bytes(BLOCK_BYTES):
            self._finish()
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
            raise BackupError(f"{_DAMAGED}: a header of the tar file is wrong ({error})") from error
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise BackupError(f"the backup is not valid: {info.name[:200]!r} is not a regular file")
        if info.size < 0:
            raise BackupError(f"{_DAMAGED}: a header of the tar file has a negative size")
        return info.name, info.size

    def chunks(self, size: int) -> Iterator[bytes]:
        """The content of the file that `next_file` has found."""
        left = size
        while left:
            chunk = self._read(min(left, CHUNK_BYTES))
            left -= len(chunk)
            yield chunk
        self._read(-size % BLOCK_BYTES)

    def _finish(self) -> None:
        """Read to the end of the stream: only then its checksum has been compared."""
        left = _MOST_PADDING_BYTES
        while chunk := self._some(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0 or chunk.strip(b"\0"):
                raise BackupError("the backup is not valid: something follows after its end")

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            if not (chunk := self._some(size - len(found))):
                raise BackupError(f"{_DAMAGED}: it ends too early")
            found += chunk
        return found

    def _some(self, size: int) -> bytes:
        try:
            return self._zipped.read(size)
        except gzip.BadGzipFile as error:
            raise BackupError(f"{_DAMAGED}, or is not a backup of ishowtts ({error})") from error
        except (EOFError, zlib.error) as error:
            raise BackupError(f"{_DAMAGED} ({error})") from error
        except OSError as error:  # of the disk, or of the pipe
            raise BackupError(f"the archive cannot be read ({error.strerror}); copy it again") from error
