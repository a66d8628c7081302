"""Fixtures for tests that speak lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.speech_harness import Harness


@pytest.fixture
def make_harness(tmp_path: Path) -> Iterator[Callable[..., Harness]]:
    """`make_harness(paced=…, fallback=…)`: a scheduler that is closed after the test."""
    with ExitStack() as stack:
        yield lambda **options: Harness(tmp_path, stack, **options)


@pytest.fixture
def harness(make_harness: Callable[..., Harness]) -> Harness:
    """A scheduler whose speaker takes sound as fast as it comes."""
    return make_harness()


@pytest.fixture
def paced(make_harness: Callable[..., Any]) -> Harness:
    """A scheduler whose speaker takes sound in real time."""
    return make_harness(paced=True)
