"""Collects the parts of recordings on disk until they are complete. Bounded in bytes, uploads and time."""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from ishowtts.engines.voices.upload_check import RECORDING
from ishowtts.errors import VoiceError
from ishowtts.limits import VOICE_RECORDING_BYTES
from ishowtts.model import VoiceAbout, VoicePart
from ishowtts.util.files import make_private_folder

MAX_UPLOADS = 2
PART_TIMEOUT_S = 60.0
UPLOAD_TIMEOUT_S = 900.0
"""Of all parts together: 12 MB at 14 kB/s. A sender that dawdles must not keep others from theirs for hours."""
_UNORDERED = "unordered"

UploadKey = tuple[str, str]
"""Name of the voice, and id of the upload."""


@dataclass(frozen=True)
class CompleteUpload:
    """A recording whose parts have all come. It is in `folder`, as `RECORDING`."""

    key: UploadKey
    folder: Path
    about: VoiceAbout


@dataclass
class _Upload:
    folder: Path
    about: VoiceAbout
    parts: int
    begun_s: float
    last_part_s: float
    size_bytes: int = 0
    received: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)  # by part: offset, size and digest


class UploadSpool:
    """The uploads that have begun. One thread calls it.

    Args:
        folder: for their files. `clear` deletes what an earlier run has left there.
        now_s: monotonic clock.
    """

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._now_s = now_s
        self._uploads: dict[UploadKey, _Upload] = {}
        self._begun = 0

    def __contains__(self, key: UploadKey) -> bool:
        return key in self._uploads

    def __len__(self) -> int:
        return len(self._uploads)

    def clear(self) -> None:
        """Deletes all uploads, and what an earlier run has left."""
        self._uploads.clear()
        if self._folder.is_symlink():
            self._folder.unlink()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, part: VoicePart) -> CompleteUpload | None:
        """Stores a part. Part 0 begins the upload; the others may come in any order. A repeated part is ignored.

        Returns: the upload, if this was its last part; `discard` it when it is no longer needed.

        Raises:
            VoiceError: the part cannot be accepted. The upload stays until it is discarded.
        """
        key = (part.name, part.upload)
        upload = self._uploads.get(key) or self._begin(key, part)
        if part.parts != upload.parts:
            raise VoiceError(f"parts is {part.parts} here, and was {upload.parts} in part 0; send it again")
        digest = digest_of(part)
        if (known := upload.received.get(part.part)) is not None:
            if known[2] != digest:
                raise VoiceError(f"part {part.part} came twice, with different content; send the recording again")
            return None
        upload.last_part_s = self._now_s()  # a repeated part does not extend the deadline
        if upload.size_bytes + len(part.data) > VOICE_RECORDING_BYTES:
            raise VoiceError(
                f"the recording has more than {VOICE_RECORDING_BYTES // 1_000_000} MB; send a clip of 2 to 12 s"
            )
        with _disk_errors(self._folder), (upload.folder / RECORDING).open("ab") as file:
            file.write(part.data)
        upload.received[part.part] = (upload.size_bytes, len(part.data), digest)
        upload.size_bytes += len(part.data)
        if len(upload.received) < upload.parts:
            return None
        with _disk_errors(self._folder):
            _put_in_order(upload)
        return CompleteUpload(key, upload.folder, upload.about)

    def discard(self, key: UploadKey) -> None:
        """Deletes an upload, if it exists."""
        if (upload := self._uploads.pop(key, None)) is not None:
            shutil.rmtree(upload.folder, ignore_errors=True)

    def expired(self) -> dict[UploadKey, str]:
        """Returns the uploads whose parts come too slowly or not any more, with a sentence for each."""
        now_s = self._now_s()
        found = {}
        for key, upload in self._uploads.items():
            came = f"{len(upload.received)} of {upload.parts} parts came"
            if upload.last_part_s < now_s - PART_TIMEOUT_S:
                found[key] = f"{came}, and then none for {PART_TIMEOUT_S:.0f} s; send the recording again"
            elif upload.begun_s < now_s - UPLOAD_TIMEOUT_S:
                found[key] = f"{came} in {UPLOAD_TIMEOUT_S:.0f} s; send the recording again, faster"
        return found

    def extend(self, waited_s: float) -> None:
        """Extends the deadlines: the caller took no parts for this time."""
        for upload in self._uploads.values():
            upload.begun_s += waited_s
            upload.last_part_s += waited_s

    def _begin(self, key: UploadKey, part: VoicePart) -> _Upload:
        if part.about is None:
            raise VoiceError("part 0 of this upload is not here; send the recording again from part 0")
        if len(self._uploads) >= MAX_UPLOADS:
            raise VoiceError(f"{MAX_UPLOADS} other uploads are not complete yet; send it again when they are")
        self._begun += 1
        folder = self._folder / str(self._begun)
        with _disk_errors(self._folder):
            make_private_folder(self._folder)
            folder.mkdir(mode=0o700)
        now_s = self._now_s()
        upload = self._uploads[key] = _Upload(folder, part.about, part.parts, now_s, now_s)
        return upload


def digest_of(part: VoicePart) -> bytes:
    """Returns what tells two parts of the same number apart: a digest of their content."""
    return hashlib.blake2b(repr(part.about).encode("utf-8", "replace") + b"\0" + part.data).digest()


def _put_in_order(upload: _Upload) -> None:
    """Writes the file again if its parts came in another order."""
    places = [upload.received[i] for i in range(upload.parts)]
    if all(before[0] + before[1] == after[0] for before, after in pairwise(places)):
        return
    recording, unordered = upload.folder / RECORDING, upload.folder / _UNORDERED
    recording.rename(unordered)
    with unordered.open("rb") as source, recording.open("wb") as target:
        for offset, size, _ in places:
            source.seek(offset)
            target.write(source.read(size))
    unordered.unlink()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "make room there" if full else "let the user of the daemon write there"
        raise VoiceError(f"{folder} cannot be written ({error.strerror}); {fix}") from error
