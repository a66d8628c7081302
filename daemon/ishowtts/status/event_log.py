"""Logs and counts each event of a line; floods of rejections are summed up. Commands have `speech/commands`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ishowtts.model import Event, Outcome
from ishowtts.status.telemetry import Telemetry
from ishowtts.util.logs import Untrusted
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_WARN = {"rejected", "failed", "evicted"}
_OURS = {"reason", "by", "engine"}  # strings of events that no publisher writes
_FIRST = 5


class EventLog:
    """Tells the log and the counters of events. Any thread may call any method.

    Of the rejections of 10 s the first five have log lines of their own, and the others one together: who publishes
    rubbish shall not fill the disk.

    Args:
        now_s: the time, in seconds that never jump.
    """

    def __init__(self, telemetry: Telemetry, now_s: Callable[[], float] = time.monotonic) -> None:
        self._telemetry = telemetry
        self._rejections = RateLimit(_FIRST, now_s)

    def tell(self, event: Event) -> None:
        """Called once an event."""
        outcome = _OUTCOMES.get(event.event)
        if outcome is not None:
            self._telemetry.count(outcome, event.data.get("count", 1))
        if event.event == "command":
            return
        if outcome is Outcome.REJECTED and "count" not in event.data:
            self.sum_up()
            if not self._rejections.allows(str(event.data.get("reason"))):
                return
        level = logging.WARNING if event.event in _WARN else logging.INFO
        if not log.isEnabledFor(level):
            return
        told = {key: value for key, value in event.data.items() if value is not None}
        values = (
            Untrusted(value) if isinstance(value, str) and key not in _OURS else value for key, value in told.items()
        )
        log.log(
            level, " ".join(["line %r %s", *(f"{key}=%r" for key in told)]), Untrusted(event.id), event.event, *values
        )

    def sum_up(self, *, last: bool = False) -> None:
        """Tell of rejections that have no log line, once their 10 s are over. To be called every few seconds.

        Args:
            last: whether to tell now.
        """
        untold = self._rejections.held_back(last=last)
        if untold:
            each = ", ".join(f"{reason} {count}" for reason, count in untold.most_common())
            lines = "line was" if untold.total() == 1 else "lines were"
            log.warning("%d more %s rejected (%s)", untold.total(), lines, each)
