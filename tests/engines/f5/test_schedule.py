"""The times and the guidance of the evaluations."""

from __future__ import annotations

import pytest
import torch

from ishowtts.engines.f5 import schedule
from ishowtts.engines.f5.schedule import Guidance

pytestmark = pytest.mark.f5


@pytest.mark.parametrize("nfe_step", [4, 5, 6, 7, 8, 10, 12, 16, 32, 64])
def test_times_equal_upstreams(nfe_step: int) -> None:
    from f5_tts.model.utils import get_epss_timesteps

    from ishowtts.engines.f5 import upstream  # noqa: F401 - makes f5_tts importable

    t = get_epss_timesteps(nfe_step, device="cpu", dtype=torch.float32)
    upstreams = t + -1.0 * (torch.cos(torch.pi / 2 * t) - 1 + t)
    assert torch.equal(schedule.times(nfe_step), upstreams)
    assert schedule.times(nfe_step)[[0, -1]].tolist() == pytest.approx([0, 1], abs=1e-6)


def test_the_last_three_of_seven_steps_are_nine_tenths_of_the_way() -> None:
    steps = schedule.times(7).diff()
    assert steps.tolist() == pytest.approx([0.005, 0.014, 0.024, 0.033, 0.217, 0.324, 0.383], abs=1e-3)


def test_guidance_is_left_out_only_in_the_first_steps() -> None:
    full, none, reuse = Guidance.FULL, Guidance.NONE, Guidance.REUSE
    assert schedule.guidance(7, None) == [full] * 7
    assert schedule.guidance(7, "plain") == [none] * 4 + [full] * 3
    assert schedule.guidance(7, "reuse") == [full] + [reuse] * 3 + [full] * 3


@pytest.mark.parametrize("nfe_step", range(4, 65))
@pytest.mark.parametrize("skip", ["plain", "reuse"])
def test_nine_tenths_of_the_way_are_guided_whatever_is_skipped(nfe_step: int, skip: str) -> None:
    plan = schedule.guidance(nfe_step, skip)
    guided = [float(dt) for dt, how in zip(schedule.times(nfe_step).diff(), plan, strict=True) if how is Guidance.FULL]
    assert sum(guided) > 0.9
    assert plan[-1] is Guidance.FULL
