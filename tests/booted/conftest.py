"""Machines with a systemd of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.booted import roots
from support.booted.machine import BootedMachine, reason_unavailable


@pytest.fixture(scope="module")
def machine() -> Iterator[BootedMachine]:
    """A booted machine that the tests of a module share."""
    if why := reason_unavailable():
        pytest.skip(why)
    if not roots.is_built("debian-12"):
        pytest.skip("the root of debian-12 is not built yet")
    with BootedMachine(roots.base_root("debian-12")) as booted:
        yield booted
