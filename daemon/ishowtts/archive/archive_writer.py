"""The thread that writes sounds to the disk, so that speech never waits for the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

WriteJob = Callable[[], object]
"""The return value is ignored."""

log = logging.getLogger(__name__)

_TICK_S = 10.0
_MOST_WAITING_BYTES = 32_000_000
_JOB_BYTES = 1024  # the least that any job counts


class ArchiveWriter:
    """The thread `archive`. It runs jobs in order, and refuses more jobs while `most_bytes` wait.

    Args:
        open_: Runs first on the thread: to scan a folder of 50,000 files takes a while.
        maintain: Runs every `tick_s`.
    """

    def __init__(
        self,
        open_: WriteJob,
        maintain: WriteJob,
        *,
        most_bytes: int = _MOST_WAITING_BYTES,
        tick_s: float = _TICK_S,
    ) -> None:
        self._open = open_
        self._maintain = maintain
        self._most_bytes = most_bytes
        self._tick_s = tick_s
        self._jobs: deque[tuple[WriteJob, int]] = deque()
        self._waiting_bytes = 0
        self._ends_at_s: float | None = None
        self._changed = threading.Condition()
        # A daemon thread: a disk that hangs must not prevent the end of the process.
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, job: WriteJob, size: int = 0, *, must: bool = False) -> bool:
        """Queue a job. Returns False if too much waits; then the job does not run.

        Args:
            size: How much memory the job holds, in bytes.
            must: Queue it in any case. Such jobs are few.
        """
        size = max(size, _JOB_BYTES)
        with self._changed:
            if self._ends_at_s is not None or (not must and self._waiting_bytes + size > self._most_bytes):
                return False
            self._jobs.append((job, size))
            self._waiting_bytes += size
            self._changed.notify()
        return True

    def close(self, timeout_s: float) -> None:
        """Run the waiting jobs for at most so long, and end the thread."""
        with self._changed:
            self._ends_at_s = time.monotonic() + timeout_s
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        _run_guarded(self._open)
        tick_at_s = time.monotonic() + self._tick_s
        while True:
            with self._changed:
                if not self._jobs and self._ends_at_s is None:
                    self._changed.wait(max(0.0, tick_at_s - time.monotonic()))
                if self._ends_at_s is not None and (not self._jobs or time.monotonic() >= self._ends_at_s):
                    return
                job, size = self._jobs.popleft() if self._jobs else (None, 0)
            if job is not None:
                _run_guarded(job)
                with self._changed:
                    self._waiting_bytes -= size
            if time.monotonic() >= tick_at_s:
                tick_at_s = time.monotonic() + self._tick_s
                _run_guarded(self._maintain)


def _run_guarded(job: WriteJob) -> None:
    """Log whatever a job raises, so that the next one runs."""
    try:
        job()
    except Exception:
        log.exception("a job of the archive failed")
