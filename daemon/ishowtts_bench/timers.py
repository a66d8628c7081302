"""Measures how long parts of the engine take, by wrapping their functions in a timer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch

from ishowtts.engines.f5 import dit, fast_model

Owner = tuple[Any, str]
"""A module or class, and the name of its function."""

LOOP: Owner = (fast_model, "integrate")
"""The function that does all evaluations of a run."""


@dataclass
class TimeSpent:
    """Time spent in one part."""

    seconds: float = 0.0
    calls: int = 0


@dataclass(frozen=True)
class ModelRun:
    """The input of one run of the model.

    Attributes:
        frames: Length of each segment, with the reference.
        padded: Length after padding, the same for all segments.
    """

    frames: tuple[int, ...]
    padded: int


@contextmanager
def timed(parts: Mapping[str, tuple[Owner, ...]], device: str) -> Iterator[dict[str, TimeSpent]]:
    """Measure seconds and calls by name. Functions of one name must not call each other, or time counts twice."""
    spent = {name: TimeSpent() for name in parts}

    def with_timer(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            started = synchronized_s(device)
            result = function(*arguments, **options)
            spent[name].seconds += synchronized_s(device) - started
            spent[name].calls += 1
            return result

        return run

    with ExitStack() as stack:
        for name, owners in parts.items():
            for owner, attribute in owners:
                stack.enter_context(patch.object(owner, attribute, with_timer(name, getattr(owner, attribute))))
        yield spent


@contextmanager
def record_runs() -> Iterator[list[ModelRun]]:
    """Record every run of the fast model when it begins."""
    runs: list[ModelRun] = []
    condition = dit.condition

    def recording(model: Any, voices: Any, texts: Any, frames: Any, padded: int) -> Any:
        runs.append(ModelRun(tuple(frames), padded))
        return condition(model, voices, texts, frames, padded)

    with patch.object(dit, "condition", recording):
        yield runs


def synchronized_s(device: str) -> float:
    """The time, after the device has finished all of its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
