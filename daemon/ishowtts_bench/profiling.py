"""Where the time of one segment goes: by stage, and by kernel."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from ishowtts.engines.f5 import dit, fast_model, text_encoder
from ishowtts.engines.f5.cuda_graphs import GraphRunner
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.switches import Switches
from ishowtts.engines.f5.tokens import Tokenizer
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.model import Segment
from ishowtts_bench import machine
from ishowtts_bench.bench_env import BenchEnv, settle, text_of
from ishowtts_bench.timers import Owner, TimedSegment, now_s, timed, watched

_STAGES: dict[str, tuple[Owner, ...]] = {
    "tokens": ((Tokenizer, "__call__"),),
    "text encoder": ((text_encoder, "encode"),),
    "condition": ((dit, "condition"),),
    # On a stage, recorded or not, or anywhere; the model's functions are not called where a graph is replayed.
    "evaluations": ((GraphRunner, "advance"), (fast_model, "step")),
    "vocoder": ((FastVocoder, "decode"),),
}
_KERNELS = {"cpu": 12, "cuda": 40}


@dataclass(frozen=True)
class Share:
    """Part of a segment's time."""

    name: str
    spent_s: float
    share: float
    calls: int


@dataclass(frozen=True)
class SegmentProfile:
    """Stages, then kernels, longest first, of one segment.

    Attributes:
        device: the GPU's name, or `cpu`.
        run: what the model was given.
        machine: what the device reaches at best.
    """

    stages: list[Share]
    kernels: list[Share]
    device: str
    run: TimedSegment
    nfe_step: int
    machine: machine.Machine


def run(setting: BenchEnv, length_s: float, nfe_step: int) -> SegmentProfile:
    """Each after a run that warms, and with every length recorded where there are graphs."""
    dtype = choose_dtype(setting.precision, torch.device(setting.device))
    engine = setting.engine(Switches(), nfe_step=nfe_step)
    segment = Segment("bench", 0, 1, text_of(length_s), seed=0)

    def speak() -> None:
        engine.render(segment, lambda: False)

    speak()
    settle(engine)
    with watched() as runs:
        speak()
    stages, kernels = _stages(speak, setting.device), _kernels(speak, setting.device)
    engine.close()
    device = torch.cuda.get_device_name() if setting.device == "cuda" else "cpu"
    return SegmentProfile(stages, kernels, device, runs[0], nfe_step, machine.measure(setting.device, dtype))


def as_dict(profile: SegmentProfile) -> dict[str, object]:
    """For JSON; what `ishowtts bench predict --kernels` reads."""
    best = profile.machine
    return {
        "device": profile.device,
        "precision": best.dtype,
        "nfe_step": profile.nfe_step,
        "frames": profile.run.padded,
        "flop_per_s": best.flop_per_s,
        "bytes_per_s": best.bytes_per_s,
        "stages": [asdict(one) for one in profile.stages],
        "kernels": [asdict(one) for one in profile.kernels],
    }


def _stages(speak: Callable[[], None], device: str) -> list[Share]:
    with timed(_STAGES, device) as spent:
        started = now_s(device)
        speak()
        whole_s = now_s(device) - started
    shares = [Share(name, part.seconds, part.seconds / whole_s, part.calls) for name, part in spent.items()]
    rest_s = whole_s - sum(part.seconds for part in spent.values())
    return [*shares, Share("the rest", rest_s, rest_s / whole_s, 1)]


def _kernels(speak: Callable[[], None], device: str) -> list[Share]:
    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the profiler says about itself
        with profile(activities=activities) as profiler:
            speak()
    found = profiler.key_averages()
    key = "self_cpu_time_total"
    if device == "cuda":
        # The calls of the runtime stand beside the kernels that they launched.
        found = [event for event in found if event.device_type.name != "CPU"]
        key = "self_device_time_total"
    events = sorted(found, key=lambda event: getattr(event, key), reverse=True)
    whole = sum(getattr(event, key) for event in events) or 1
    return [
        Share(event.key, getattr(event, key) / 1e6, getattr(event, key) / whole, event.count)
        for event in events[: _KERNELS[device]]
    ]
