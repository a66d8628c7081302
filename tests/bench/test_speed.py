"""Measurements of the speed, and their summary. No test depends on the time itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ishowtts.cli import main
from ishowtts.engines.f5 import fast_model
from ishowtts.engines.f5.architecture import BASE
from ishowtts.errors import ConfigError
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench import batch_bench, machine, regression, speed, speed_result, systems
from ishowtts_bench.bench_env import BenchEnv, make_text
from ishowtts_bench.commands import speed_command
from ishowtts_bench.speed import ExtraSystems
from ishowtts_bench.speed_result import SpeedResult, Timing
from ishowtts_bench.timers import ModelRun, TimeSpent

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
        *((name, length_s) for name in names for length_s in (1.0, 2.0)),
        ("upstream, NFE 32", 1.0), ("ours, new length each round, NFE 5", 1.0),
    }  # fmt: skip
    # The first round of each text only warms up; 2 timings of evaluations; 2 new lengths, each a second time.
    assert len(timings) == 2 * 2 * 3 + 2 + 2 * 2 + 1
    assert len(timings) == speed.timings_planned("cpu", 2, 1, ExtraSystems(int8=True, default=True))
    assert [one for one in timings if one.counted] == result.timings
    assert len(result.timings) == 2 * 3 + 1 + 1
    for one in timings:
        assert one.audio_s == pytest.approx(one.length_s, rel=0.35)
    summary = speed_result.summary(result, "tiny")
    assert json.loads(json.dumps(summary)) == summary
    assert summary["ratio_compiled"] is None
    assert all(summary[name] > 0 for name in ("ratio_equal_nfe", "ratio_default", "ratio_int8", "rtf", "ttfa_s"))
    assert 0 < summary["fraction_of_floor"] < 1.2
    assert 0 < summary["share_of_products"] < 1.2
    assert summary["warm_s"] > 0
    assert abs(summary["new_length_ms"]) < 1000
    assert summary["kernel_choice"]["attention"]
    for name in ("device", "peak_mb", "reserved_mb", "outside_mb", "used_before_mb", "used_mb"):
        assert summary[name] is None


@pytest.mark.parametrize("failing", ["torch.compile, NFE 4", "upstream, NFE 4"])
def test_only_a_failure_of_torch_compile_leaves_the_other_figures(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    make_upstream = systems.upstream
    calls: list[str] = []

    def system(name: str) -> systems.System:
        made = make_upstream(env, 4)

        def synthesize(text: str) -> FloatSamples:
            calls.append(name)
            if name == failing and calls.count(name) == 3:
                raise AssertionError("CUDA graphs belong to another thread\nmore of it")
            return made.synthesize(text)

        return replace(made, name=name, synthesize=synthesize)

    monkeypatch.setattr(systems, "upstream", lambda *_: system("upstream, NFE 4"))
    monkeypatch.setattr(systems, "compiled", lambda *_: system("torch.compile, NFE 4"))
    monkeypatch.setattr(machine, "measure", lambda *_: MACHINE)

    def run() -> SpeedResult:
        return speed.run(env, (0.5,), 3, nfe_step=4, extra=ExtraSystems(compiled=True), report=lambda _: None)

    if failing.startswith("upstream"):
        with pytest.raises(AssertionError, match="another thread"):
            run()
        return
    summary = speed_result.summary(run(), "tiny")
    assert summary["compiled_fault"] == "CUDA graphs belong to another thread"
    assert summary["ratio_compiled"] > 0  # of the round before
    assert calls.count("torch.compile, NFE 4") == 3
    assert calls.count("upstream, NFE 4") == 4


class SpokenOnce:
    """Our engine on a clock of its own. A length takes 5 s the first time, then 2 s, or 3 s with timers inside."""

    name = "ours, NFE 7"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.speeds: list[float] = []
        self.in_timers = False
        monkeypatch.setattr(speed.time, "perf_counter", lambda: self.now_s)
        monkeypatch.setattr(speed, "timed", self._timed)

    def first_segment(self, text: str) -> str:
        return text

    def synthesize(self, text: str) -> np.ndarray[Any, Any]:
        return self.at_speed(text, 1.0)

    def at_speed(self, _: str, speech_speed: float) -> np.ndarray[Any, Any]:
        self.now_s += 3.0 if self.in_timers else 2.0 if speech_speed in self.speeds else 5.0
        self.speeds.append(speech_speed)
        return np.zeros(round(48_000 / speech_speed), np.float32)

    @contextmanager
    def _timed(self, *_: object) -> Iterator[dict[str, TimeSpent]]:
        self.in_timers = True
        yield {"evaluations": TimeSpent(2.5, 1)}
        self.in_timers = False


def test_a_new_length_is_compared_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, result = SpokenOnce(monkeypatch), SpeedResult(MACHINE, 7)
    warm = Timing(ours.name, 3.0, 2.0, 2.0, None, counted=False)
    reported: list[Timing] = []
    for number, known in enumerate((warm, replace(warm, counted=True), replace(warm, counted=True)), 1):
        speed._new_length(ours, result, known, number, reported.append)  # type: ignore[arg-type]
    assert result.new_length_s == [3.0, 3.0]  # of the rounds that count
    assert speed_result.summary(result, "tiny")["new_length_ms"] == 3000.0
    lengths = [one.audio_s * 93.75 for one in reported]
    assert lengths == pytest.approx([length for k in (1, 2, 3) for length in 2 * [187.5 + 7 * k]], abs=0.01)
    assert [one.synth_s for one in result.timings] == [5.0, 5.0]
    assert {one.system for one in result.timings} == {"ours, new length each round, NFE 7"}


def test_the_timers_of_the_evaluations_are_not_in_a_counted_timing(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, result = SpokenOnce(monkeypatch), SpeedResult(MACHINE, 7)
    ours.speeds.append(1.0)
    counted = speed._time_once(ours, 3.0, counted=True)  # type: ignore[arg-type]
    assert (counted.synth_s, counted.counted, result.evaluations) == (2.0, True, [])
    monkeypatch.setattr(speed, "record_runs", lambda: nullcontext([ModelRun((100, 90), 128)]))
    timing = speed._evaluations(env, ours, 3.0, result)  # type: ignore[arg-type]
    assert (timing.synth_s, timing.counted) == (3.0, False)
    assert result.evaluations == [([100, 90], 2.5)]


def test_counted_runs_of_ours_have_no_timers(env: BenchEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU they would wait for it before and after the evaluations, which upstream does not."""
    with_timers: list[bool] = []
    plain = fast_model.integrate

    make_ours = systems.ours

    def ours(*arguments: Any) -> speed.OurSystem:
        made = make_ours(*arguments)

        def synthesize(text: str) -> FloatSamples:
            with_timers.append(fast_model.integrate is not plain)
            return made.synthesize(text)

        return replace(made, synthesize=synthesize)

    monkeypatch.setattr(systems, "ours", ours)
    monkeypatch.setattr(machine, "measure", lambda *_: MACHINE)
    timings: list[Timing] = []
    speed.run(env, (0.5,), 2, nfe_step=4, extra=ExtraSystems(), report=timings.append)
    of_ours = [one.counted for one in timings if one.system == "ours, NFE 4"]
    assert of_ours == [False, True, False, True, False]  # the first warms up, the others have timers
    assert with_timers == [False, False, True, False, True]


def test_the_machine_is_measured_before_our_engine_and_after_each_round(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other programs ran for all but the last of these measurements."""
    rates = iter([1e9, 2e9, 3e9, 4e9, 5e9, MACHINE.flop_per_s])
    before: list[str] = []

    def measure(*_: object) -> machine.Machine:
        before.append("measured")
        return replace(MACHINE, flop_per_s=next(rates))

    make_ours = systems.ours

    def ours(*arguments: Any) -> speed.OurSystem:
        before.append("ours")
        return make_ours(*arguments)

    monkeypatch.setattr(machine, "measure", measure)
    monkeypatch.setattr(systems, "ours", ours)
    result = speed.run(env, (0.5,), 2, nfe_step=4, extra=ExtraSystems(), report=lambda _: None)
    assert before == [*3 * ["measured"], "ours", *3 * ["measured"]]
    assert result.machine == MACHINE


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


def test_other_options_than_those_of_the_baseline_are_refused_before_a_measurement(
    env: BenchEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(*_: object) -> None:
        raise AssertionError("it measures")

    monkeypatch.setattr(speed_command, "_measure", measure)
    known = {"model": str(env.folder), "precision": "float32", "nfe_step": 7, "threads": torch.get_num_threads()}
    options = ["--model", str(env.folder), "--device", "cpu", "--precision", "fp32"]
    baseline = tmp_path / "baseline.json"
    for name, value in {"model": "other", "precision": "bfloat16", "nfe_step": 16, "threads": 99}.items():
        baseline.write_text(json.dumps(SUMMARY | known | {name: value}))
        assert main(["bench", "regress", str(baseline), *options]) != 0
        assert f"the baseline was made with {name} {value!r}" in capsys.readouterr().err
    baseline.write_text(json.dumps(SUMMARY | known))
    with pytest.raises(AssertionError, match="it measures"):
        main(["bench", "regress", str(baseline), *options])


def test_a_share_above_one_is_a_fault_of_the_measurement() -> None:
    def batch(share: float | None) -> batch_bench.Batch:
        return batch_bench.Batch(1, 1.0, 2.0, 1.0, share, None, None, None, None)

    assert batch_bench.fault([batch(None), batch(0.99)]) is None
    assert "measured too low" in (batch_bench.fault([batch(0.5), batch(1.01)]) or "")


def test_a_baseline_with_a_fault_of_the_measurement_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(SUMMARY | {"measure_fault": None}))
    assert regression.read(path)["ratio_equal_nfe"] == 3.0
    path.write_text(json.dumps(SUMMARY | {"measure_fault": "other programs ran"}))
    with pytest.raises(ConfigError, match="is not a baseline, because its measurement is faulty: other programs ran"):
        regression.read(path)


@pytest.mark.parametrize("content", [
        None, "not json", "[]", "[" * 100_000, '{"ratio_equal_nfe": 1.0}',
        *(json.dumps(SUMMARY | {"ratio_equal_nfe": value}) for value in (float("nan"), float("inf"), 10**400, 0, True)),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_baseline_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "baseline.json").write_text(content)
    with pytest.raises(ConfigError, match=r"baseline\.json"):
        regression.read(tmp_path / "baseline.json")
