"""The profile includes replayed graphs, which no longer call the functions of the model, and the GPU's idle time."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ishowtts.engines.f5 import duration, fast_model
from ishowtts.engines.f5.kernels import KernelChoice
from ishowtts.f5_switches import Switches
from ishowtts_bench import machine, profiling
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.timers import ModelRun
from support.fake_cuda_graph import TapeRecorder

pytestmark = pytest.mark.f5

PROFILE = profiling.SegmentProfile(
    [profiling.TimeShare("vocoder", 0.01, 1.0, 1)],
    [profiling.TimeShare("gemm", 0.03, 0.75, 7)],
    profiling.Gpu("Orin", 8, 16_000.0, 1173.0),
    ModelRun((700,), 704),
    7,
    machine.Machine(1e13, 1e11, "float16", 4),
    profiling.GpuBusy(0.04, 0.05),
    KernelChoice(attention="flash"),
)


@pytest.mark.slow
def test_replayed_evaluations_are_counted(env: BenchEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    monkeypatch.setattr(duration, "BUCKETS", (192, 256, 320))
    monkeypatch.setattr(profiling, "Switches", lambda: Switches(graphs=True, exact_padding=True))
    found = profiling.run(env, 0.5, 4)
    # With text encoder and vocoder: to record the run, by stage, three times without a profiler, and once with it.
    assert tape.replayed == 6 * (4 + 2)
    stages = {stage.name: stage for stage in found.stages}
    assert stages["evaluations"].calls == 4
    assert max(found.stages, key=lambda stage: stage.share).name == "evaluations"
    assert found.run.padded in duration.BUCKETS
    assert found.run.frames[0] < found.run.padded
    assert found.gpu is found.busy is None
    assert found.choice is not None
    assert found.choice.attention == "fused"


def test_a_profile_says_which_gpu_it_is_from_and_how_long_that_was_idle() -> None:
    found = profiling.as_dict(PROFILE)
    assert json.loads(json.dumps(found)) == found
    assert (found["device"], found["sms"], found["memory_mb"], found["clock_mhz"]) == ("Orin", 8, 16_000.0, 1173.0)
    assert (found["gpu_busy_ms"], found["whole_ms"], found["gpu_idle_share"]) == (40.0, 50.0, 0.2)
    assert found["kernel_choice"]["attention"] == "flash"
    without = profiling.as_dict(replace(PROFILE, gpu=None, busy=None, choice=None))
    assert without["device"] == "cpu"
    assert {without[name] for name in ("sms", "memory_mb", "clock_mhz", "gpu_idle_share", "kernel_choice")} == {None}


def test_a_gpu_that_works_in_two_streams_at_once_is_never_idle_by_less_than_nothing() -> None:
    assert profiling.GpuBusy(0.06, 0.05).idle_share == 0.0


@pytest.mark.parametrize("clock_khz", [None, 1_173_000])
def test_the_gpu_is_described_by_its_driver(monkeypatch: pytest.MonkeyPatch, clock_khz: int | None) -> None:
    properties = SimpleNamespace(name="Orin", multi_processor_count=8, total_memory=16_000_000_000)
    if clock_khz is not None:  # not every torch reports it
        properties.clock_rate = clock_khz
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    clock_mhz = None if clock_khz is None else 1173.0
    assert profiling.Gpu.of_this_machine() == profiling.Gpu("Orin", 8, 16_000.0, clock_mhz)


def test_all_kernels_count_for_the_busy_time_but_neither_their_launches_nor_named_ranges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def event(name: str, device: str, spent_us: float, *, named_range: bool = False) -> SimpleNamespace:
        return SimpleNamespace(
            key=name, device_type=SimpleNamespace(name=device), self_device_time_total=spent_us, count=1,
            is_user_annotation=named_range,
        )  # fmt: skip

    class Profiler:
        def __init__(self, **_: Any) -> None:
            pass

        def __enter__(self) -> Profiler:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def key_averages(self) -> list[SimpleNamespace]:
            kernels = [event(f"kernel {i}", "CUDA", 100.0) for i in range(50)]
            return [
                *kernels, event("cudaGraphLaunch", "CPU", 7000.0), event("a range", "CUDA", 5000.0, named_range=True),
            ]  # fmt: skip

    monkeypatch.setattr(profiling, "profile", Profiler)
    listed, busy_s = profiling._kernels(lambda: None, "cuda")
    assert len(listed) == 40
    assert busy_s == pytest.approx(50 * 100e-6)
