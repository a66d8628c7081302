"""Measures the time of one segment by stage and by kernel."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from ishowtts.engines.f5 import dit, fast_model, text_encoder
from ishowtts.engines.f5.cuda_graphs import GraphRunner
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.tokens import Tokenizer
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts_bench import machine
from ishowtts_bench.bench_env import BenchEnv, finish_idle_work, make_text
from ishowtts_bench.timers import ModelRun, Owner, record_runs, synchronized_s, timed

_STAGES: dict[str, tuple[Owner, ...]] = {
    "tokens": ((Tokenizer, "__call__"),),
    "text encoder": ((text_encoder, "encode"),),
    "condition": ((dit, "condition"),),
    # A replayed graph does not call the functions of the model, so its runner is measured as well.
    "evaluations": ((GraphRunner, "advance"), (fast_model, "step")),
    "vocoder": ((FastVocoder, "decode"),),
}
_KERNELS = {"cpu": 12, "cuda": 40}


@dataclass(frozen=True)
class TimeShare:
    """Time of one stage or kernel in a segment."""

    name: str
    spent_s: float
    share: float
    calls: int


@dataclass(frozen=True)
class SegmentProfile:
    """Stages and kernels of one segment, the longest first.

    Attributes:
        device: Name of the GPU, or `cpu`.
        run: Input of the model.
        machine: Best rates of the device.
    """

    stages: list[TimeShare]
    kernels: list[TimeShare]
    device: str
    run: ModelRun
    nfe_step: int
    machine: machine.Machine


def run(env: BenchEnv, length_s: float, nfe_step: int) -> SegmentProfile:
    """Profile a segment after a warm-up, when its CUDA graphs are captured."""
    dtype = choose_dtype(env.precision, torch.device(env.device))
    engine = env.engine(Switches(), nfe_step=nfe_step)
    segment = Segment("bench", 0, 1, make_text(length_s), seed=0)

    def render() -> None:
        engine.render(segment, lambda: False)

    render()
    finish_idle_work(engine)
    with record_runs() as runs:
        render()
    stages, kernels = _stages(render, env.device), _kernels(render, env.device)
    engine.close()
    device = torch.cuda.get_device_name() if env.device == "cuda" else "cpu"
    return SegmentProfile(stages, kernels, device, runs[0], nfe_step, machine.measure(env.device, dtype))


def as_dict(profile: SegmentProfile) -> dict[str, object]:
    """The profile as JSON, for `ishowtts bench predict --kernels`."""
    best = profile.machine
    return {
        "device": profile.device,
        "precision": best.dtype,
        "nfe_step": profile.nfe_step,
        "frames": profile.run.padded,
        "flop_per_s": best.flop_per_s,
        "bytes_per_s": best.bytes_per_s,
        "stages": [asdict(stage) for stage in profile.stages],
        "kernels": [asdict(kernel) for kernel in profile.kernels],
    }


def _stages(render: Callable[[], None], device: str) -> list[TimeShare]:
    with timed(_STAGES, device) as spent:
        started = synchronized_s(device)
        render()
        whole_s = synchronized_s(device) - started
    shares = [TimeShare(name, part.seconds, part.seconds / whole_s, part.calls) for name, part in spent.items()]
    rest_s = whole_s - sum(part.seconds for part in spent.values())
    return [*shares, TimeShare("the rest", rest_s, rest_s / whole_s, 1)]


def _kernels(render: Callable[[], None], device: str) -> list[TimeShare]:
    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler warns about itself
        with profile(activities=activities) as profiler:
            render()
    found = profiler.key_averages()
    key = "self_cpu_time_total"
    if device == "cuda":
        # Keep the kernels and drop the calls of the runtime that launched them.
        found = [event for event in found if event.device_type.name != "CPU"]
        key = "self_device_time_total"
    events = sorted(found, key=lambda event: getattr(event, key), reverse=True)
    whole = sum(getattr(event, key) for event in events) or 1
    return [
        TimeShare(event.key, getattr(event, key) / 1e6, getattr(event, key) / whole, event.count)
        for event in events[: _KERNELS[device]]
    ]
