"""A restore that is killed before any of its steps leaves each part old or new, and the next run completes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support import restore_kills
from support.service_process import DAEMON, TESTS


def kill_everywhere(folder: Path) -> dict[str, list[dict[str, Any]]]:
    restore_kills.prepare(folder)
    done = subprocess.run(
        [sys.executable, "-m", "support.restore_kills", str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(DAEMON), str(TESTS)])},
        stdout=subprocess.PIPE,
        check=True,
        timeout=170,
    )
    results: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return results


def test_a_kill_before_each_step() -> None:
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        found = kill_everywhere(Path(folder))
    for way, results in found.items():
        assert len(results) > 20
        for result in results:
            after = set(result["after_kill"].values())
            assert after <= ({"old", "new"} if way == "exchange" else {"old", "new", None}), result
            assert set(result["after_next_run"].values()) == {"new"}, result
            assert result["left"] == [], result
            kept = {"voices", "uploaded-voices", "chimes", "config.yaml", "blocked.txt", "inbox.sqlite"}
            assert kept <= set(result["kept"]), result
        unchanged = [result for result in results if set(result["after_kill"].values()) == {"old"}]
        assert len(unchanged) > 2
        assert sum(result["finished"] for result in results) > 15
        assert all(result["finished"] or result in unchanged for result in results)
