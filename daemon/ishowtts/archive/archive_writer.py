"""The thread that writes sounds to the disk: nobody who speaks waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

WriteJob = Callable[[], object]
"""What it gives is nobody's concern."""

log = logging.getLogger(__name__)

_TICK_S = 10.0
_MOST_WAITING_BYTES = 32_000_000
_JOB_BYTES = 1024  # what any job counts at least


class ArchiveWriter:
    """The thread `archive`. It does one job after the other; while more than `most_bytes` wait, it takes no more.

    Args:
        open_: run first, on the thread: looking through a folder of 50,000 files takes a while.
        tend: run every `tick_s`.
    """

    def __init__(
        self,
        open_: WriteJob,
        tend: WriteJob,
        *,
        most_bytes: int = _MOST_WAITING_BYTES,
        tick_s: float = _TICK_S,
    ) -> None:
        self._open = open_
        self._tend = tend
        self._most_bytes = most_bytes
        self._tick_s = tick_s
        self._jobs: deque[tuple[WriteJob, int]] = deque()
        self._waiting_bytes = 0
        self._ends_at: float | None = None
        self._changed = threading.Condition()
        # A disk that hangs must not keep the daemon from its end.
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def offer(self, job: WriteJob, size: int = 0, *, must: bool = False) -> bool:
        """Have a job done later; False: too much waits, and it will not be.

        Args:
            size: of what it holds in memory, in bytes.
            must: it is done in any case; such jobs are few.
        """
        size = max(size, _JOB_BYTES)
        with self._changed:
            if self._ends_at is not None or (not must and self._waiting_bytes + size > self._most_bytes):
                return False
            self._jobs.append((job, size))
            self._waiting_bytes += size
            self._changed.notify()
        return True

    def close(self, timeout_s: float) -> None:
        """Do what waits, for at most so long, and end."""
        with self._changed:
            self._ends_at = time.monotonic() + timeout_s
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        _guarded(self._open)
        tick_at = time.monotonic() + self._tick_s
        while True:
            with self._changed:
                if not self._jobs and self._ends_at is None:
                    self._changed.wait(max(0.0, tick_at - time.monotonic()))
                if self._ends_at is not None and (not self._jobs or time.monotonic() >= self._ends_at):
                    return
                job, size = self._jobs.popleft() if self._jobs else (None, 0)
            if job is not None:
                _guarded(job)
                with self._changed:
                    self._waiting_bytes -= size
            if time.monotonic() >= tick_at:
                tick_at = time.monotonic() + self._tick_s
                _guarded(self._tend)


def _guarded(job: WriteJob) -> None:
    """Whatever opening, keeping or tending raises is told; the next sound is kept."""
    try:
        job()
    except Exception:
        log.exception("the archive failed at one of its jobs")
