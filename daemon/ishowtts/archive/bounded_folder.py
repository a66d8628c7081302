"""A folder of files with names of our own, bounded in size. Other files in it are neither touched nor counted."""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ishowtts.util.files import make_private_folder, read_bounded

log = logging.getLogger(__name__)

_BLOCK_BYTES = 4096  # what the smallest file takes on a disk
_LEFT_AFTER_EVICTION = 0.9  # of the bound, so that not every new file needs a look through the folder
_EVICTED_AT_ONCE = 0.125  # of the bound, because some file systems report free space late
_SHORT = "the disk is short of room (limits.min_free_mb)"
_TRIAL = ".ishowtts.part"
_TRIAL_BYTES = 262_144
_DRAFT = re.compile(r"\.(.+)\.part")


@dataclass(frozen=True)
class FileKind:
    """Describes the files of a folder.

    Args:
        what: Begins the sentences about them, as in `finished speech is`.
        fix: Ends these sentences with what the operator can do.
        stem: Pattern of the stem of their names. The files of one stem come and go together.
        suffixes: Suffixes of their names.
        mode: Mode of the files.
        folder_mode: Mode of the folder.
        evict_when_short: Whether files are removed while the disk is short of room.
    """

    what: str
    fix: str
    stem: re.Pattern[str]
    suffixes: tuple[str, ...]
    mode: int
    evict_when_short: bool
    folder_mode: int = 0o700


@dataclass
class _Unit:
    """The files of one stem: their size on disk, and when the latest was used or written."""

    size: int = 0
    stamp_ns: int = 0


class BoundedFolder:
    """Keeps at most `most_bytes`, and evicts the least recently used files first. It sets `problem` and does not raise.

    One thread calls the methods; any thread may call `read`, `has` and `problem`. A file is written as a draft and then
    renamed. So a file with its final name is complete, except after a power cut.

    Args:
        folder: Created if it is absent.
        has_space: Whether the disk has room for files that are not essential.
    """

    def __init__(
        self, folder: Path, most_bytes: int, kind: FileKind, has_space: Callable[[], bool] = lambda: True
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._kind = kind
        self._has_space = has_space
        self._counted_bytes: int | None = None  # an upper bound, without drafts; `None`: not counted yet
        self._stamped_ns = 0
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why nothing is stored; `None` while all is well."""
        return self._problem

    def open(self) -> None:
        """Create the folder, remove the drafts that a killed process left, and count the files."""
        try:
            self._create_folder()
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if self._is_draft(entry.name) and entry.is_file(follow_symlinks=False):
                        self._path(entry.name).unlink(missing_ok=True)
            self._count()
        except OSError as error:
            self._report(_reason(error))
            return
        self.maintain()

    def store(self, stem: str, files: Mapping[str, bytes]) -> bool:
        """Store files by their suffixes, in place of those that the stem has. Returns whether they are stored."""
        if not self.reserve(sum(_on_disk(len(content)) for content in files.values())):
            return False
        try:
            for suffix, content in files.items():
                with open(self.create_draft(stem, suffix), "wb") as file:  # noqa: PTH123 - a descriptor
                    file.write(content)
        except OSError as error:
            self.fail(stem, error)
            return False
        return self.publish(stem, tuple(files))

    def reserve(self, size: int) -> bool:
        """Make room for drafts, and evict the oldest files if necessary. Returns whether there is room.

        Args:
            size: Of all drafts together, in bytes.
        """
        if size > self._most_bytes:
            return False
        if not self._has_space():
            self._report(_SHORT)
            return False
        try:
            if self._counted_bytes is None:
                self._count()
            if self._bytes + size > self._most_bytes:
                left = max(0, int(self._most_bytes * _LEFT_AFTER_EVICTION) - size)
                self._evict(lambda: self._bytes <= left)
        except OSError as error:
            self._report(_reason(error))
            return False
        return self._bytes + size <= self._most_bytes

    def create_draft(self, stem: str, suffix: str) -> int:
        """Create a draft. Returns its descriptor, which the caller closes. Raises OSError."""
        return self._create(self._path(_draft_name(stem + suffix)))

    def publish(self, stem: str, suffixes: tuple[str, ...]) -> bool:
        """Give the drafts of a stem their final names, in this order. Returns whether that succeeded."""
        try:
            stamp_ns = self._stamp_ns()
            for suffix in suffixes:
                draft, path = self._path(_draft_name(stem + suffix)), self._path(stem + suffix)
                size = _on_disk(draft.stat().st_size)
                os.utime(draft, ns=(stamp_ns, stamp_ns))
                before = _on_disk(path.stat().st_size) if path.exists() else 0
                draft.replace(path)
                self._counted_bytes = self._bytes + size - before
        except OSError as error:
            self.fail(stem, error)
            return False
        self._report_success()
        return True

    def fail(self, stem: str, error: Exception) -> None:
        """Remove the drafts of a stem, and report the error."""
        self.discard_drafts(stem)
        self._report(_reason(error))

    def discard_drafts(self, stem: str) -> None:
        """Remove the drafts of a stem."""
        for suffix in self._kind.suffixes:
            self._remove(_draft_name(stem + suffix))

    def remove(self, stem: str) -> None:
        """Remove the files of a stem."""
        for suffix in self._kind.suffixes:
            self._remove(stem + suffix)

    def touch(self, stem: str) -> None:
        """Note that the files of a stem are used, so that they are evicted later."""
        stamp_ns = self._stamp_ns()
        for suffix in self._kind.suffixes:
            try:
                os.utime(self._path(stem + suffix), ns=(stamp_ns, stamp_ns), follow_symlinks=False)
            except OSError:
                continue  # the file is gone, or the disk is read-only: both do no harm

    def maintain(self) -> None:
        """Check the disk. While it is short of room, nothing is stored and the oldest files may be evicted."""
        if self._has_space():
            if self._problem is not None:
                self._try_to_write()
            return
        self._report(_SHORT)
        if not self._kind.evict_when_short:
            return
        try:
            least = self._most_bytes * _EVICTED_AT_ONCE
            before = sum(unit.size for unit in self._count().values())
            self._evict(lambda: before - self._bytes >= least or self._has_space())
        except OSError as error:
            self._report(_reason(error))

    def has(self, name: str) -> bool:
        """Whether there is a file with this name."""
        try:
            return self._path(name).is_file()
        except OSError:
            return False

    def read(self, name: str, most_bytes: int) -> bytes | None:
        """Content of an ordinary file; `None` if there is none, if it cannot be read, or if it is larger than that."""
        try:
            return read_bounded(self._path(name), most_bytes, follow_links=False)
        except OSError:
            return None

    def _try_to_write(self) -> None:
        """Check whether a file can be written again."""
        descriptor = None
        try:
            descriptor = self._create(self._path(_TRIAL))
            os.posix_fallocate(descriptor, 0, _TRIAL_BYTES)
        except OSError as error:
            self._report(_reason(error))
        else:
            self._report_success()
        if descriptor is not None:
            os.close(descriptor)
            self._remove(_TRIAL)

    def _create(self, path: Path) -> int:
        # Never write into a file that is there: it may be a pipe, or the draft of another daemon.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            path.unlink(missing_ok=True)
            descriptor = os.open(path, flags, self._kind.mode)
        except FileNotFoundError:
            self._create_folder()  # somebody has removed it
            descriptor = os.open(path, flags, self._kind.mode)
        os.fchmod(descriptor, self._kind.mode)  # whatever the umask is
        return descriptor

    def _evict(self, enough: Callable[[], bool]) -> None:
        """Count the folder again, and remove the least recently used files until it is enough. Raises OSError."""
        units = self._count()
        for stem in sorted(units, key=lambda stem: units[stem].stamp_ns):
            if enough():
                return
            for suffix in self._kind.suffixes:
                self._path(stem + suffix).unlink(missing_ok=True)
            self._counted_bytes = self._bytes - units[stem].size

    @property
    def _bytes(self) -> int:
        return self._counted_bytes or 0

    def _count(self) -> dict[str, _Unit]:
        """Scan the folder, and count its bytes. Raises OSError."""
        units = self._scan()
        self._counted_bytes = sum(unit.size for unit in units.values())
        self._stamped_ns = max([self._stamped_ns, *(unit.stamp_ns for unit in units.values())])
        return units

    def _scan(self) -> dict[str, _Unit]:
        """Our files in the folder, by their stem. Raises OSError."""
        units: dict[str, _Unit] = {}
        try:
            entries = os.scandir(self._folder)
        except FileNotFoundError:
            return units
        with entries:
            for entry in entries:
                stem = self._stem(entry.name)
                if stem is None:
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    unit = units.setdefault(stem, _Unit())
                    unit.size += _on_disk(found.st_size)
                    unit.stamp_ns = max(unit.stamp_ns, found.st_mtime_ns)
        return units

    def _stem(self, name: str) -> str | None:
        """The stem of a name, if it is one of ours."""
        for suffix in self._kind.suffixes:
            stem = name.removesuffix(suffix)
            if stem != name and self._kind.stem.fullmatch(stem):
                return stem
        return None

    def _is_draft(self, name: str) -> bool:
        if name == _TRIAL:
            return True
        found = _DRAFT.fullmatch(name)
        return found is not None and self._stem(found[1]) is not None

    def _stamp_ns(self) -> int:
        """The time, and later than any stamp before: a board without a battery begins each day in 1970."""
        self._stamped_ns = max(time.time_ns(), self._stamped_ns + 1)
        return self._stamped_ns

    def _remove(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            self._report(_reason(error))

    def _create_folder(self) -> None:
        make_private_folder(self._folder, self._kind.folder_mode, self._is_ours)

    def _is_ours(self, name: str) -> bool:
        return self._is_draft(name) or self._stem(name) is not None

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _report(self, reason: str) -> None:
        problem = f"{self._kind.what} not kept in {self._folder}: {reason}; {self._kind.fix}"
        if problem != self._problem:
            self._problem = problem
            log.warning("%s", problem)

    def _report_success(self) -> None:
        if self._problem is not None:
            self._problem = None
            log.info("%s kept in %s again", self._kind.what, self._folder)


def _draft_name(name: str) -> str:
    return f".{name}.part"


def _on_disk(size: int) -> int:
    return max(1, -(-size // _BLOCK_BYTES)) * _BLOCK_BYTES


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
