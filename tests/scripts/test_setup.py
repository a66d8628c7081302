"""scripts/setup: what it says if an interpreter is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _setup(folder: Path, kind: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Runs it in a checkout of its own that has no program except those."""
    for name in ("setup", "common.sh"):
        (folder / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    for name, text in {"dirname": 'exec /usr/bin/dirname "$@"', "grep": 'exec /bin/grep "$@"', **programs}.items():
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
    return subprocess.run(
        ["/bin/bash", folder / "scripts/setup", kind],
        env={"PATH": str(folder / "bin")}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_home_assistant_without_its_python_ends_with_a_sentence(tmp_path: Path) -> None:
    result = _setup(tmp_path, "home-assistant", **{"python3.13": "exit 1", "python3": "exit 0"})
    assert result.returncode == 1
    assert "no Python 3.13 was found, which Home Assistant 2025.1 needs; install one" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_kind_is_refused_with_the_kinds(tmp_path: Path) -> None:
    result = _setup(tmp_path, "nonsense")
    assert result.returncode == 2
    assert result.stderr.endswith("choose demo, test, core or home-assistant\n")
