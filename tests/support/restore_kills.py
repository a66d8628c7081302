"""Kills a restore before each of its steps in the file system, and looks what is there.

`python -m support.restore_kills FOLDER`: FOLDER has an appliance with the stamp `old` in `template`, and a backup of
one with the stamp `new` as `new.tar.gz`. It prints lists with an object for each kill: what the appliance had after the
kill and after the next run, and whether that run only had to finish.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any, TypeAlias

from ishowtts.backup import replacement
from ishowtts.backup.manifest import JOURNAL
from ishowtts.cli import restore
from ishowtts.cli.main import main as run_command
from ishowtts.cli.main import parser
from ishowtts.errors import BackupError
from ishowtts.inbox import read_setting
from ishowtts.inbox.snapshot import examine_copy
from ishowtts.util.exchange import exchange
from support.backups import FilledAppliance

_STEPS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod")
_STRIDE = 12
Exchange: TypeAlias = Callable[[Path, Path], bool]
_STAMPED = {
    "voices": "state/voices/anna/reference.txt",
    "uploaded voices": "state/uploaded-voices/anna/reference.txt",
    "chimes": "state/chimes/ding.wav",
    "pronunciations": "pronunciations.yaml",
    "blocked words": "blocked.txt",
    "configuration": "config.yaml",
}


def main() -> int:
    """Restore with and without renameat2."""
    folder = Path(sys.argv[1])
    # A kill loses nothing that was written, and a busy disk takes seconds.
    os.fsync = _no_sync
    print(json.dumps({"exchange": _kills(folder, exchange), "two renames": _kills(folder, lambda _one, _other: False)}))
    return 0


def _kills(folder: Path, swap: Exchange) -> list[dict[str, Any]]:
    """Kill one step later each time, until the restore comes to its end; several steps later while it only unpacks."""
    board, config = folder / "board", ["--config", str(folder / "board" / "config.yaml")]
    command = parser(["restore"]).parse_args(["restore", str(folder / "new.tar.gz"), *config])
    finish = parser(["restore"]).parse_args(["restore", "--finish", *config])
    results: list[dict[str, Any]] = []
    step, stride = 0, _STRIDE
    while True:
        shutil.rmtree(board, ignore_errors=True)
        shutil.copytree(folder / "template", board)
        if not _killed_before(step, lambda: restore.run(command), swap):
            return results
        if stride > 1 and (board / JOURNAL).exists():
            step, stride = step - stride + 1, 1
            continue
        step += stride
        result: dict[str, Any] = {"after_kill": _stamps(board), "finished": True}
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            try:
                restore.run(finish)
            except BackupError:
                result["finished"] = False  # there was nothing to finish yet
                restore.run(command)
        result["after_next_run"] = _stamps(board)
        result["kept"] = sorted({path.name.split(".before")[0] for path in board.rglob("*.before-*")})
        result["left"] = [path.name for path in board.rglob("*restore-*") if ".before-" not in path.name]
        results.append(result)


def _no_sync(fd: Any) -> None:
    """Nothing."""


def _stamps(board: Path) -> dict[str, str | None]:
    """Which appliance each part is of; `None`: it is not there."""
    found: dict[str, str | None] = {}
    for what, name in _STAMPED.items():
        path = board / name
        found[what] = ("old" if "old" in path.read_text() else "new") if path.exists() else None
    queue = board / "state" / "inbox.sqlite"
    found["queue"] = read_setting(queue, "stamp") if queue.exists() else None
    if queue.exists():
        examine_copy(queue)
    return found


def _killed_before(step: int, action: Callable[[], object], swap: Exchange) -> bool:
    """Run an action in a child that is killed before its step with this number. Return whether it came so far."""
    if (child := os.fork()) == 0:
        _count_down(step, swap)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            os._exit(1 if action() else 0)
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the restore failed"
    return False


def _count_down(left: int, swap: Exchange) -> None:
    def step() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def audited(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in _STEPS:
            step()

    def counted(one: Path, other: Path) -> bool:
        step()
        return swap(one, other)

    sys.addaudithook(audited)
    replacement.exchange = counted


def prepare(folder: Path) -> None:
    """Make what `main` needs."""
    FilledAppliance(folder / "board", "new")
    assert run_command(["backup", str(folder / "new.tar.gz"), "--config", str(folder / "board" / "config.yaml")]) == 0
    shutil.rmtree(folder / "board")
    FilledAppliance(folder / "board", "old")
    with closing(FilledAppliance(folder / "board", "old").inbox()):
        shutil.copytree(folder / "board", folder / "template")  # with a log beside the queue, as after a crash


if __name__ == "__main__":
    sys.exit(main())
