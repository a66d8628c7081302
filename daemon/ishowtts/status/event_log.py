"""Logs and counts the events of lines. Commands are logged by `speech/commands`."""

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
_WARNINGS = {"rejected", "failed", "evicted"}
_OUR_OWN_WORDS = {"reason", "by", "engine"}  # these fields of events never hold text of a publisher
_LOGGED_ALONE = 5


class EventLog:
    """Logs each event and counts the outcomes for telemetry. Any thread may call any method.

    Of the rejections of 10 s, the first five are logged one by one and the others are summed up in one line, so that
    a flood of bad messages does not fill the disk.

    Args:
        now_s: Clock that never jumps, in seconds.
    """

    def __init__(self, telemetry: Telemetry, now_s: Callable[[], float] = time.monotonic) -> None:
        self._telemetry = telemetry
        self._rejections = RateLimit(_LOGGED_ALONE, now_s)

    def record(self, event: Event) -> None:
        """Log and count one event. To be called once for each event."""
        outcome = _OUTCOMES.get(event.event)
        if outcome is not None:
            self._telemetry.count(outcome, event.data.get("count", 1))
        if event.event == "command":
            return
        if outcome is Outcome.REJECTED and "count" not in event.data:
            self.sum_up()
            if not self._rejections.allows(str(event.data.get("reason"))):
                return
        level = logging.WARNING if event.event in _WARNINGS else logging.INFO
        if not log.isEnabledFor(level):
            return
        fields = {key: value for key, value in event.data.items() if value is not None}
        values = (
            Untrusted(value) if isinstance(value, str) and key not in _OUR_OWN_WORDS else value
            for key, value in fields.items()
        )
        message = " ".join(["line %r %s", *(f"{key}=%r" for key in fields)])
        log.log(level, message, Untrusted(event.id), event.event, *values)

    def sum_up(self, *, last: bool = False) -> None:
        """Log how many rejections had no line of their own, once their 10 s are over. To be called every few seconds.

        Args:
            last: Log them now.
        """
        not_logged = self._rejections.held_back(last=last)
        if not_logged:
            each = ", ".join(f"{reason} {count}" for reason, count in not_logged.most_common())
            lines = "line was" if not_logged.total() == 1 else "lines were"
            log.warning("%d more %s rejected (%s)", not_logged.total(), lines, each)
