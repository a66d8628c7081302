"""An executor of one thread that tells how long its present job has been running."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any


class TimedExecutor(Executor):
    """Runs one job at a time, in the order in which they came.

    Args:
        name: of its thread.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._began_s: float | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn` called; never blocks."""
        return self._pool.submit(self._timed, fn, *args, **kwargs)

    def busy_s(self) -> float:
        """How long the present job has been running; 0 while there is none."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _timed(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self._began_s = time.monotonic()
        try:
            return fn(*args, **kwargs)
        finally:
            self._began_s = None
