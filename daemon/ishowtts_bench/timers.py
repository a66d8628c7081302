"""How long parts of the engine take while it speaks: its functions, replaced by themselves with a clock around them."""

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
"""A module or a class, and the name of its function."""

LOOP: Owner = (fast_model, "integrate")
"""All evaluations of a run."""


@dataclass
class Spent:
    """In one part."""

    seconds: float = 0.0
    calls: int = 0


@dataclass(frozen=True)
class TimedSegment:
    """What the model is given in one go.

    Attributes:
        frames: of each line, reference included.
        padded: what each is padded to.
    """

    frames: tuple[int, ...]
    padded: int


@contextmanager
def timed(parts: Mapping[str, tuple[Owner, ...]], device: str) -> Iterator[dict[str, Spent]]:
    """Seconds and calls by name. The functions of one name must not call one another, else time is counted twice."""
    spent = {name: Spent() for name in parts}

    def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **settings: Any) -> Any:
            started = now_s(device)
            result = function(*arguments, **settings)
            spent[name].seconds += now_s(device) - started
            spent[name].calls += 1
            return result

        return run

    with ExitStack() as stack:
        for name, owners in parts.items():
            for owner, attribute in owners:
                stack.enter_context(patch.object(owner, attribute, clocked(name, getattr(owner, attribute))))
        yield spent


@contextmanager
def watched() -> Iterator[list[TimedSegment]]:
    """Every run of the fast model, as it begins."""
    runs: list[TimedSegment] = []
    condition = dit.condition

    def watch(model: Any, voices: Any, texts: Any, frames: Any, padded: int) -> Any:
        runs.append(TimedSegment(tuple(frames), padded))
        return condition(model, voices, texts, frames, padded)

    with patch.object(dit, "condition", watch):
        yield runs


def now_s(device: str) -> float:
    """The time when everything that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
