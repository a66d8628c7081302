"""`ishowtts restore`: puts back what a backup has. What is here now is moved aside, and can be found by its name."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ishowtts import DEFAULT_CONFIG
from ishowtts.backup import restoring
from ishowtts.backup.backup_reader import BackupReader
from ishowtts.backup.manifest import CONFIG, Manifest
from ishowtts.backup.restoring import RestoreChoices, RestoreResult
from ishowtts.backup.staging import RestoreTarget, StagedBackup, planned, staged
from ishowtts.board.detect import detect_board
from ishowtts.cli.backup_listing import content_lines
from ishowtts.cli.common import Commands, print_json
from ishowtts.cli.config_files import examine_secrets
from ishowtts.config import Config, load
from ishowtts.errors import BackupError, ConfigError
from ishowtts.util.files import open_regular
from ishowtts.util.logs import visible

_SERVICE = "ishowtts.service"
_SYSTEMCTL_S = 120.0  # systemd itself gives up before: the unit has 90 s to start, and 20 s to stop


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("restore", parents=[common])
    parser.add_argument("file", nargs="?", metavar="FILE", help="the archive; -: standard input")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="check the archive, show what is in it, change nothing")
    instead.add_argument("--finish", action="store_true", help="finish a restore that was interrupted, without FILE")
    parser.add_argument("--stop", action="store_true", help="stop the service for the restore, and start it again")
    parser.add_argument("--without-config", action="store_true", help="keep the configuration that is here")
    parser.add_argument(
        "--with-waiting",
        action="store_true",
        help="also speak the lines that waited when the backup was made; without this they expire",
    )
    parser.add_argument(
        "--same-appliance",
        action="store_true",
        help="this board replaces the one of the backup, which is gone: take its identity at the broker",
    )
    parser.add_argument(
        "--accept-paths", action="store_true", help="restore to folders that only the backup's configuration names"
    )
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 once everything is in place."""
    if (arguments.file is None) != arguments.finish:
        raise BackupError("name the archive, or give --finish without one")
    config_path: Path = arguments.config or Path(DEFAULT_CONFIG)
    target = RestoreTarget(
        config_path,
        _config_here(config_path, without_config=arguments.without_config),
        with_config=not arguments.without_config,
        accept_paths=arguments.accept_paths,
    )
    if arguments.dry_run:
        with _opened(arguments.file) as stream:
            _show_plan(planned(BackupReader(stream), target), as_json=arguments.json)
        return 0
    if (finished := _finish(config_path, stop=arguments.stop)) is None and arguments.finish:
        raise BackupError("there is no interrupted restore here; name an archive")
    if arguments.finish:
        return 0
    with _opened(arguments.file) as stream:
        reader = BackupReader(stream)
        if finished == reader.manifest.digest():
            return 0
        _restore(reader, target, arguments)
    return 0


def _restore(reader: BackupReader, target: RestoreTarget, arguments: argparse.Namespace) -> None:
    with staged(reader, target) as plan:
        board = plan.config.board
        choices = RestoreChoices(
            keep_waiting=arguments.with_waiting,
            take_identity=arguments.same_appliance,
            serial=detect_board(board.source, board.sysfs_root).identity().serial,
        )
        with _service_stopped(plan.config.inbox_file, stop=arguments.stop):
            with _resumable():
                result = restoring.put_in_place(plan, target.config_path, choices)
            # Before the start of the service, which can take a minute or fail.
            _report(plan, result, choices, target.config_path.parent, as_json=arguments.json)


def _report(plan: StagedBackup, result: RestoreResult, choices: RestoreChoices, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "restored": {name: str(place) for name, place in plan.places.items()},
                "aside": list(result.aside),
                "waiting": result.queue and result.queue.waiting,
                "new_identity": result.new_identity,
                "notes": [*plan.notes, *_missing_secrets(plan, folder)],
            }
        )
        return
    for line in _report_lines(plan, result, choices, folder):
        print(visible(line), flush=True)


def _report_lines(plan: StagedBackup, result: RestoreResult, choices: RestoreChoices, folder: Path) -> Iterator[str]:
    yield f"restored the backup of {plan.manifest.device} of {plan.manifest.made_at}:"
    yield from content_lines(plan.manifest)
    waiting = plan.manifest.queue and plan.manifest.queue.waiting
    if waiting and not choices.keep_waiting:
        yield "lines that waited then have expired, since they may have been spoken; --with-waiting keeps them"
    if result.new_identity:
        yield (
            "this board is not the one of the backup, and becomes an appliance of its own at the broker;"
            " --same-appliance takes the place of the other one"
        )
    yield from (f"the former one is kept: {path}" for path in result.aside)
    yield from plan.notes
    yield from _missing_secrets(plan, folder)
    if CONFIG in plan.places:
        yield "if the gateway runs here: sudo systemctl try-restart ishowtts-gateway"


def _missing_secrets(plan: StagedBackup, folder: Path) -> Iterator[str]:
    """Secrets are in no backup: name those that the other machine had, or the configuration wants, and are not here."""
    if missing := [name for name in plan.manifest.beside if not (folder / name).exists()]:
        yield f"not in the backup, and not in {folder}: {', '.join(missing)}; copy them, then run install.sh again"
    for finding in examine_secrets(plan.config):
        if finding.verdict == "fault":
            yield f"{finding.part}: {finding.detail}; {finding.fix}"


def _show_plan(plan: StagedBackup, *, as_json: bool) -> None:
    manifest: Manifest = plan.manifest
    if as_json:
        print_json({**manifest.model_dump(), "places": {name: str(place) for name, place in plan.places.items()}})
        return
    print(visible(f"a backup of {manifest.device}, made at {manifest.made_at} by ishowtts {manifest.made_by}; whole"))
    print("\n".join(content_lines(manifest)))
    for place in plan.places.values():
        what = "would be replaced, and the former one kept" if os.path.lexists(place) else "would be made"
        print(visible(f"{place} {what}"))
    for note in plan.notes:
        print(visible(note))


def _config_here(path: Path, *, without_config: bool) -> Config:
    """The configuration of this machine. One with faults may be what the restore is to put right."""
    if not path.exists():
        return Config()
    try:
        return load(path)
    except ConfigError:
        if without_config:
            raise
        print(
            visible(f"{path} has faults and is taken as if it were empty; `ishowtts check` shows them"), file=sys.stderr
        )
        return Config()


def _finish(config_path: Path, *, stop: bool) -> str | None:
    """Finish an interrupted restore. Return the digest of its archive."""
    found = restoring.unfinished_queue(config_path)
    if found is None:
        return None
    with _service_stopped(found, stop=stop), _resumable():
        finished = restoring.finish_interrupted(config_path)
    if finished is None:
        return None
    archive, result = finished
    print("finished the restore that was interrupted")
    for path in result.aside:
        print(visible(f"the former one is kept: {path}"))
    return archive


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    path = Path(name)
    try:
        opened = open_regular(path)
        stream = opened.__enter__()
    except PermissionError:
        raise
    except OSError as error:
        raise BackupError(f"{path} cannot be read ({error.strerror}); fix its path") from error
    try:
        yield stream
    finally:
        opened.__exit__(None, None, None)


@contextmanager
def _resumable() -> Iterator[None]:
    """Say how to go on if something could not be replaced."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        raise BackupError(
            f"the restore was interrupted ({what}); fix that, then finish it: sudo ishowtts restore --finish"
        ) from error


@contextmanager
def _service_stopped(inbox_file: Path, *, stop: bool) -> Iterator[None]:
    """Stop the service for the block, if that is wanted and it uses this queue."""
    if not stop or not restoring.in_use(inbox_file):
        yield
        return
    with _held_back():
        try:
            _systemctl("stop")
            yield
        finally:
            _systemctl("start")


@contextmanager
def _held_back() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP come after the block: a service that was stopped must start again."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, lambda which, _frame: came.append(which)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _systemctl(verb: str) -> None:
    try:
        # A session of its own, because Ctrl-C would end it too.
        done = subprocess.run(
            ["systemctl", verb, _SERVICE],
            capture_output=True, text=True, timeout=_SYSTEMCTL_S, check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupError(f"systemctl {verb} {_SERVICE} does not work here ({error}); do it by hand") from error
    if done.returncode != 0:
        raise BackupError(f"systemctl {verb} {_SERVICE} failed ({done.stderr.strip()}); do it by hand")
