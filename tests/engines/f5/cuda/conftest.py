"""The device of the kernels: a GPU, or the CPU under Triton's interpreter (`test_without_gpu`)."""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture
def device() -> torch.device:
    """The device of the tensors."""
    if os.environ.get("TRITON_INTERPRET") == "1":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    pytest.skip("needs a GPU; test_without_gpu runs the same under Triton's interpreter")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
