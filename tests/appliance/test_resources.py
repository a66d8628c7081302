"""The short form of the sound run of `scripts/endure`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.endurance.resources import drift

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sound")]


def test_files_threads_and_processes_do_not_grow_with_the_lines(tmp_path: Path) -> None:
    """Memory is checked by the long form: after so few lines the caches still grow."""
    found = drift(tmp_path, 90, sound_s=0.02, every=30)
    print(found.table())
    assert not found.unfinished
    assert found.held[-1].threads <= found.held[0].threads
    assert found.held[-1].descriptors <= found.held[0].descriptors
