"""A shortage of disk space is reported; an unknown amount of free space is not."""

from __future__ import annotations

import shutil
from pathlib import Path

from ishowtts.util.disk_space import DiskSpace


def free_mb(folder: Path) -> int:
    return int(shutil.disk_usage(folder).free / 1e6)


def test_a_shortage_names_the_folder_and_the_key(tmp_path: Path) -> None:
    # Twice the free space, and not a huge number: a limit in other units must not pass.
    shortage = DiskSpace(tmp_path, 2 * free_mb(tmp_path)).shortage()
    assert shortage is not None
    assert str(tmp_path) in shortage
    assert "limits.min_free_mb" in shortage


def test_enough_free_space_is_not_a_shortage(tmp_path: Path) -> None:
    assert DiskSpace(tmp_path, free_mb(tmp_path) // 2).shortage() is None
    assert DiskSpace(tmp_path, 0).shortage() is None


def test_a_folder_that_does_not_exist_yet_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    assert DiskSpace(tmp_path / "not" / "there", 2 * free_mb(tmp_path)).shortage() is not None
