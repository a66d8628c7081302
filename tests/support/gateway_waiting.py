"""Waits with a deadline inside of an asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def until(holds: Callable[[], Any], what: str = "it", timeout_s: float = 20.0) -> Any:
    """Return what `holds()` returns as soon as it is true; fail past the deadline."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while not (found := holds()):
        assert loop.time() < deadline_s, f"{what} did not come about within {timeout_s:.0f} s"
        await asyncio.sleep(0.005)
    return found
