"""Unpacks a backup beside what it will replace, and checks everything before anything is replaced."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ishowtts.backup.backup_reader import BackupReader
from ishowtts.backup.contents import named_files, tree_folders
from ishowtts.backup.manifest import CONFIG, JOURNAL, QUEUE, TREES, ArchivedFile, Manifest
from ishowtts.config import Config, load
from ishowtts.config.schema import SERVICE_DIR
from ishowtts.errors import BackupError, ConfigError
from ishowtts.inbox import migrations, snapshot
from ishowtts.inbox.database_file import FileDamaged
from ishowtts.util.files import refuse_foreign, sync_tree
from ishowtts.util.user_rights import as_owner_of

_NEW = ".restore-new"
_SPARE_BYTES = 16 << 20
_FILE_MODE, _PRIVATE_MODE = 0o644, 0o600


@dataclass(frozen=True)
class RestoreTarget:
    """Where a backup goes.

    Args:
        config_path: File of the configuration, which need not exist.
        here: The configuration that is in use here.
        with_config: Whether the configuration of the backup takes its place.
        accept_paths: Whether the configuration of the backup may name folders anywhere.
    """

    config_path: Path
    here: Config
    with_config: bool = True
    accept_paths: bool = False


@dataclass
class StagedBackup:
    """A backup that is unpacked beside what it will replace.

    Attributes:
        config: The configuration that is in force afterwards.
        places: What will be replaced, by its name in the backup.
        notes: Sentences about what is not restored.
        in_use: Whether the replacement has begun. From then on a prepared file may be the former one.
    """

    manifest: Manifest
    config: Config
    places: dict[str, Path]
    notes: list[str] = field(default_factory=list)
    in_use: bool = False

    def new(self, name: str) -> Path:
        """Where a file or folder of the backup is prepared."""
        return _new(self.places[name])


@contextmanager
def staged(reader: BackupReader, target: RestoreTarget) -> Iterator[StagedBackup]:
    """Unpack a backup, and remove at the end of the block what is still unused of it.

    Raises:
        BackupError: The backup is not valid, or cannot be restored here. Nothing has been changed.
        ConfigError: As BackupError, because of the configuration of the backup.
    """
    files = reader.files()
    plan, first = _plan(reader, files, target)
    _check_places(plan, target)
    _check_space(plan)
    try:
        for place in plan.places.values():
            _remove(_new(place))
        for kind in plan.manifest.trees:
            if kind in plan.places:
                _make_folder(plan.new(kind), TREES[kind].folder_mode)
        if first is not None and CONFIG in plan.places:
            _unpack(plan, first[0], iter([first[1]]))
        for file, content in files:
            _unpack(plan, file, content)
        _check_queue(plan)
        for kind in plan.manifest.trees:
            if kind in plan.places:
                with as_owner_of(plan.places[kind].parent):
                    sync_tree(plan.new(kind))
        yield plan
    finally:
        if not plan.in_use:
            for place in plan.places.values():
                _remove(_new(place))


def planned(reader: BackupReader, target: RestoreTarget) -> StagedBackup:
    """Check a backup completely, and say where it would go. Changes nothing. Raises as `staged`."""
    files = reader.files()
    plan, _ = _plan(reader, files, target)
    for _, content in files:
        for _ in content:
            pass
    return plan


def _plan(
    reader: BackupReader, files: Iterator[tuple[ArchivedFile, Iterator[bytes]]], target: RestoreTarget
) -> tuple[StagedBackup, tuple[ArchivedFile, bytes] | None]:
    """Find the places by the configuration, which is the first file; give that file too."""
    manifest = reader.manifest
    _refuse_newer(manifest)
    first, config, places = None, target.here, {}
    if manifest.files and manifest.files[0].name == CONFIG:
        file, content = next(files)
        first = file, b"".join(content)
        if target.with_config:
            config = _parsed(first[1])
            places[CONFIG] = target.config_path.absolute()
            places |= {name: path for name, (_, path) in named_files(config).items() if manifest.file(name)}
    plan = StagedBackup(manifest, config, {})
    folders = tree_folders(config)
    for kind in manifest.trees:
        if kind in folders:
            # A link that root has made is the operator's choice: its folder is replaced, and the link stays.
            places[kind] = folders[kind].resolve() if folders[kind].is_symlink() else folders[kind]
        else:
            plan.notes.append(f"{TREES[kind].what} are not restored: audio.record_dir is null")
    if manifest.queue is not None:
        places[QUEUE] = config.inbox_file.absolute()  # last: until then the former queue has its voices
    plan.places = places
    return plan, first


def _parsed(content: bytes) -> Config:
    with tempfile.TemporaryDirectory(prefix="ishowtts-restore-") as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(content)
        try:
            return load(path)
        except ConfigError as error:
            faults = "\n".join(each.replace(str(path), "config.yaml of the backup") for each in error.problems)
            raise BackupError(
                f"{faults}\nthis version does not accept the configuration of the backup; --without-config restores"
                " the rest and keeps the configuration that is here"
            ) from error


def _refuse_newer(manifest: Manifest) -> None:
    if manifest.queue is not None and migrations.is_newer(manifest.queue.version):
        raise BackupError(
            f"the queue of the backup has version {manifest.queue.version}, and this ishowtts reads versions up to"
            f" {migrations.VERSION}: install ishowtts {manifest.made_by} or a newer one, then restore the backup"
        )


def _check_places(plan: StagedBackup, target: RestoreTarget) -> None:
    """Refuse places that cannot be replaced, or where another user could lead root elsewhere."""
    try:
        # The journal is there, and a later run of root does what it says.
        refuse_foreign(target.config_path.parent)
    except OSError as error:
        raise BackupError(f"{target.config_path}: {error.strerror}; run this as that user") from error
    if not target.accept_paths:
        _refuse_unusual(plan, target)
    places = list(plan.places.values())
    mounts = _mount_points()
    for i, place in enumerate(places):
        if any(place == other or place.is_relative_to(other) for other in places[:i] + places[i + 1 :]):
            raise BackupError(f"the configuration of the backup uses {place} twice; fix it, or use --without-config")
        if JOURNAL in place.name or place.name.endswith(_NEW):
            raise BackupError(f"the configuration of the backup has {place}, a name that the restore itself uses")
        if not place.parent.is_dir():
            raise BackupError(
                f"{place.parent} does not exist; install iShowTTS first (sudo ./install.sh), or make that folder for"
                " the user of the daemon"
            )
        owner = place.parent.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise BackupError(f"{place.parent} belongs to another user; run this with sudo")
        if owner == 0:
            try:
                refuse_foreign(place.parent)
            except OSError as error:
                raise BackupError(f"{place} cannot be replaced: {error.strerror}; give that folder to root") from error
        if str(place) in mounts:
            raise BackupError(f"{place} is a mount point and cannot be replaced; unmount it for the restore")
        if place.is_symlink():
            raise BackupError(f"{place} is a link; put the file itself there, or fix the configuration")


def _mount_points() -> set[str]:
    """The mount points of this process. Not `os.path.ismount`, which is wrong about files of an overlay (overlayfs)."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    escaped = {r"\040": " ", r"\011": "\t", r"\012": "\n", r"\134": "\\"}
    return {re.sub(r"\\\d{3}", lambda found: escaped.get(found[0], found[0]), line.split(" ")[4]) for line in lines}


def _refuse_unusual(plan: StagedBackup, target: RestoreTarget) -> None:
    """Refuse, for root, folders that neither this machine nor an installation uses: a backup may come from anywhere."""
    if os.geteuid() != 0 or plan.config is target.here:
        return
    usual = {path.absolute() for path in (*tree_folders(target.here).values(), target.here.inbox_file)}
    usual |= {path for _, path in named_files(target.here).values()}
    usual |= {path.resolve() for path in usual}
    ours = (SERVICE_DIR, target.config_path.absolute().parent)
    for place in plan.places.values():
        # `is_relative_to` does not see that `..` leads out of a folder.
        if place not in usual and (".." in place.parts or not any(place.is_relative_to(each) for each in ours)):
            raise BackupError(
                f"the configuration of the backup names {place}, which is neither in {' nor in '.join(map(str, ours))}"
                " nor in the configuration of this machine; --accept-paths restores it there"
            )


def _check_space(plan: StagedBackup) -> None:
    wanted: dict[int, tuple[Path, int]] = {}
    for file in plan.manifest.files:
        if (place := plan.places.get(_part(file.name))) is not None:
            device = place.parent.stat().st_dev
            wanted[device] = place.parent, wanted.get(device, (place, 0))[1] + file.size
    for folder, size in wanted.values():
        free = shutil.disk_usage(folder).free
        if free < size + _SPARE_BYTES:
            raise BackupError(
                f"{folder} needs {(size + _SPARE_BYTES) / 1e6:.0f} MB for the restore, and {free / 1e6:.0f} MB are"
                " free; make room"
            )


def _check_queue(plan: StagedBackup) -> None:
    if QUEUE in plan.places:
        place = plan.places[QUEUE]
        try:
            with as_owner_of(place.parent):
                found = snapshot.examine_copy(plan.new(QUEUE))
        except FileDamaged as error:
            raise BackupError(
                "the queue of the backup was damaged when the backup was made; use an older one"
            ) from error
        _refuse_newer(plan.manifest.model_copy(update={"queue": found}))


def _part(name: str) -> str:
    """The name by which `places` has a file: its own, or that of its folder."""
    kind = name.split("/", maxsplit=1)[0]
    return kind if kind in TREES else name


def _new(place: Path) -> Path:
    return place.with_name(place.name + _NEW)


def _unpack(plan: StagedBackup, file: ArchivedFile, content: Iterator[bytes]) -> None:
    part = _part(file.name)
    if part not in plan.places:
        for _ in content:
            pass
        return
    place = plan.places[part]
    path = plan.new(part).joinpath(*file.name.split("/")[1:]) if part in TREES else plan.new(part)
    mode = TREES[part].file_mode if part in TREES else _PRIVATE_MODE if part == QUEUE else _FILE_MODE
    with as_owner_of(place.parent):
        if part in TREES:
            _make_parents(plan.new(part), path.parent, TREES[part].folder_mode)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as out:
            for chunk in content:
                out.write(chunk)
            os.fchmod(descriptor, mode)
            if part not in (*TREES, QUEUE):
                _keep_rights(place, descriptor)
            if part not in TREES:
                out.flush()
                os.fsync(descriptor)
    except OSError as error:
        raise BackupError(f"{path} cannot be written ({error.strerror}); make room there") from error


def _keep_rights(place: Path, descriptor: int) -> None:
    """Give a file of the operator the owner and the mode of the one that it replaces."""
    try:
        former = place.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(former.st_mode):
        os.fchmod(descriptor, stat.S_IMODE(former.st_mode) & 0o777)
        if os.geteuid() == 0:
            os.fchown(descriptor, former.st_uid, former.st_gid)


def _make_folder(folder: Path, mode: int) -> None:
    with as_owner_of(folder.parent):
        folder.mkdir()
        folder.chmod(mode)


def _make_parents(top: Path, folder: Path, mode: int) -> None:
    missing: Sequence[Path] = [each for each in (folder, *folder.parents) if each != top and top in each.parents]
    for each in reversed(missing):
        if not each.exists():
            each.mkdir()
            each.chmod(mode)


def _remove(path: Path) -> None:
    """Remove what an interrupted run, or this one, has prepared."""
    if not path.parent.is_dir():
        return
    with as_owner_of(path.parent):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
