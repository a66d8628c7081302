"""Tests an espeak-ng that does not work until it works again, so that nobody has to restart the daemon."""

from __future__ import annotations

import time
from collections.abc import Callable

from ishowtts.model import IsCancelled
from ishowtts.util.backoff import Backoff
from ishowtts.util.loop_thread import LoopThread

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_IDLE_S = 60.0


class EspeakCheck(LoopThread):
    """The thread `espeak-check`. While espeak-ng works it does nothing; `wake` it when that may have changed.

    Args:
        problem: returns why espeak-ng cannot speak, `None` if it can. It must not block.
        check: tests it again; its argument returns true when it must stop. It must not raise.
    """

    def __init__(self, problem: Callable[[], str | None], check: Callable[[IsCancelled], None]) -> None:
        super().__init__("espeak-check")
        self._problem = problem
        self._check = check
        self._backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        self._check_at_s: float | None = None

    def run_once(self, last: bool) -> float:
        """Tests espeak-ng if it does not work and the wait is over. Each wait is twice as long as the one before."""
        if last:
            return _IDLE_S
        if self._check_at_s is not None and time.monotonic() >= self._check_at_s:
            self._check(lambda: self._closing)
            self._check_at_s = None
        if self._problem() is None:
            self._backoff.reset()
            self._check_at_s = None
            return _IDLE_S
        if self._check_at_s is None:
            self._check_at_s = time.monotonic() + self._backoff.next_s()
        return max(0.0, self._check_at_s - time.monotonic())
