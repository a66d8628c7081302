"""Measurements of the speed, and their summary. No test depends on the time itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ishowtts.engines.f5.architecture import BASE
from ishowtts.errors import ConfigError
from ishowtts_bench import machine, regression, speed
from ishowtts_bench.bench_env import BenchEnv, make_text
from ishowtts_bench.speed import ExtraSystems, SpeedResult, Timing

pytestmark = pytest.mark.f5

MACHINE = machine.Machine(1e11, 1e10, "float32", 2)


def timing(system: str, synth_s: float, length_s: float = 3.0) -> Timing:
    return Timing(system, length_s, synth_s, 2.0, synth_s / 2)


@pytest.mark.slow
def test_every_system_is_timed_at_every_length(env: BenchEnv) -> None:
    timings: list[Timing] = []
    result = speed.run(
        env, (1.0, 2.0), 1, nfe_step=5, extra=ExtraSystems(int8=True, default=True), report=timings.append
    )
    names = {"upstream, NFE 5", "ours, NFE 5", "ours, int8, NFE 5"}
    assert {(one.system, one.length_s) for one in result.timings} == {
        *((name, length_s) for name in names for length_s in (1.0, 2.0)), ("upstream, NFE 32", 1.0),
    }  # fmt: skip
    assert len(timings) == 2 * 2 * 3 + 1  # the first round of each text only warms up
    assert len(timings) == speed.timings_planned("cpu", 2, 1, ExtraSystems(int8=True, default=True))
    assert sum(not one.counted for one in timings) == 2 * 3
    for one in timings:
        assert one.audio_s == pytest.approx(one.length_s, rel=0.35)
    summary = speed.summary(result, "tiny")
    assert json.loads(json.dumps(summary)) == summary
    assert summary["ratio_compiled"] is None
    assert all(summary[name] > 0 for name in ("ratio_equal_nfe", "ratio_default", "ratio_int8", "rtf", "ttfa_s"))
    assert 0 < summary["fraction_of_floor"] < 1.2
    assert 0 < summary["share_of_products"] < 1.2
    assert summary["warm_s"] > 0
    assert summary["device"] is summary["peak_mb"] is summary["reserved_mb"] is None


def test_the_rate_of_the_machine_is_the_best_of_several_measurements() -> None:
    busy = machine.Machine(2e10, 2e10, "float32", 2)
    assert MACHINE.best_of(busy) == machine.Machine(1e11, 2e10, "float32", 2)
    assert busy.best_of(MACHINE) == MACHINE.best_of(busy)


def test_a_time_below_the_minimum_is_a_fault_of_the_measurement() -> None:
    result = SpeedResult(MACHINE, 7, fractions=[0.9, 0.95, 1.4])
    assert result.fault is None
    result.fractions += [1.2, 1.3]
    assert "the rate of the machine was measured too low" in (result.fault or "")


def test_the_ratio_is_the_median_of_the_ratios_of_all_rounds() -> None:
    result = SpeedResult(MACHINE, 7)
    for slow, fast in ((4.0, 2.0), (30.0, 10.0), (5.0, 1.0)):  # the machine was busy in the second round
        result.timings += [timing("upstream", slow), timing("ours", fast)]
    assert result.ratio("upstream", "ours") == 3.0
    assert result.ratio("nobody", "ours") is None


def test_the_arithmetic_of_the_base_model_matches_the_formula() -> None:
    """35.5 T + 0.79 T^2 GFLOP for one branch of one evaluation, T in seconds (measured separately)."""
    for length_s in (5.0, 13.0):
        frames = round(length_s * 93.75)
        expected = 2 * 7 * (35.5 * length_s + 0.79 * length_s**2) * 1e9
        assert machine.flop(BASE.arch, frames, 7) == pytest.approx(expected, rel=0.02)
    assert machine.loop_bytes(BASE.arch, torch.float16) == pytest.approx(379e6, rel=0.05)


def test_the_minimum_time_is_arithmetic_for_long_runs_and_memory_for_short_ones() -> None:
    slow_memory = machine.Machine(1e15, 1e9, "float16", 1)
    assert slow_memory.minimum_s(BASE.arch, 64, 7, 400_000_000) == pytest.approx(2.8)
    assert MACHINE.minimum_s(BASE.arch, 1219, 7, 400_000_000) == pytest.approx(machine.flop(BASE.arch, 1219, 7) / 1e11)


@pytest.mark.parametrize("length_s", [1.0, 3.0, 10.0, 30.0])
def test_a_text_has_about_the_wanted_length_and_ends_with_a_full_stop(length_s: float) -> None:
    text = make_text(length_s)
    assert text.endswith(".")
    assert len(text) == pytest.approx(11 * length_s, rel=0.3)


SUMMARY = {"model": "tiny", "precision": "float32", "nfe_step": 7, "threads": 2, "ratio_equal_nfe": 3.0,
           "fraction_of_floor": 0.5}  # fmt: skip


def test_a_loss_of_more_than_ten_percent_is_a_regression() -> None:
    changes = regression.compare(SUMMARY, SUMMARY | {"ratio_equal_nfe": 2.69})
    assert [(one.name, one.worse) for one in changes] == [("ratio_equal_nfe", True), ("fraction_of_floor", False)]
    assert not any(one.worse for one in regression.compare(SUMMARY, SUMMARY | {"ratio_equal_nfe": 2.71}))


def test_runs_with_different_options_are_not_compared() -> None:
    with pytest.raises(ConfigError, match="made with nfe_step 7, this run with 16"):
        regression.compare(SUMMARY, SUMMARY | {"nfe_step": 16})


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"ratio_equal_nfe": 1.0}'])
def test_a_file_that_is_not_a_baseline_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "baseline.json").write_text(content)
    with pytest.raises(ConfigError, match=r"baseline\.json"):
        regression.read(tmp_path / "baseline.json")
