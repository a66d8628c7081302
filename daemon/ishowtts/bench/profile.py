"""Where the time of one segment goes: by stage, and by kernel."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile

from ishowtts.bench.setting import Setting, text_of
from ishowtts.engines.f5 import dit, text_encoder
from ishowtts.engines.f5.options import Optimisations
from ishowtts.engines.f5.tokens import Tokenizer
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.speech import Segment

_STAGES: dict[str, tuple[Any, str]] = {
    "tokens": (Tokenizer, "__call__"),
    "text encoder": (text_encoder, "encode"),
    "condition": (dit, "condition"),
    "evaluations": (dit, "velocity"),
    "vocoder": (FastVocoder, "decode"),
}
_KERNELS = 12


@dataclass(frozen=True)
class Share:
    """Part of a segment's time."""

    name: str
    spent_s: float
    share: float
    calls: int


def run(setting: Setting, length_s: float, nfe_step: int) -> tuple[list[Share], list[Share]]:
    """Stages, then kernels, longest first; each after a run that warms."""
    engine = setting.engine(Optimisations(), nfe_step=nfe_step)
    segment = Segment("bench", 0, 1, text_of(length_s), seed=0)

    def speak() -> None:
        engine.render(segment, lambda: False)

    speak()
    shares = _stages(speak, setting.device), _kernels(speak, setting.device)
    engine.close()
    return shares


def _stages(speak: Callable[[], None], device: str) -> list[Share]:
    spent_s: dict[str, float] = dict.fromkeys(_STAGES, 0.0)
    calls: dict[str, int] = dict.fromkeys(_STAGES, 0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **settings: Any) -> Any:
            started = time.perf_counter()
            result = function(*arguments, **settings)
            if device == "cuda":
                torch.cuda.synchronize()
            spent_s[name] += time.perf_counter() - started
            calls[name] += 1
            return result

        return run

    with ExitStack() as stack:
        for name, (owner, attribute) in _STAGES.items():
            stack.enter_context(patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        started = time.perf_counter()
        speak()
        whole_s = time.perf_counter() - started
    shares = [Share(name, taken_s, taken_s / whole_s, calls[name]) for name, taken_s in spent_s.items()]
    rest_s = whole_s - sum(spent_s.values())
    return [*shares, Share("the rest", rest_s, rest_s / whole_s, 1)]


def _kernels(speak: Callable[[], None], device: str) -> list[Share]:
    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the profiler says about itself
        with profile(activities=activities) as profiler:
            speak()
    key = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: getattr(event, key), reverse=True)
    whole = sum(getattr(event, key) for event in events) or 1
    return [
        Share(event.key, getattr(event, key) / 1e6, getattr(event, key) / whole, event.count)
        for event in events[:_KERNELS]
    ]
