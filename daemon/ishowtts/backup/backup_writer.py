"""Makes a backup while the daemon runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ishowtts import __version__
from ishowtts.backup.contents import SourceFile, beside_config, named_files, tree_content, tree_folders
from ishowtts.backup.manifest import (
    CONFIG,
    FORMAT,
    MANIFEST,
    QUEUE,
    ArchivedFile,
    ArchivedQueue,
    Manifest,
    check_file,
    machine,
)
from ishowtts.backup.tar_stream import CHUNK_BYTES, TarWriter
from ishowtts.config import Config
from ishowtts.errors import BackupError
from ishowtts.inbox import snapshot
from ishowtts.inbox.database_file import FileDamaged
from ishowtts.model import timestamp
from ishowtts.util.file_lock import lock_file
from ishowtts.util.files import open_regular
from ishowtts.util.user_rights import as_owner_of

ALWAYS = ("voices", "uploaded-voices", "chimes")
_TEMPORARY = Path("/var/tmp")  # noqa: S108  on a disk, unlike /tmp, which may be in memory
_PREFIX = "ishowtts-backup-"
_LEFT_AFTER_S = 60.0


@dataclass(frozen=True)
class BackupOrigin:
    """What a backup is made of.

    Args:
        config: The configuration, already read from `config_path`.
        config_path: Its file; `None` if there is none, and the defaults are in use.
        root_topic: Names the appliance in the manifest.
        serial: Serial number of the board, if it has one.
        trees: The folders to include.
    """

    config: Config
    config_path: Path | None
    root_topic: str
    serial: str | None
    trees: Sequence[str] = ALWAYS


@dataclass(frozen=True)
class BackupReport:
    """What is in a backup, and sentences about what is not."""

    manifest: Manifest
    left_out: Sequence[str]


def write_backup(origin: BackupOrigin, stream: BinaryIO) -> BackupReport:
    """Write a backup to a stream.

    The queue is copied first, then every file is read twice: for its checksum in the manifest, which comes first, and
    for the archive. A file that has changed between the two ends the backup.

    Raises:
        BackupError: Something cannot be read, or changes while it is read.
        InboxError: The queue cannot be copied.
        OSError: The stream cannot be written.
    """
    files, left_out = _sources(origin)
    with _copied_queue(origin.config.inbox_file) as (queue_copy, queue):
        if queue_copy is not None:
            files.append(queue_copy)
        archived = [_examined(each) for each in files]
        manifest = Manifest(
            format=FORMAT,
            made_by=__version__,
            made_at=timestamp(time.time()),
            device=origin.root_topic,
            machine=machine(origin.serial),
            queue=queue,
            trees=[kind for kind in origin.trees if kind in tree_folders(origin.config)],
            files=archived,
            beside=beside_config(origin.config, origin.config_path),
        )
        tar = TarWriter(stream, int(time.time()))
        content = manifest.encoded()
        tar.begin(MANIFEST, len(content))
        tar.write(content)
        tar.end(len(content))
        for source, file in zip(files, archived, strict=True):
            _write(tar, source, file)
        tar.close()
    return BackupReport(manifest, left_out)


def _sources(origin: BackupOrigin) -> tuple[list[SourceFile], list[str]]:
    files: list[SourceFile] = []
    left_out: list[str] = []
    if origin.config_path is not None:
        # First, because a restore finds the folders by it.
        files.append(SourceFile(CONFIG, origin.config_path, origin.config_path.parent))
    for name, (key, path) in named_files(origin.config).items():
        if path.is_file():
            files.append(SourceFile(name, path, path.parent))
        else:
            left_out.append(f"{path}: it does not exist ({key})")
    folders = tree_folders(origin.config)
    for kind in origin.trees:
        if kind not in folders:
            continue
        with _readable(folders[kind]):
            content = tree_content(kind, folders[kind])
        files += content.files
        left_out += content.left_out
    return files, left_out


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder for the copy of the queue, which only this user can open; in memory if no disk can be written.

    What killed backups have left is removed.
    """
    on_disk = not os.environ.get("TMPDIR") and os.access(_TEMPORARY, os.W_OK)
    for left in _TEMPORARY.glob(f"{_PREFIX}*") if on_disk else ():
        with suppress(OSError):
            _remove_left(left)
    try:
        made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_TEMPORARY if on_disk else None)
    except OSError as error:
        raise BackupError(
            f"no folder for temporary files can be made ({error.strerror}); name another place:"
            " sudo TMPDIR=FOLDER ishowtts backup FILE"
        ) from error
    with made as folder, _folder_lock(Path(folder)):
        yield Path(folder)


def _remove_left(folder: Path) -> None:
    """Remove a folder of this user that no backup uses. Raises OSError."""
    with _folder_lock(folder) as (locked, status):
        # A backup that has just begun has not locked its folder yet.
        if locked and status.st_uid == os.geteuid() and time.time() - status.st_mtime > _LEFT_AFTER_S:
            shutil.rmtree(folder)


@contextmanager
def _folder_lock(folder: Path) -> Iterator[tuple[bool, os.stat_result]]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield lock_file(descriptor), os.fstat(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _copied_queue(path: Path) -> Iterator[tuple[SourceFile | None, ArchivedQueue | None]]:
    """A copy of the queue in a private folder; nothing if no daemon has ever run here."""
    with as_owner_of(path.parent):
        exists = path.exists()
    if not exists:
        yield None, None
        return
    with _private_folder() as folder:
        copy = folder / "inbox.sqlite"
        copy.touch(0o600)
        origin = path
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            origin = _copied_files(path, folder)
        with as_owner_of(origin.parent):
            source = snapshot.open_source(origin)
        with closing(source):
            try:
                found = snapshot.copy_queue(source, copy)
            except FileDamaged as error:
                raise BackupError(
                    f"the queue {path} is damaged; restart the daemon, which salvages what can be read, and try again"
                ) from error
            with as_owner_of(origin.parent):
                source.close()  # SQLite removes its files beside the queue if nobody else uses it
        queue = ArchivedQueue(version=found.version, waiting=found.waiting, ended=found.ended)
        yield SourceFile(QUEUE, copy, folder), queue


def _copied_files(path: Path, folder: Path) -> Path:
    """Copy a queue and its log from a file system that nobody can write, as that of a failing card.

    SQLite cannot read the log there, since it would have to make an index of it.
    """
    copy = folder / "read-only.sqlite"
    for tail in ("", "-wal"):
        with ExitStack() as stack, suppress(FileNotFoundError):
            with as_owner_of(path.parent):
                file = open_regular(path.with_name(path.name + tail), follow_links=False)
                original = stack.enter_context(file)
            with (folder / f"{copy.name}{tail}").open("wb") as out:
                while chunk := _read(original, CHUNK_BYTES, path):
                    out.write(chunk)
    return copy


def _examined(source: SourceFile) -> ArchivedFile:
    digest, size = hashlib.sha256(), 0
    with _opened(source) as file:
        while chunk := _read(file, CHUNK_BYTES, source.path):
            digest.update(chunk)
            size += len(chunk)
    found = ArchivedFile(name=source.name, size=size, sha256=digest.hexdigest())
    check_file(found, [source.name.split("/")[0]])
    return found


def _write(tar: TarWriter, source: SourceFile, file: ArchivedFile) -> None:
    digest, left = hashlib.sha256(), file.size
    tar.begin(file.name, file.size)
    with _opened(source) as content:
        while left and (chunk := _read(content, min(left, CHUNK_BYTES), source.path)):
            digest.update(chunk)
            tar.write(chunk)
            left -= len(chunk)
        changed = left or _read(content, 1, source.path) or digest.hexdigest() != file.sha256
    if changed:
        raise BackupError(f"{source.path} was changed while the backup was made; make it again")
    tar.end(file.size)


def _read(file: BinaryIO, size: int, path: Path) -> bytes:
    """Read a part of a file. A failed read names no file, and would pass for a fault of the archive."""
    try:
        return file.read(size)
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def _opened(source: SourceFile) -> Iterator[BinaryIO]:
    with _readable(source.path), ExitStack() as stack:
        with as_owner_of(source.owner_of):
            file = stack.enter_context(open_regular(source.path))
        yield file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise
    except OSError as error:
        if error.filename is None:  # of the archive, not of the file
            raise
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BackupError:
    return BackupError(f"{path} cannot be read ({error.strerror}); fix it, or move it away")
