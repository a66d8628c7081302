"""scripts/bench-renders runs, and its last line is JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_bench_runs(tmp_path: Path) -> None:
    words = ["--lines", "2", "--begins", "1", "--clients", "2", "--each", "1", "--cost-s", "0.05", "--sound-s", "0.1"]
    done = subprocess.run(
        [ROOT / "scripts" / "bench-renders", *words, "--dir", str(tmp_path / "new")],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    for kind in ("without_renders", "with_renders"):
        assert figures[kind]["line_ms"]["p50"] > 0
    assert figures["begin_ms"]["pcm"]["max"] > 0
    assert figures["first_byte_ms"]["opus"]["max"] > 0
    assert list((tmp_path / "new").iterdir()) == []
