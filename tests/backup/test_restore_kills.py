"""A restore that is killed before any of its steps leaves each part old or new, and the next run completes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from support import restore_kills
from support.service_process import DAEMON, TESTS


def kill_everywhere(folder: Path, *options: str) -> list[dict[str, Any]]:
    restore_kills.prepare(folder)
    done = subprocess.run(
        [sys.executable, "-m", "support.restore_kills", str(folder), *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(DAEMON), str(TESTS)])},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


@pytest.mark.parametrize("options", [(), ("--without-exchange",)], ids=["exchange", "two renames"])
def test_a_kill_before_each_step(options: tuple[str, ...]) -> None:
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        results = kill_everywhere(Path(folder), *options)
    assert len(results) > 25
    for result in results:
        after = result["after_kill"]
        if not options:
            assert set(after.values()) <= {"old", "new"}, after
        assert set(result["after_next_run"].values()) == {"new"}, result
        assert result["left"] == [], result
        assert {"voices", "uploaded-voices", "chimes", "config.yaml", "blocked.txt"} <= set(result["kept"]), result
        assert "inbox.sqlite" in result["kept"], result
    unchanged = [result for result in results if set(result["after_kill"].values()) == {"old"}]
    finished = [result for result in results if result["finished"]]
    assert len(unchanged) > 5
    assert len(finished) > 10
    assert all(result["finished"] or result in unchanged for result in results)
