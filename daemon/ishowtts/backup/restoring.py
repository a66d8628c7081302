"""Puts an unpacked backup in the place of what is here, or finishes that after a kill."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ishowtts.backup.manifest import JOURNAL, QUEUE, machine
from ishowtts.backup.replacement import Replacement, finish, replace_all, unfinished
from ishowtts.backup.staging import StagedBackup
from ishowtts.errors import BackupError
from ishowtts.inbox import read_setting, snapshot
from ishowtts.inbox.database_file import FileInUse, lock
from ishowtts.inbox.snapshot import QueueContent
from ishowtts.limits import KEPT_BY_RESTORE
from ishowtts.mqtt.stored_identity import IDENTITY_KEYS, SECRET_KEY
from ishowtts.util.user_rights import as_owner_of


@dataclass(frozen=True)
class RestoreChoices:
    """What the operator decides about a restore.

    Args:
        keep_waiting: Lines that waited when the backup was made still wait.
        take_identity: This machine becomes the appliance of the backup at the broker, whatever board it is.
        serial: Serial number of the board, if it has one.
    """

    keep_waiting: bool = False
    take_identity: bool = False
    serial: str | None = None


@dataclass(frozen=True)
class RestoreResult:
    """What a restore has done.

    Args:
        aside: Where the former files and folders are.
        queue: What is in the queue now; `None` if it was not replaced.
        new_identity: Whether the broker will take this machine for an appliance that it does not know.
    """

    aside: Sequence[str]
    queue: QueueContent | None
    new_identity: bool


def journal_of(config_path: Path) -> Path:
    """The journal of a restore of this configuration."""
    return config_path.absolute().with_name(JOURNAL)


def put_in_place(plan: StagedBackup, config_path: Path, choices: RestoreChoices) -> RestoreResult:
    """Replace what is here by an unpacked backup.

    Raises:
        BackupError: A daemon uses the queue.
        OSError: Something could not be replaced. The journal stays, and `finish_interrupted` goes on from there.
    """
    queue, new_identity = None, False
    with _locked_queue(plan.config.inbox_file.absolute()):
        if QUEUE in plan.places:
            queue, new_identity = _prepare_queue(plan, choices)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        replacements = [_replacement(name, plan, stamp) for name in plan.places]
        plan.in_use = True
        journal = journal_of(config_path)
        aside = replace_all(journal, plan.manifest.digest(), str(plan.config.inbox_file.absolute()), replacements)
    return RestoreResult(aside, queue, new_identity)


def finish_interrupted(config_path: Path) -> tuple[str, RestoreResult] | None:
    """Finish a restore that was interrupted. Return the digest of its archive; `None` if there is none.

    Raises:
        BackupError, OSError: As `put_in_place`.
    """
    journal = journal_of(config_path)
    found = unfinished(journal)
    if found is None:
        return None
    archive, queue, replacements = found
    with _locked_queue(Path(queue)):
        return archive, RestoreResult(finish(journal, replacements), None, new_identity=False)


def unfinished_queue(config_path: Path) -> Path | None:
    """The queue that must not be in use while a restore that was interrupted is finished; `None` if there is none."""
    found = unfinished(journal_of(config_path))
    return None if found is None else Path(found[1])


def in_use(inbox_file: Path) -> bool:
    """Whether a daemon uses this queue."""
    try:
        with _locked_queue(inbox_file.absolute()):
            return False
    except BackupError:
        return True


def _replacement(name: str, plan: StagedBackup, stamp: str) -> Replacement:
    live, new = plan.places[name], plan.new(name)
    aside = live.with_name(f"{live.name}{KEPT_BY_RESTORE}{stamp}")
    return Replacement(str(live), str(new), str(aside), new.lstat().st_ino, is_queue=name == QUEUE)


def _prepare_queue(plan: StagedBackup, choices: RestoreChoices) -> tuple[QueueContent, bool]:
    place, new = plan.places[QUEUE], plan.new(QUEUE)
    with as_owner_of(place.parent):
        here = {key: found for key in IDENTITY_KEYS if (found := read_setting(place, key)) is not None}
        forget, settings = _identity(here, plan.manifest.machine, choices)
        content = snapshot.prepare_copy(new, keep_waiting=choices.keep_waiting, forget=forget, settings=settings)
    return content, bool(forget) and not settings


def _identity(
    here: Mapping[str, str], backed_up: str | None, choices: RestoreChoices
) -> tuple[Sequence[str], Mapping[str, str]]:
    """The settings of the backup to forget, and those of the queue here to keep.

    The identity belongs to the machine. Two boards that share one would take each other's session at the broker.
    """
    if choices.take_identity:
        return (), {}
    if SECRET_KEY in here:
        return IDENTITY_KEYS, here
    same = backed_up is not None and backed_up == machine(choices.serial)
    return (() if same else IDENTITY_KEYS), {}


@contextmanager
def _locked_queue(path: Path) -> Iterator[None]:
    """Keep daemons from the queue during the block."""
    if not path.parent.is_dir():
        yield
        return
    try:
        with as_owner_of(path.parent):
            descriptor = lock(path)
    except FileInUse as error:
        raise BackupError(
            f"the daemon runs and uses {path}; stop it (sudo systemctl stop ishowtts), or add --stop"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
