"""A failed run frees its memory."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from ishowtts.engines.f5.runner import OutOfMemory, Runner

pytestmark = pytest.mark.f5


class Full:
    """Allocates some memory, then runs out of it."""

    unbucketed = 0

    def __init__(self) -> None:
        self.taken: list[weakref.ref[torch.Tensor]] = []

    def render(self, jobs: Sequence[Any], cancelled: Any) -> list[torch.Tensor]:
        taken = torch.zeros(8)
        self.taken.append(weakref.ref(taken))
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_run_without_enough_memory_frees_it_before_its_parts_are_tried() -> None:
    model: Any = Full()
    runner = Runner(model, torch.device("cpu"))
    try:
        runner.samples([], lambda: False)
    except OutOfMemory:
        assert model.taken[0]() is None  # here the engine speaks the halves
    else:
        pytest.fail("it fitted")
