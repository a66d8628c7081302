"""An executor with one thread that reports how long its present job has been running."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any


class TimedExecutor(Executor):
    """Runs one job at a time, in the order of submission.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._began_s: float | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queues a call of `fn`. Never blocks."""
        return self._pool.submit(self._timed, fn, *args, **kwargs)

    def busy_s(self) -> float:
        """Seconds that the present job has been running; 0 if there is none."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accepts no more jobs."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _timed(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self._began_s = time.monotonic()
        try:
            return fn(*args, **kwargs)
        finally:
            self._began_s = None
