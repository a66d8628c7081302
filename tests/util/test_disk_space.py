"""Too little room on the disk is a trouble; what nobody knows is none."""

from __future__ import annotations

import shutil
from pathlib import Path

from ishowtts.util.disk_space import DiskSpace

GIGABYTES_MB = 10**9


def test_too_little_room_is_told_with_the_place_and_the_key(tmp_path: Path) -> None:
    shortage = DiskSpace(tmp_path, GIGABYTES_MB).shortage()
    assert shortage is not None
    assert str(tmp_path) in shortage
    assert "limits.min_free_mb" in shortage


def test_enough_room_is_none(tmp_path: Path) -> None:
    free_mb = int(shutil.disk_usage(tmp_path).free / 1e6)
    assert DiskSpace(tmp_path, free_mb // 2).shortage() is None
    assert DiskSpace(tmp_path, 0).shortage() is None


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    assert DiskSpace(tmp_path / "not" / "there", GIGABYTES_MB).shortage() is not None
