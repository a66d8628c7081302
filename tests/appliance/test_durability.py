"""No line is lost or doubled while daemon and broker are killed. `scripts/endure` runs the same for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import pulse
from support.endurance import fault_plan
from support.endurance.all_faults import all_faults
from support.endurance.kills import Plan, endure


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        Plan(daemon_kills=5, every_s=1.5),
        Plan(daemon_kills=5, broker_kills=3, every_s=1.5, protocol="3.1.1"),
    ],
    ids=["daemon", "both-3.1.1"],
)
def test_each_text_has_one_row_and_one_outcome_over_every_kill(plan: Plan, tmp_path: Path) -> None:
    figures = endure(tmp_path, plan)
    assert figures.faults == {}, figures
    assert figures.kills_of_daemon == plan.daemon_kills
    assert figures.kills_at_work >= plan.daemon_kills // 2, "most kills hit a daemon at work"
    assert figures.kills_of_broker == plan.broker_kills
    assert figures.published == plan.lines
    assert figures.heard_again <= plan.daemon_kills


@pytest.mark.slow
def test_no_line_is_lost_or_doubled_while_everything_around_the_daemon_fails(tmp_path: Path) -> None:
    if reason := pulse.missing():
        pytest.skip(reason)
    counts = {"daemon": 1, "broker": 2, "gateway": 1, "device": 1, "full disk": 1, "hibari kill": 1}
    plan = fault_plan.Plan(lines=24, counts=counts, seed=11, clock_jumps=False, most_silent_s=20)
    figures = all_faults(tmp_path, plan)
    assert figures.faults == {}, figures
    assert figures.injected | dict.fromkeys(figures.skipped, 1) == counts
    assert figures.lines == plan.lines
    assert figures.engines.get("hibari"), "the natural voice leads until its worker is killed"
