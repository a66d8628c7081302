"""A short disk stops the speech cache and the recordings of a configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

from ishowtts.archive.archives import Archives
from ishowtts.config import Config
from support.waiting import eventually


def archives(folder: Path, min_free_mb: int) -> Archives:
    audio = {"cache_mb": 10, "record_dir": folder / "recordings", "record_mb": 10}
    config = {"audio": audio, "cache_dir": folder, "limits": {"min_free_mb": min_free_mb}}
    return Archives(Config.model_validate(config))


def test_with_enough_free_space_both_are_kept(tmp_path: Path) -> None:
    kept = archives(tmp_path, min_free_mb=0)
    kept.start()
    kept.close(10)
    assert kept.problems == (None, None)


def test_with_too_little_free_space_neither_is_kept_and_both_say_so(tmp_path: Path) -> None:
    free_mb = int(shutil.disk_usage(tmp_path).free / 1e6)
    short = archives(tmp_path, min_free_mb=2 * free_mb)
    short.start()
    try:
        eventually(lambda: all(short.problems), "both reasons")
        for problem in short.problems:
            assert problem is not None
            assert "limits.min_free_mb" in problem
    finally:
        short.close(10)
