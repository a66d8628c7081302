"""The short form of the run `resources` of `scripts/endure`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.endurance.resources import Plan, spend_day

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sound")]


def test_files_threads_and_processes_do_not_grow_with_the_lines(tmp_path: Path) -> None:
    """Memory is checked by the long form: after so few lines the caches still grow."""
    found = spend_day(tmp_path, Plan(90, every=30, natural=False, sound_s=0.02))
    print(found.table())
    assert not found.faults
    for name in ("threads", "descriptors", "children"):
        grown = found.growth[f"daemon {name}"]
        assert grown.last <= grown.first, name
