"""A folder of files that we name ourselves, bounded in size. Strangers' files in it are neither touched nor counted."""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ishowtts.util.files import read_bounded

log = logging.getLogger(__name__)

_BLOCK_BYTES = 4096  # what the smallest file takes of a disk
_LEFT_AFTER_EVICTION = 0.9  # of the bound: not every new file is to look through the folder
_GIVEN_BACK_AT_ONCE = 0.125  # of the bound: some file systems tell of freed room late
_SHORT = "the disk is short of room (limits.min_free_mb)"
_TRIAL = ".ishowtts.part"
_TRIAL_BYTES = 262_144
_DRAFT = re.compile(r"\.(.+)\.part")


@dataclass(frozen=True)
class FileKind:
    """What a folder holds.

    Args:
        what: begins its sentences, as in `finished speech is`.
        mend: ends them: what the operator can do.
        stem: of the names; the files of one stem come and go together.
        suffixes: of the names.
        mode: of the files.
        gives_back: whether files are removed while the disk is short of room.
    """

    what: str
    mend: str
    stem: re.Pattern[str]
    suffixes: tuple[str, ...]
    mode: int
    gives_back: bool


@dataclass
class _Unit:
    """The files of one stem: their size on disk, and when the last of them was used or made."""

    size: int = 0
    stamp_ns: int = 0


class BoundedFolder:
    """Keeps at most `most_bytes`; what was not used for longest goes first. What fails is a `trouble`, no exception.

    One thread calls all of it; `read`, `has` and `trouble` are for any. A file is written under the name of a draft
    and renamed: one that has its name is whole, but for a power cut.

    Args:
        place: made where it is missing.
        room: whether the disk has room for what can be done without.
    """

    def __init__(self, place: Path, most_bytes: int, kind: FileKind, room: Callable[[], bool] = lambda: True) -> None:
        self._place = place
        self._most_bytes = most_bytes
        self._kind = kind
        self._room = room
        self._bytes: int | None = None  # at least what is there, drafts left out; None: not counted yet
        self._stamped_ns = 0
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why nothing is kept; `None` while all is well."""
        return self._trouble

    def open(self) -> None:
        """Make the folder, remove what a killed process left half written, and count what is there."""
        try:
            self._make()
            with os.scandir(self._place) as entries:
                for entry in entries:
                    if self._is_draft(entry.name) and entry.is_file(follow_symlinks=False):
                        self._path(entry.name).unlink(missing_ok=True)
            self._count()
        except OSError as error:
            self._complain(_why(error))
            return
        self.tend()

    def keep(self, stem: str, files: Mapping[str, bytes]) -> bool:
        """Keep files by their suffixes, in place of those that the stem has; whether they are kept."""
        if not self.grant(sum(_on_disk(len(content)) for content in files.values())):
            return False
        try:
            for suffix, content in files.items():
                with open(self.draft(stem, suffix), "wb") as file:  # noqa: PTH123 - a descriptor
                    file.write(content)
        except OSError as error:
            self.failed(stem, error)
            return False
        return self.publish(stem, tuple(files))

    def grant(self, size: int) -> bool:
        """Whether there may be so many bytes more; the oldest files make room for them.

        Args:
            size: of all drafts together.
        """
        if size > self._most_bytes:
            return False
        if not self._room():
            self._complain(_SHORT)
            return False
        try:
            if self._bytes is None:
                self._count()
            if self._there + size > self._most_bytes:
                left = max(0, int(self._most_bytes * _LEFT_AFTER_EVICTION) - size)
                self._remove_oldest(lambda: self._there <= left)
        except OSError as error:
            self._complain(_why(error))
            return False
        return self._there + size <= self._most_bytes

    def draft(self, stem: str, suffix: str) -> int:
        """A descriptor of a new file that has no name of its own yet; the caller closes it. Raises OSError."""
        return self._create(self._path(_draft_name(stem + suffix)))

    def publish(self, stem: str, suffixes: tuple[str, ...]) -> bool:
        """Give the drafts of a stem their names, in this order; whether it could be done."""
        try:
            stamp_ns = self._stamp_ns()
            for suffix in suffixes:
                draft, path = self._path(_draft_name(stem + suffix)), self._path(stem + suffix)
                size = _on_disk(draft.stat().st_size)
                os.utime(draft, ns=(stamp_ns, stamp_ns))
                before = _on_disk(path.stat().st_size) if path.exists() else 0
                draft.replace(path)
                self._bytes = self._there + size - before
        except OSError as error:
            self.failed(stem, error)
            return False
        self._mended()
        return True

    def failed(self, stem: str, error: Exception) -> None:
        """Remove the drafts of a stem, and say why."""
        self.discard(stem)
        self._complain(_why(error))

    def discard(self, stem: str) -> None:
        """Remove the drafts of a stem."""
        for suffix in self._kind.suffixes:
            self._remove(_draft_name(stem + suffix))

    def drop(self, stem: str) -> None:
        """Remove the files of a stem."""
        for suffix in self._kind.suffixes:
            self._remove(stem + suffix)

    def use(self, stem: str) -> None:
        """Note that the files of a stem are used: they go later."""
        stamp_ns = self._stamp_ns()
        for suffix in self._kind.suffixes:
            try:
                os.utime(self._path(stem + suffix), ns=(stamp_ns, stamp_ns), follow_symlinks=False)
            except OSError:
                continue  # it has gone, or the disk is read-only: nothing is lost by it

    def tend(self) -> None:
        """See to the disk: while it is short of room nothing is kept, and the oldest files are given back."""
        if self._room():
            if self._trouble is not None:
                self._try()
            return
        self._complain(_SHORT)
        if not self._kind.gives_back:
            return
        try:
            least = self._most_bytes * _GIVEN_BACK_AT_ONCE
            before = sum(unit.size for unit in self._count().values())
            self._remove_oldest(lambda: before - self._there >= least or self._room())
        except OSError as error:
            self._complain(_why(error))

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        try:
            return self._path(name).is_file()
        except OSError:
            return False

    def read(self, name: str, most_bytes: int) -> bytes | None:
        """A file's content; `None` where there is none, or none that can be read and is at most so large."""
        try:
            return read_bounded(self._path(name), most_bytes, follow_links=False)
        except OSError:
            return None

    def _try(self) -> None:
        """Whether a file can be written again."""
        descriptor = None
        try:
            descriptor = self._create(self._path(_TRIAL))
            os.posix_fallocate(descriptor, 0, _TRIAL_BYTES)
        except OSError as error:
            self._complain(_why(error))
        else:
            self._mended()
        if descriptor is not None:
            os.close(descriptor)
            self._remove(_TRIAL)

    def _create(self, path: Path) -> int:
        # Never into what is there: it may be a pipe, or the draft of another daemon.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            path.unlink(missing_ok=True)
            descriptor = os.open(path, flags, self._kind.mode)
        except FileNotFoundError:
            self._make()  # somebody has removed it
            descriptor = os.open(path, flags, self._kind.mode)
        os.fchmod(descriptor, self._kind.mode)  # whatever the umask is
        return descriptor

    def _remove_oldest(self, enough: Callable[[], bool]) -> None:
        """Look through the folder anew, and remove from it what was not used for longest. Raises OSError."""
        units = self._count()
        for stem in sorted(units, key=lambda stem: units[stem].stamp_ns):
            if enough():
                return
            for suffix in self._kind.suffixes:
                self._path(stem + suffix).unlink(missing_ok=True)
            self._bytes = self._there - units[stem].size

    @property
    def _there(self) -> int:
        return self._bytes or 0

    def _count(self) -> dict[str, _Unit]:
        """What is there, counted. Raises OSError."""
        units = self._scan()
        self._bytes = sum(unit.size for unit in units.values())
        self._stamped_ns = max([self._stamped_ns, *(unit.stamp_ns for unit in units.values())])
        return units

    def _scan(self) -> dict[str, _Unit]:
        """What is there, by its stem. Raises OSError."""
        units: dict[str, _Unit] = {}
        try:
            entries = os.scandir(self._place)
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
        """The stem of one of our names."""
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
        """Now, and later than any stamp before: a board without a battery begins each day in 1970."""
        self._stamped_ns = max(time.time_ns(), self._stamped_ns + 1)
        return self._stamped_ns

    def _remove(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            self._complain(_why(error))

    def _make(self) -> None:
        self._place.mkdir(mode=0o750, parents=True, exist_ok=True)

    def _path(self, name: str) -> Path:
        return self._place / name

    def _complain(self, reason: str) -> None:
        trouble = f"{self._kind.what} not kept in {self._place}: {reason}; {self._kind.mend}"
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("%s", trouble)

    def _mended(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            log.info("%s kept in %s again", self._kind.what, self._place)


def _draft_name(name: str) -> str:
    return f".{name}.part"


def _on_disk(size: int) -> int:
    return max(1, -(-size // _BLOCK_BYTES)) * _BLOCK_BYTES


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
