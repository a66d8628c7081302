"""Puts new files and folders in the place of those in use. A kill at any moment can be made good later.

Each replacement is one step of the file system where that has such a step (renameat2). A journal says what is to be
replaced, until all of it is. So after a kill the next run can finish it, and until then every file and folder is either
the former one or the new one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ishowtts.backup.manifest import JOURNAL
from ishowtts.errors import BackupError
from ishowtts.inbox import snapshot
from ishowtts.util.exchange import exchange
from ishowtts.util.files import read_bounded, refuse_foreign, sync_folder, sync_tree
from ishowtts.util.user_rights import as_owner_of

_MOST_JOURNAL_BYTES = 1 << 20
_BESIDE_QUEUE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Replacement:
    """One file or folder that takes the place of another one.

    Args:
        live: Its place.
        new: Where it is prepared, in the same folder.
        aside: Where the former one goes.
        inode: Number of the new one in its file system, by which it is known later.
        is_queue: Whether it is the file of the queue, which may have a log beside it.
    """

    live: str
    new: str
    aside: str
    inode: int
    is_queue: bool = False


def replace_all(journal: Path, archive: str, queue: str, replacements: Sequence[Replacement]) -> list[str]:
    """Replace everything. The caller holds the lock of the queue, and the new files are on disk.

    Args:
        journal: Its path.
        archive: Digest of the manifest, for whoever finishes this after a kill.
        queue: The queue that is locked meanwhile.

    Returns:
        Where the former files and folders are now.

    Raises:
        OSError: Something could not be replaced; the journal stays.
    """
    _write_journal(journal, archive, queue, replacements)
    return finish(journal, replacements)


def unfinished(journal: Path) -> tuple[str, str, list[Replacement]] | None:
    """The archive, the queue and the replacements of a restore that was interrupted; `None` if there is none.

    Raises:
        BackupError: The journal cannot be read.
    """
    if not os.path.lexists(journal):
        return None
    try:
        refuse_foreign(journal.parent)
    except OSError as error:
        raise BackupError(f"{journal} is not trusted: {error.strerror}; run this as that user") from error
    try:
        content = json.loads(read_bounded(journal, _MOST_JOURNAL_BYTES, follow_links=False))
        return str(content["archive"]), str(content["queue"]), [Replacement(**each) for each in content["replacements"]]
    except OSError as error:
        raise BackupError(f"{journal} cannot be read ({error.strerror}); move it away") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupError(f"{journal} is damaged; move it away, and restore the backup again") from error


def finish(journal: Path, replacements: Sequence[Replacement]) -> list[str]:
    """Do what a journal says and is not done yet, then remove the journal. As `replace_all`."""
    aside = [moved for each in replacements if (moved := _replace(each)) is not None]
    journal.unlink()
    sync_folder(journal.parent)
    return aside


def _replace(item: Replacement) -> str | None:
    """Replace one file or folder, unless that is done. Returns where the former one is, if there was one."""
    live, new, aside = Path(item.live), Path(item.new), Path(item.aside)
    with as_owner_of(live.parent):
        if _inode(live) != item.inode:
            if not os.path.lexists(new):
                raise BackupError(f"{new} has gone; restore the backup again, after moving away {JOURNAL}")
            if item.is_queue and not snapshot.empty_log(live):
                _set_queue_aside(live, _unused(aside))
            if not os.path.lexists(live):
                new.rename(live)
            elif not exchange(new, live):
                _move(live, _unused(aside))
                new.rename(live)
        if os.path.lexists(new):  # the former one, after an exchange
            _keep(new, _unused(aside))
        sync_folder(live.parent)
        return item.aside if os.path.lexists(aside) else None


def _move(live: Path, aside: Path) -> None:
    """Rename a file or folder, or copy a folder that an overlay (overlayfs) cannot rename."""
    try:
        live.rename(aside)
    except OSError as error:
        if error.errno != errno.EXDEV or not live.is_dir():
            raise
        # After a kill in between, the next run makes a second copy, of what is left.
        shutil.copytree(live, aside, symlinks=True)
        sync_tree(aside)
        shutil.rmtree(live)


def _keep(former: Path, aside: Path) -> None:
    """Rename the former file or folder. An empty folder is nothing to keep."""
    with suppress(OSError):  # it is a file, a link, or not empty
        former.rmdir()
        return
    former.rename(aside)


def _set_queue_aside(live: Path, aside: Path) -> None:
    """Rename a queue that is damaged, or newer than this program, with the log beside it."""
    for tail in ("", *_BESIDE_QUEUE):
        path = live.with_name(live.name + tail)
        if os.path.lexists(path):
            path.rename(f"{aside}{tail}")


def _unused(path: Path) -> Path:
    """A name that nothing has. An interrupted run may have moved something to `path`, and a daemon made it again."""
    found, number = path, 1
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _write_journal(journal: Path, archive: str, queue: str, replacements: Sequence[Replacement]) -> None:
    part = journal.with_name(f".{journal.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        content = {"archive": archive, "queue": queue, "replacements": [asdict(each) for each in replacements]}
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(descriptor)
    part.rename(journal)
    sync_folder(journal.parent)
