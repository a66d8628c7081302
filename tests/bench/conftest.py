"""A bench environment with the tiny checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts_bench.bench_env import BenchEnv


@pytest.fixture
def env(tiny_checkpoint: Path) -> BenchEnv:
    """fp32 on the CPU, with the default voice."""
    return BenchEnv(tiny_checkpoint, "cpu", "fp32")
