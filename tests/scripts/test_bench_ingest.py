"""scripts/bench-ingest runs, and its last line is JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_latencies_are_measured(tmp_path: Path) -> None:
    words = ["--only", "latency", "--slow-lines", "5", "--dir", str(tmp_path)]
    done = subprocess.run(
        [ROOT / "scripts" / "bench-ingest", *words],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    for broker in ("broker_saves", "broker_in_memory"):
        assert figures["at_20_per_s"][broker]["first_sample_ms"]["p50"] > 0
    assert list(tmp_path.iterdir()) == []
