"""Waits with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(holds: Callable[[], object], what: str = "it", timeout_s: float = 20.0) -> None:
    """Return as soon as `holds()` is true; fail past the deadline."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about within {timeout_s:.0f} s"
        time.sleep(0.01)
