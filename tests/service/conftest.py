"""The whole appliance for tests of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.appliance import Appliance
from support.broker import Broker


@pytest.fixture
def make_appliance(tmp_path: Path, broker: Broker) -> Iterator[Callable[..., Appliance]]:
    """`make_appliance(settings=…)`: a started daemon that is ended after the test."""
    with ExitStack() as stack:

        def make(**options: Any) -> Appliance:
            return stack.enter_context(Appliance(tmp_path, broker, **options))

        yield make


@pytest.fixture
def appliance(make_appliance: Callable[..., Appliance]) -> Appliance:
    """A daemon that speaks with espeak-ng into a WAV file."""
    return make_appliance()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the real architecture, the smallest size."""
    from ishowtts.engines.f5 import random

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    random.make(folder, size="tiny", seed=0)
    return folder
