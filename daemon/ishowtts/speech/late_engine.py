"""Decides when an engine that answers, but has not made the sound, has kept a listener waiting for too long."""

from __future__ import annotations

import time
from collections.abc import Callable

from ishowtts.model import IsCancelled

_TIMES_EXPECTED = 3.0
"""So an engine that is slow by nature keeps its voice, and one slow segment on a busy machine does not count."""

SilentS = Callable[[], float]
"""Returns for how many seconds a listener has heard nothing because of an engine; 0 if nobody waits."""


class LateCheck:
    """The `cancelled` of one call of an engine: also true once the engine is late.

    It is late if the listener and this call have waited for `late_s`, and the call took three times what was expected.

    Args:
        cancelled: Whether the work is not wanted any more.
        expected_s: What the call should take, in seconds; infinity if it must not be cut short.
    """

    def __init__(self, cancelled: IsCancelled, silent_s: SilentS, late_s: float, expected_s: float) -> None:
        self._cancelled = cancelled
        self._silent_s = silent_s
        self._late_s = late_s
        self._allowed_s = max(late_s, _TIMES_EXPECTED * expected_s)
        self._began_s = time.monotonic()
        self.is_late = False

    @property
    def took_s(self) -> float:
        """Seconds since the call."""
        return time.monotonic() - self._began_s

    def __call__(self) -> bool:
        """Whether the engine should stop."""
        if self._cancelled():
            return True
        self.is_late = self.took_s >= self._allowed_s and self._silent_s() >= self._late_s
        return self.is_late
