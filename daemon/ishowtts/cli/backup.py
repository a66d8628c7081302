"""`ishowtts backup`: writes queue, voices, chimes and configuration into one archive, while the daemon runs."""

from __future__ import annotations

import argparse
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ishowtts import DEFAULT_CONFIG
from ishowtts.backup.backup_writer import ALWAYS, BackupOrigin, BackupReport, write_backup
from ishowtts.backup.manifest import CONFIG, Manifest
from ishowtts.board.detect import detect_board
from ishowtts.cli.backup_listing import content_lines
from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.config import Config
from ishowtts.errors import BackupError
from ishowtts.limits import as_name
from ishowtts.util.file_lock import lock_file
from ishowtts.util.files import sync_folder
from ishowtts.util.logs import visible

_OPTIONAL = ("recordings", "weights")


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("backup", parents=[common])
    parser.add_argument(
        "file",
        metavar="FILE",
        help="the archive to write; a folder: a file in it, named after the appliance and the time; -: standard output",
    )
    parser.add_argument("--with-recordings", action="store_true", help="also the recordings (audio.record_dir)")
    parser.add_argument("--with-weights", action="store_true", help="also the weights that `ishowtts fetch` got")
    parser.add_argument("--json", action="store_true", help="print what is in it as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 once the whole archive is on disk, or was written to standard output."""
    config_path = arguments.config or Path(DEFAULT_CONFIG)
    settings = read_config(arguments)
    chosen = [kind for kind in _OPTIONAL if getattr(arguments, f"with_{kind}")]
    if "recordings" in chosen and settings.audio.record_dir is None:
        raise BackupError("there are no recordings: audio.record_dir is null; leave out --with-recordings")
    serial = detect_board(settings.board.source, settings.board.sysfs_root).identity().serial
    origin = BackupOrigin(
        settings, config_path if config_path.exists() else None, settings.root_topic(serial), serial, [*ALWAYS, *chosen]
    )
    if arguments.file == "-":
        _to_standard_output(origin, as_json=arguments.json)
        return 0
    target = _target(Path(arguments.file), origin.root_topic)
    with _complete_file(target) as stream:
        report = write_backup(origin, stream)
    if arguments.json:
        print_json({"file": str(target), "size": target.stat().st_size, **_described(report)})
    else:
        size = target.stat().st_size
        shown = f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
        print(visible(f"{target}: {shown}, readable only for you"))
        print("\n".join(_report_lines(report, settings)))
    return 0


def _to_standard_output(origin: BackupOrigin, *, as_json: bool) -> None:
    """Write the archive to standard output, and what is in it to standard error."""
    if sys.stdout.isatty():
        raise BackupError("an archive is not for a terminal; redirect it: sudo ishowtts backup - > FILE")
    if as_json:
        raise BackupError("standard output is the archive; leave out --json")
    report = write_backup(origin, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    print("\n".join(_report_lines(report, origin.config)), file=sys.stderr)


def _target(given: Path, root_topic: str) -> Path:
    try:
        mode = given.stat().st_mode
    except FileNotFoundError:
        return given
    if stat.S_ISDIR(mode):
        device = as_name(root_topic.rpartition("/")[2]) or "appliance"
        return given / f"ishowtts-{device}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar.gz"
    if not stat.S_ISREG(mode):
        raise BackupError(f"{given} is not a regular file; name another one, or - for a pipe")
    return given


@contextmanager
def _complete_file(target: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `target` at the end of the block, complete and on disk, or not at all."""
    part = target.with_name(f".{target.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            # An earlier run that was killed may have left it. The lock shows whether one still writes it.
            if not lock_file(descriptor) or not _is_ours(part, descriptor):
                raise BackupError(f"another backup writes {target} now; wait for it, or name another file")
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
            try:
                yield stream
                stream.flush()
                os.fsync(descriptor)
                part.replace(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        sync_folder(target.parent)
    except OSError as error:
        if isinstance(error, PermissionError) and error.filename not in (None, str(part), str(target)):
            raise  # of a file that belongs into the backup
        fix = "make room there, or use another disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "fix its path"
        raise BackupError(f"{target} cannot be written ({error.strerror}); {fix}") from error


def _is_ours(part: Path, descriptor: int) -> bool:
    """Whether the locked file still has this name, has no other one, and belongs to this user."""
    try:
        named, opened = part.lstat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    same = (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
    return same and opened.st_nlink == 1 and opened.st_uid == os.geteuid() and stat.S_ISREG(opened.st_mode)


def _described(report: BackupReport) -> dict[str, object]:
    return {**report.manifest.model_dump(), "left_out": list(report.left_out)}


def _report_lines(report: BackupReport, settings: Config) -> Iterator[str]:
    yield from content_lines(report.manifest)
    yield from (visible(f"left out: {sentence}") for sentence in report.left_out)
    yield f"not in it: {'; '.join(_absent(report.manifest, settings))}"


def _absent(manifest: Manifest, settings: Config) -> Iterator[str]:
    yield "passwords, tokens, keys and certificates"
    if manifest.beside:
        yield visible(f"other files of {Path(DEFAULT_CONFIG).parent} ({', '.join(manifest.beside)})")
    if "weights" not in manifest.trees:
        yield "weights (--with-weights; `ishowtts fetch` gets them again)"
    if "recordings" not in manifest.trees and settings.audio.record_dir is not None:
        yield "recordings (--with-recordings)"
    yield "the cache of speech"
    if manifest.file(CONFIG) is None:
        yield "a configuration, since there is none"
