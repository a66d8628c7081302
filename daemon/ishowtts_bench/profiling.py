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
from ishowtts.engines.f5.kernels import KernelChoice
from ishowtts.engines.f5.tokens import Tokenizer
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts_bench import machine
from ishowtts_bench.bench_env import BenchEnv, chosen_kernels, finish_idle_work, make_text
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
_ROUNDS = 3


@dataclass(frozen=True)
class TimeShare:
    """Time of one stage or kernel in a segment."""

    name: str
    spent_s: float
    share: float
    calls: int


@dataclass(frozen=True)
class Gpu:
    """What tells one GPU from another of the same name, as its driver reports it.

    Attributes:
        sms: Number of streaming multiprocessors.
        memory_mb: Memory, in 10^6 bytes.
        clock_mhz: Highest clock; `None` if this torch does not report it.
    """

    name: str
    sms: int
    memory_mb: float
    clock_mhz: float | None

    @classmethod
    def of_this_machine(cls) -> Gpu:
        """Ask the driver for the first GPU."""
        properties = torch.cuda.get_device_properties(0)
        clock_khz = getattr(properties, "clock_rate", None)
        return cls(
            properties.name,
            properties.multi_processor_count,
            properties.total_memory / 1e6,
            clock_khz / 1000 if clock_khz else None,
        )


@dataclass(frozen=True)
class GpuBusy:
    """How long the GPU worked for a segment.

    Attributes:
        busy_s: Time of all kernels and copies.
        whole_s: Time of the segment, without a profiler.
    """

    busy_s: float
    whole_s: float

    @property
    def idle_share(self) -> float:
        """Share of the segment in which the GPU had nothing to do."""
        return max(0.0, 1 - self.busy_s / self.whole_s)


@dataclass(frozen=True)
class SegmentProfile:
    """Stages and kernels of one segment, the longest first.

    Attributes:
        gpu: The GPU; `None` on a CPU.
        run: Input of the model.
        machine: Best rates of the device.
        busy: How long the GPU worked; `None` on a CPU.
        choice: The kernels that the engine chose; `None` if upstream's modules ran.
    """

    stages: list[TimeShare]
    kernels: list[TimeShare]
    gpu: Gpu | None
    run: ModelRun
    nfe_step: int
    machine: machine.Machine
    busy: GpuBusy | None
    choice: KernelChoice | None


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
    stages = _stages(render, env.device)
    whole_s = min(_time_s(render, env.device) for _ in range(_ROUNDS))
    kernels, all_kernels_s = _kernels(render, env.device)
    choice = chosen_kernels(engine)
    engine.close()
    cuda = env.device == "cuda"
    return SegmentProfile(
        stages,
        kernels,
        Gpu.of_this_machine() if cuda else None,
        runs[0],
        nfe_step,
        machine.best_of_several(env.device, dtype),
        GpuBusy(all_kernels_s, whole_s) if cuda else None,
        choice,
    )


def as_dict(profile: SegmentProfile) -> dict[str, object]:
    """The profile as JSON, for `ishowtts bench predict --kernels`. `docs/f5.md` documents its keys."""
    best, gpu, busy = profile.machine, profile.gpu, profile.busy
    return {
        "device": gpu.name if gpu else "cpu",
        "sms": gpu.sms if gpu else None,
        "memory_mb": gpu.memory_mb if gpu else None,
        "clock_mhz": gpu.clock_mhz if gpu else None,
        "precision": best.dtype,
        "nfe_step": profile.nfe_step,
        "frames": profile.run.padded,
        "flop_per_s": best.flop_per_s,
        "bytes_per_s": best.bytes_per_s,
        "gpu_busy_ms": round(1000 * busy.busy_s, 3) if busy else None,
        "whole_ms": round(1000 * busy.whole_s, 3) if busy else None,
        "gpu_idle_share": round(busy.idle_share, 4) if busy else None,
        "kernel_choice": asdict(profile.choice) if profile.choice is not None else None,
        "stages": [asdict(stage) for stage in profile.stages],
        "kernels": [asdict(kernel) for kernel in profile.kernels],
    }


def _stages(render: Callable[[], None], device: str) -> list[TimeShare]:
    with timed(_STAGES, device) as spent:
        whole_s = _time_s(render, device)
    shares = [TimeShare(name, part.seconds, part.seconds / whole_s, part.calls) for name, part in spent.items()]
    rest_s = whole_s - sum(part.seconds for part in spent.values())
    return [*shares, TimeShare("the rest", rest_s, rest_s / whole_s, 1)]


def _time_s(render: Callable[[], None], device: str) -> float:
    started = synchronized_s(device)
    render()
    return synchronized_s(device) - started


def _kernels(render: Callable[[], None], device: str) -> tuple[list[TimeShare], float]:
    """The kernels that take most of the time, and the time of all of them."""
    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler warns about itself
        with profile(activities=activities) as profiler:
            render()
    found = profiler.key_averages()
    key = "self_cpu_time_total"
    if device == "cuda":
        # Keep kernels and copies. Drop the calls that launched them, and named ranges, which would count them twice.
        found = [event for event in found if event.device_type.name != "CPU" and not event.is_user_annotation]
        key = "self_device_time_total"
    events = sorted(found, key=lambda event: getattr(event, key), reverse=True)
    whole = sum(getattr(event, key) for event in events) or 1
    listed = [
        TimeShare(event.key, getattr(event, key) / 1e6, getattr(event, key) / whole, event.count)
        for event in events[: _KERNELS[device]]
    ]
    return listed, whole / 1e6
