"""Runs an asyncio program on a thread of this process, and lets the test call into its loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class ServedLoop:
    """The loop and its thread. A subclass has `_serve`, which calls `_until_stopped` once it serves.

    Args:
        name: Name of the thread.
    """

    loop: asyncio.AbstractEventLoop
    _stopped: asyncio.Event

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=name)
        self._started = threading.Event()

    def start(self) -> None:
        """Start the thread. Returns once the program serves."""
        self._thread.start()
        assert self._started.wait(20)

    def stop(self) -> None:
        """End it as the gateway ends."""
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def run(self, work: Callable[[], Any]) -> Any:
        """Call a function on the loop, where everything of the gateway lives."""

        async def call() -> Any:
            return work()

        return self.wait(call())

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        await self._serve()

    async def _serve(self) -> None:
        raise NotImplementedError

    async def _until_stopped(self) -> None:
        self._started.set()
        await self._stopped.wait()
