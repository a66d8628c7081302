"""A run that fails lets go of what it had."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from ishowtts.engines.f5.runner import OutOfMemory, Runner

pytestmark = pytest.mark.f5


class Full:
    """Takes some memory, and finds that there is no more."""

    unbucketed = 0

    def __init__(self) -> None:
        self.taken: list[weakref.ref[torch.Tensor]] = []

    def render(self, jobs: Sequence[Any], cancelled: Any) -> list[torch.Tensor]:
        taken = torch.zeros(8)
        self.taken.append(weakref.ref(taken))
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_what_did_not_fit_into_memory_holds_none_of_it_while_its_parts_are_tried() -> None:
    model: Any = Full()
    runner = Runner(model, torch.device("cpu"))
    try:
        runner.samples([], lambda: False)
    except OutOfMemory:
        assert model.taken[0]() is None  # here the engine speaks the halves
    else:
        pytest.fail("it fitted")
