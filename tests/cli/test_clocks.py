"""`ishowtts clocks` on a board on paper, with a stand-in for jetson_clocks on PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.sysfs_tree import Tree

TESTS = Path(__file__).parents[1]


def clocks(folder: Path, sysfs: Path, action: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as the unit does."""
    settings = folder / "cli.yaml"
    settings.write_text(json.dumps({"board": {"sysfs_root": str(sysfs)}}))
    command = [sys.executable, "-m", "ishowtts", "clocks", action]
    path = f"{TESTS / 'support'}:{os.environ['PATH']}"
    return subprocess.run(
        [*command, "--config", str(settings), "--store", str(folder / "store")],
        env={**os.environ, "PATH": path, "STANDIN_SYS": str(sysfs), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    with Tree(tmp_path / "orin", TESTS / "board" / "trees" / "agx-orin-jetpack6.json") as tree:
        return tree.root / "sys"


def test_the_clocks_are_locked_and_restored(tmp_path: Path, sysfs: Path) -> None:
    assert "not locked" in clocks(tmp_path, sysfs, "show").stdout
    applied = clocks(tmp_path, sysfs, "apply")
    assert (applied.returncode, "1300.5 MHz, locked" in applied.stdout) == (0, True), applied
    assert clocks(tmp_path, sysfs, "restore").returncode == 0
    assert "not locked" in clocks(tmp_path, sysfs, "show").stdout


def test_a_program_that_only_says_that_it_did_is_found_out(tmp_path: Path, sysfs: Path) -> None:
    done = clocks(tmp_path, sysfs, "apply", STANDIN_FAULT="nothing")
    assert done.returncode == 1
    assert "is not locked" in done.stderr
    assert "Traceback" not in done.stderr


def test_off_a_jetson_the_fix_is_named(tmp_path: Path, sysfs: Path) -> None:
    done = clocks(tmp_path, sysfs, "apply", PATH="/nowhere")
    assert done.returncode == 1
    assert "this is not a Jetson" in done.stderr
