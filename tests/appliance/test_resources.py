"""The short form of the run `resources` of `scripts/endure`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.endurance.day_of_use import Plan
from support.endurance.resource_usage import growth
from support.endurance.resources import DayOfUse, spend_day

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sound")]


def test_files_threads_and_processes_do_not_grow_with_the_lines(tmp_path: Path) -> None:
    """Memory is checked by the long form: after so few lines the caches still grow."""
    found = spend_day(tmp_path, Plan(90, every=30, natural=False, sound_s=0.02))
    print(found.table())
    assert not found.faults
    for name in ("threads", "descriptors", "children"):
        grown = found.growth[f"daemon {name}"]
        assert grown.last <= grown.first, name


@pytest.mark.parametrize(("lost_per_1000", "faults"), [(0.0, set()), (0.45, set()), (1.0, {"daemon anonymous_mb"})])
def test_growth_is_a_fault_if_its_lower_bound_is_above_the_limit(lost_per_1000: float, faults: set[str]) -> None:
    lines = [*range(2100, 10_001, 100)]
    noise_mb = np.random.default_rng(7).normal(0, 0.5, len(lines))
    held_mb = [88 + lost_per_1000 * at / 1000 + float(more) for at, more in zip(lines, noise_mb, strict=True)]
    found = growth(lines, held_mb)
    assert found.low is not None
    assert found.high is not None
    assert found.low < lost_per_1000 < found.high
    assert DayOfUse(growth={"daemon anonymous_mb": found}).faults.keys() == faults
