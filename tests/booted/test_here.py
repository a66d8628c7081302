"""Whether machines can boot where the tests run. All other files of this folder need it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.booted
def test_a_root_folder_is_there_to_boot(base: Path) -> None:
    assert (base / "etc/os-release").is_file()
