"""A setting over the tiny checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.bench.setting import Setting


@pytest.fixture
def setting(tiny_checkpoint: Path) -> Setting:
    """fp32 on the CPU, the default voice."""
    return Setting(tiny_checkpoint, "cpu", "fp32")
