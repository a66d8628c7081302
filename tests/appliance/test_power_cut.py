"""After a power cut at any moment the queue's file opens, and holds what was acknowledged and told."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from support.cut_disk import CutDisk
from support.endurance.power_cut import cut_power, may_be_removed
from support.syscalls import Call


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_power_cut_loses_no_line_and_changes_no_outcome(tmp_path: Path) -> None:
    figures = cut_power(tmp_path, 12, seed=1, lines=12, daemon_every=None, upgrade=False)
    assert figures.cuts == 12
    assert figures.at_sync > 0
    assert figures.acknowledged > 0
    assert figures.told > 0
    assert not figures.faults


def test_only_the_oldest_lines_may_be_missing_from_a_full_history() -> None:
    rows = [{"id": f"{n}", "text": f"number {n} is kept", "state": "finished"} for n in range(10, 50)]
    assert may_be_removed(9, rows)
    assert not may_be_removed(9, rows[1:])
    assert not may_be_removed(50, rows)


def test_only_what_was_synced_is_surely_there() -> None:
    before = [
        call("openat", 1, "", "O_RDWR|O_CREAT", result=7, paths=("/state/a",)),
        call("pwrite64", 2, "/state/a", '7</state/a>, "", 4, 0', data=b"kept"),
        call("fsync", 3, "/state/a", "7</state/a>"),
    ]
    late = call("pwrite64", 4, "/state/a", '7</state/a>, "", 4, 4', data=b"late")
    found = contents([*before, late])
    assert found == {b"kept", b"keptlate"}


def test_a_name_is_safe_after_the_sync_of_its_folder() -> None:
    made = [
        call("openat", 1, "", "O_RDWR|O_CREAT", result=7, paths=("/state/a",)),
        call("pwrite64", 2, "/state/a", '7</state/a>, "", 4, 0', data=b"kept"),
        call("fsync", 3, "/state/a", "7</state/a>"),
    ]
    assert contents(made, ext4=False) == {None, b"kept"}
    assert contents([*made, call("fsync", 4, "/state", "8</state>")], ext4=False) == {b"kept"}
    assert contents([*made, call("unlink", 5, "", '""', paths=("/state/a",))]) == {None, b"kept"}


def test_a_rename_is_done_whole_or_not_at_all() -> None:
    made = [
        call("openat", 1, "", "O_RDWR|O_CREAT", result=7, paths=("/state/new",)),
        call("write", 2, "/state/new", '7</state/new>, "", 4', data=b"late"),
        call("fsync", 3, "/state/new", "7</state/new>"),
        call("rename", 4, "", '"", ""', paths=("/state/new", "/state/a")),
    ]
    assert contents(made, before=b"kept") == {b"kept", b"late"}
    assert contents([*made, call("fsync", 5, "/state", "8</state>")], before=b"kept") == {b"late"}
    del made[2]  # the name may be there before the content
    assert contents(made, before=b"kept") == {b"kept", b"late", b""}


def test_a_write_is_torn_between_its_sectors() -> None:
    before = b"a" * 1024
    opened = call("openat", 1, "", "O_RDWR", result=7, paths=("/state/a",))
    late = call("pwrite64", 2, "/state/a", '7</state/a>, "", 1024, 0', data=b"b" * 1024)
    halves = b"a" * 512, b"b" * 512
    assert contents([opened, late], before=before) == {one + other for one in halves for other in halves}


def contents(found: list[Call], *, ext4: bool = True, before: bytes | None = None) -> set[bytes | None]:
    """What `/state/a` may hold after a cut, if it held this before."""
    disk = CutDisk(Path("/state"), {} if before is None else {"a": before}, ext4=ext4)
    for each in found:
        disk.follow(each)
    chance = random.Random(0)
    return {disk.cut(chance, []).get("a") for _ in range(100)}


def call(
    name: str, at: int, what: str, text: str, *, data: bytes = b"", result: int = 0, paths: tuple[str, ...] = ()
) -> Call:
    """A call that began and returned at once."""
    return Call(name, at, at, what if what.startswith("/") else "", data, result or len(data), f"{text}) = 0", paths)
