"""Parts that the tests of several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.broker import Broker
from support.fake_appliance import FakeAppliance


@pytest.fixture
def fake(broker: Broker, tmp_path: Path) -> Iterator[FakeAppliance]:
    with ExitStack() as stack:
        yield FakeAppliance(broker, tmp_path, stack)
