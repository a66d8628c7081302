"""Decides when a worker that ended is started again: exponential backoff, parking, and a probation after parking."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ishowtts.engines.worker.worker_connection import WorkerExit
from ishowtts.util.backoff import Backoff


@dataclass(frozen=True)
class RestartBackoff:
    """How long to wait between workers, and when to park the engine.

    Attributes:
        first_s: wait after the first death; each further wait is twice as long.
        longest_s: longest wait.
        park_deaths: so many deaths within `park_window_s` park the engine.
        park_window_s: older deaths do not count.
        park_s: how long a parked engine waits until it tries again.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    park_deaths: int = 5
    park_window_s: float = 600.0
    park_s: float = 3600.0


@dataclass(frozen=True)
class RestartDecision:
    """What to do after a worker ended.

    Attributes:
        parked: whether the engine is parked.
        detail: one sentence for the operator.
        wait_s: seconds until the next worker is started.
    """

    parked: bool
    detail: str
    wait_s: float


class RestartPolicy:
    """Counts deaths of workers. Not thread-safe: its owner holds a lock.

    A parked engine is on probation once it is tried again: until it speaks, a single death parks it again.

    Args:
        backoff: waits and limits.
    """

    def __init__(self, backoff: RestartBackoff) -> None:
        self._backoff = backoff
        self._deaths_at_s: deque[float] = deque()
        self._waits = Backoff(backoff.first_s, backoff.longest_s)
        self._probation = False

    def worker_ended(self, worker_exit: WorkerExit, now_s: float) -> RestartDecision:
        """Counts a death and decides how long to wait.

        Args:
            worker_exit: why the worker ended.
            now_s: monotonic time.
        """
        # A voice that ended a worker is quarantined: that cause is gone, and says nothing about the engine.
        if not worker_exit.preparing:
            self._deaths_at_s.append(now_s)
        while self._deaths_at_s and self._deaths_at_s[0] < now_s - self._backoff.park_window_s:
            self._deaths_at_s.popleft()
        deaths = len(self._deaths_at_s)
        if worker_exit.permanent_error is not None:
            return self._park(worker_exit.reason)
        if not worker_exit.preparing and (deaths >= self._backoff.park_deaths or self._probation):
            # No semicolon: what follows one is the fix, for `doctor`.
            return self._park(f"the worker ended {deaths} times recently (the last time: {worker_exit.reason})")
        return RestartDecision(False, worker_exit.reason, self._waits.next_s())

    def spoke(self) -> None:
        """Ends the backoff and the probation: the worker spoke a segment."""
        self._waits.reset()
        self._probation = False

    def reset(self) -> None:
        """Forgets all deaths: an operator asked for another try."""
        self._deaths_at_s.clear()
        self.spoke()

    def _park(self, detail: str) -> RestartDecision:
        self._probation = True
        return RestartDecision(True, detail, self._backoff.park_s)
