"""Parts that the tests of several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.broker import Broker
from support.played_appliance import PlayedAppliance


@pytest.fixture
def played(broker: Broker, tmp_path: Path) -> Iterator[PlayedAppliance]:
    with ExitStack() as stack:
        yield PlayedAppliance(broker, tmp_path, stack)
