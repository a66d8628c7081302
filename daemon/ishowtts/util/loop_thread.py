"""Base class of loop threads: run once, then sleep until woken or until the deadline."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod


class LoopThread(ABC):
    """A named thread that calls `run_once` again and again until it is closed. Any thread may wake it.

    Args:
        name: Name of the thread.
        daemon: The process may end without this thread, because a call of a driver may never return.
    """

    def __init__(self, name: str, *, daemon: bool = False) -> None:
        self._due_at_s = time.monotonic()
        self._woken = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=daemon)

    @abstractmethod
    def run_once(self, last: bool) -> float:
        """Do what can be done now.

        Args:
            last: The thread is being closed; this is its last call.

        Returns:
            Seconds until the next call if nobody wakes the thread.
        """

    @property
    def name(self) -> str:
        """Name of the thread."""
        return self._thread.name

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Have `run_once` called now, or once more if it is running. A wake-up is never lost."""
        self._woken.set()

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def progressed(self) -> None:
        """Report progress during a long `run_once`, so that the watchdog does not take it for stuck."""
        self._due_at_s = time.monotonic()

    def overdue_s(self) -> float:
        """Seconds that the current call has taken so far, or that the next call is late; negative until it is due."""
        return time.monotonic() - self._due_at_s

    def close(self, timeout_s: float) -> None:
        """Have `run_once` called a last time, then end the thread."""
        self._closing = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            # Cleared before the call: a change during the call wakes the thread again.
            self._woken.clear()
            self.progressed()
            last = self._closing
            wait_s = self.run_once(last)
            if last:
                return
            self._due_at_s = time.monotonic() + wait_s
            self._woken.wait(wait_s)
