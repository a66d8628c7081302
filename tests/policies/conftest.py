from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ishowtts import config
from ishowtts.policies import Policies
from support.clock import Clock

Make = Callable[..., Policies]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(clock: Clock) -> Make:
    """Policies of a configuration, with an NFE of 7."""

    def make(policies: str = "{}", limits: str = "{}", **more: Any) -> Policies:
        settings = config.parse(f"policies: {policies}\nlimits: {limits}\n", "c.yaml")
        return Policies(settings.policies, settings.limits, 7, clock, **more)

    return make
