"""What a disk may hold after a power cut, as the order of a process's system calls allows it.

The rules are those that POSIX and ext4 (data=ordered) give, and no more:

- What was written to a file before a sync of this file began is there once the sync has returned.
- Each later write is there, or not, or each of its sectors is there or not. Sectors are written whole. What lies
  between such writes and was never on the disk reads as zeros. A change of a file's length is there or not.
- Names (new files, renames, removals) are one journal: of the names after the last that is safe, a first part is
  there. A sync of the folder makes all of its names safe. On ext4 a sync of a file makes its own name safe, with
  all names before it; `ext4=False` leaves that out.
- Memory that is mapped (SQLite's `-shm`) is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from support.syscalls import Call

TRACED = "openat,pwrite64,write,lseek,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,rmdir,fsync,fdatasync"
_SECTOR = 512
_SYNCS = ("fsync", "fdatasync")
_KEEPS = (0.0, 0.2, 0.5, 0.8, 1.0)  # chances of a write to be there


@dataclass(frozen=True)
class _Write:
    """Data at an offset, or (`None`) a new length."""

    returned: int
    offset: int
    data: bytes | None


@dataclass(eq=False)
class _File:
    """A file, whatever its names are.

    Attributes:
        safe: what is surely on the disk.
        pending: what was done to it since.
        length: as the process sees it.
    """

    safe: bytearray = field(default_factory=bytearray)
    pending: list[_Write] = field(default_factory=list)
    length: int = 0


@dataclass(frozen=True)
class _Naming:
    """One step of the journal: `name` means `file` from now on, or (`None`) nothing. A rename has two names."""

    returned: int
    changes: Mapping[str, _File | None]


class CutDisk:
    """Follows the calls of a process that alone writes in a folder.

    Args:
        folder: The folder, as it was when the process began; what is in it is safe.
        ext4: Whether a sync of a file makes its name safe.
    """

    def __init__(self, folder: Path, content: Mapping[str, bytes], *, ext4: bool = True) -> None:
        self._prefix = f"{folder}/"
        self._ext4 = ext4
        self._files = {name: _File(bytearray(data), length=len(data)) for name, data in content.items()}
        self._safe_names: dict[str, _File | None] = dict(self._files)
        self._journal: list[_Naming] = []
        self._open: dict[int, tuple[_File, int]] = {}  # descriptor: file, place of the next `write`

    @property
    def unsafe_data(self) -> bool:
        """Whether something was written that is not synced."""
        return any(file.pending for name, file in self._files.items() if not name.endswith("-shm"))

    @property
    def unsafe_names(self) -> bool:
        """Whether a name was given or taken that is not safe."""
        return bool(self._journal)

    def concerns(self, call: Call) -> bool:
        """Whether a call does something in the folder."""
        return call.result >= 0 and (call.what or (call.paths or ("",))[-1]).startswith(self._prefix[:-1])

    def follow(self, call: Call) -> None:
        """Note a call that has returned. Calls come in the order in which they returned."""
        if call.name == "openat":
            self._open.pop(call.result, None)
        if not self.concerns(call):
            return
        if call.name == "openat":
            self._follow_open(call)
        elif call.name in ("pwrite64", "write", "ftruncate", "lseek"):
            self._follow_write(call)
        elif call.name in _SYNCS:
            self._follow_sync(call)
        else:
            self._follow_naming(call)

    def cut(self, chance: random.Random, under_way: Sequence[Call]) -> dict[str, bytes]:
        """What may be on the disk if the power is cut now: the content of each file by its path in the folder.

        Args:
            under_way: Calls that have begun and not returned. They may be done in part.
        """
        keep = chance.choice(_KEEPS)
        names = dict(self._safe_names)
        for naming in self._journal[: round(len(self._journal) * chance.choice((0.0, chance.random(), 1.0)))]:
            names.update(naming.changes)
        begun = [found for call in under_way if (found := self._write_of(call))]
        return {
            name: _content(file, [*file.pending, *(write for of, write in begun if of is file)], keep, chance)
            for name, file in names.items()
            if file is not None and not name.endswith("-shm")
        }

    def _follow_open(self, call: Call) -> None:
        name = self._name(call.paths[0])
        if not name or "O_DIRECTORY" in call.text:
            return
        file = self._files.get(name)
        if file is None:
            if "O_CREAT" not in call.text:
                return
            file = self._files[name] = _File()
            self._journal.append(_Naming(call.returned, {name: file}))
        elif "O_TRUNC" in call.text and file.length:
            self._add(file, _Write(call.returned, 0, None))
        self._open[call.result] = file, file.length if "O_APPEND" in call.text else 0

    def _follow_write(self, call: Call) -> None:
        if call.name == "lseek":
            if call.descriptor in self._open:
                self._open[call.descriptor] = self._open[call.descriptor][0], call.result
        elif found := self._write_of(call):
            file, write = found
            self._add(file, write)
            if call.name == "write":
                self._open[call.descriptor] = file, write.offset + call.result

    def _write_of(self, call: Call) -> tuple[_File, _Write] | None:
        """What a call writes to which file; `None`: it does not write here."""
        if call.name not in ("pwrite64", "write", "ftruncate") or not self.concerns(call):
            return None
        if call.descriptor not in self._open:
            return None
        file, place = self._open[call.descriptor]
        if call.name == "ftruncate":
            return file, _Write(call.returned, call.numbers[-1], None)
        offset = call.numbers[-1] if call.name == "pwrite64" else place
        return file, _Write(call.returned, offset, call.data[: call.result])

    def _follow_sync(self, call: Call) -> None:
        """Only what was done before the sync began is safe."""
        if call.descriptor in self._open and self._name(call.what):
            file, _ = self._open[call.descriptor]
            done = [write for write in file.pending if write.returned < call.began]
            for write in done:
                _apply(file.safe, write)
            file.pending = file.pending[len(done) :]
            if self._ext4:
                self._make_safe(call, lambda naming: any(of is file for of in naming.changes.values()))
            return
        folder = PurePath(call.what).relative_to(self._prefix[:-1])
        self._make_safe(call, lambda naming: any(PurePath(name).parent == folder for name in naming.changes))

    def _make_safe(self, sync: Call, wanted: Callable[[_Naming], bool]) -> None:
        """All names are safe up to the last wanted one that was given before a sync began."""
        done = [at for at, naming in enumerate(self._journal, 1) if naming.returned < sync.began and wanted(naming)]
        for naming in self._journal[: done[-1] if done else 0]:
            self._safe_names.update(naming.changes)
        del self._journal[: done[-1] if done else 0]

    def _follow_naming(self, call: Call) -> None:
        names = [self._name(path) for path in call.paths]
        if call.name.startswith("unlink") and self._files.pop(names[0], None):
            self._journal.append(_Naming(call.returned, {names[0]: None}))
        elif call.name.startswith("rename"):
            old, new = names
            # A folder takes all that is in it along.
            inside = [name for name in self._files if name == old or name.startswith(f"{old}/")]
            changes: dict[str, _File | None] = dict.fromkeys(inside)
            changes |= {new + name.removeprefix(old): self._files.pop(name) for name in inside}
            self._files |= {name: file for name, file in changes.items() if file is not None}
            self._journal.append(_Naming(call.returned, changes))

    def _add(self, file: _File, write: _Write) -> None:
        file.pending.append(write)
        file.length = write.offset if write.data is None else max(file.length, write.offset + len(write.data))

    def _name(self, path: str) -> str:
        return path.removeprefix(self._prefix) if path.startswith(self._prefix) else ""


def _content(file: _File, pending: Sequence[_Write], keep: float, chance: random.Random) -> bytes:
    content = bytearray(file.safe)
    for write in pending:
        if chance.random() < keep:
            _apply(content, write)
        elif write.data is not None and chance.random() < 0.5:
            for piece in _sectors(write):
                if chance.random() < 0.5:
                    _apply(content, piece)
    return bytes(content)


def _sectors(write: _Write) -> list[_Write]:
    """The pieces of a write that lie in different sectors."""
    assert write.data is not None
    first = write.offset - write.offset % _SECTOR
    edges = [max(write.offset, edge) for edge in range(first, write.offset + len(write.data), _SECTOR)]
    ends = [*edges[1:], write.offset + len(write.data)]
    return [
        _Write(write.returned, start, write.data[start - write.offset : end - write.offset])
        for start, end in zip(edges, ends, strict=True)
    ]


def _apply(content: bytearray, write: _Write) -> None:
    if write.data is None:
        del content[write.offset :]
        content.extend(bytes(write.offset - len(content)))
        return
    content.extend(bytes(max(0, write.offset - len(content))))
    content[write.offset : write.offset + len(write.data)] = write.data
