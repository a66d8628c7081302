"""Builds the speech cache and the recorder of a daemon, and the thread that writes both."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ishowtts.archive import ArchiveWriter, Recorder, SpeechCache
from ishowtts.archive.bounded_folder import BoundedFolder
from ishowtts.config import Config
from ishowtts.util.disk_space import DiskSpace
from ishowtts.util.files import make_private_folder

_MB = 1_000_000
_IN_CACHE_DIR = frozenset({"speech", "compiled"})


class Archives:
    """What `audio.cache_mb` and `audio.record_dir` ask for. A short disk stops both (`limits.min_free_mb`).

    Attributes:
        cache, recorder: `None` if they are not wanted.
        disks: Where each of them is stored.
    """

    def __init__(self, config: Config) -> None:
        audio, min_free_mb = config.audio, config.limits.min_free_mb
        self.cache: SpeechCache | None = None
        self.recorder: Recorder | None = None
        self.disks: list[DiskSpace] = []
        self._cache_dir: Path | None = None
        self._folders: list[BoundedFolder] = []
        self._writer = ArchiveWriter(self._open, self._maintain)
        if audio.cache_mb > 0:
            folder = config.cache_dir / "speech"
            self._cache_dir = config.cache_dir
            cache_disk = DiskSpace(folder, min_free_mb)
            self.cache = SpeechCache(folder, audio.cache_mb * _MB, self._writer, lambda: cache_disk.shortage() is None)
            self.disks.append(cache_disk)
            self._folders.append(self.cache.folder)
        if audio.record_dir is not None:
            record_disk = DiskSpace(audio.record_dir, min_free_mb)
            self.recorder = Recorder(
                audio.record_dir, audio.record_mb * _MB, self._writer, lambda: record_disk.shortage() is None
            )
            self.disks.append(record_disk)
            self._folders.append(self.recorder.folder)

    @property
    def problems(self) -> tuple[str | None, ...]:
        """Why something is not stored, for each folder; `None` if all is well."""
        return tuple(folder.problem for folder in self._folders)

    def start(self) -> None:
        """Start the thread, if anything is to be written."""
        if self._folders:
            self._writer.start()

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most so long."""
        self._writer.close(timeout_s)

    def _open(self) -> None:
        if self._cache_dir is not None:
            with suppress(OSError):  # the folder in it reports what is wrong
                make_private_folder(self._cache_dir, ours=_IN_CACHE_DIR.__contains__)
        for folder in self._folders:
            folder.open()

    def _maintain(self) -> None:
        for folder in self._folders:
            folder.maintain()
