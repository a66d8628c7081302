"""The one way a thread of the pipeline lives: it looks at the world, waits for a nudge or a deadline, looks again."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod


class LoopThread(ABC):
    """A named thread that goes round until it is closed. Nudging is allowed from any thread and is never lost.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._look_due_s = time.monotonic()
        self._nudged = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name)

    @abstractmethod
    def look(self, last: bool) -> float:
        """Do what there is to do now.

        Args:
            last: the part is being closed; there is no further look.

        Returns:
            Seconds until the next look where nobody nudges.
        """

    @property
    def name(self) -> str:
        """The thread's name."""
        return self._thread.name

    def start(self) -> None:
        """Begin to go round."""
        self._thread.start()

    def nudge(self) -> None:
        """Something changed: look again."""
        self._nudged.set()

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def progressed(self) -> None:
        """For a look that goes on for long: it is not stuck."""
        self._look_due_s = time.monotonic()

    def overdue_s(self) -> float:
        """How long the present look has taken so far, or how late the next one is; negative while it is not due."""
        return time.monotonic() - self._look_due_s

    def close(self, timeout_s: float) -> None:
        """Look a last time, then end."""
        self._closing = True
        self._nudged.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            # Lowered before the look: what changes after it nudges again, and the wait ends.
            self._nudged.clear()
            self.progressed()
            last = self._closing
            wait_s = self.look(last)
            if last:
                return
            self._look_due_s = time.monotonic() + wait_s
            self._nudged.wait(wait_s)
