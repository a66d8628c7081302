"""One log line and one count for each event of the contract; floods of rejections are summed up."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from ishowtts.speech import Event, Outcome
from ishowtts.telemetry import Telemetry

log = logging.getLogger(__name__)

_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_WARN = {"rejected", "failed", "evicted"}
_FLOOD_S = 10.0
_FIRST = 5


class Journal:
    """Tells the log and the counters of events. Any thread may call any method.

    Of the rejections of 10 s the first five have log lines of their own, and the others one together: who publishes
    rubbish shall not fill the disk.

    Args:
        private: keep what a publisher wrote (ids and details) out of the log.
        now_s: the time, in seconds that never jump.
    """

    def __init__(self, telemetry: Telemetry, private: bool, now_s: Callable[[], float] = time.monotonic) -> None:
        self._telemetry = telemetry
        self._private = private
        self._now_s = now_s
        self._lock = threading.Lock()
        self._flood_ends_s = 0.0
        self._rejected = 0
        self._untold: Counter[str] = Counter()

    def tell(self, event: Event) -> None:
        """Called once an event."""
        outcome = _OUTCOMES.get(event.event)
        if outcome is not None:
            self._telemetry.count(outcome)
        if outcome is Outcome.REJECTED and not self._has_room(str(event.data.get("reason"))):
            return
        level = logging.WARNING if event.event in _WARN else logging.INFO
        if not log.isEnabledFor(level):
            return
        if self._private:
            log.log(level, "line %s", event.event)
        else:
            details = " ".join(f"{key}={value!r}" for key, value in event.data.items() if value is not None)
            log.log(level, "line %r %s %s", event.id, event.event, details)

    def sum_up(self, *, last: bool = False) -> None:
        """Tell of rejections that have no log line, once their 10 s are over. To be called every few seconds.

        Args:
            last: whether to tell now.
        """
        with self._lock:
            if not last and self._now_s() < self._flood_ends_s:
                return
            untold, self._untold = self._untold, Counter()
            self._rejected = 0
        if untold:
            each = ", ".join(f"{reason} {count}" for reason, count in untold.most_common())
            lines = "line was" if untold.total() == 1 else "lines were"
            log.warning("%d more %s rejected (%s)", untold.total(), lines, each)

    def _has_room(self, reason: str) -> bool:
        """Whether one more rejection gets a log line; where not, it is counted."""
        self.sum_up()
        with self._lock:
            self._rejected += 1
            if self._rejected == 1:
                self._flood_ends_s = self._now_s() + _FLOOD_S
            if self._rejected > _FIRST:
                self._untold[reason] += 1
            return self._rejected <= _FIRST
