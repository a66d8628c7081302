"""One log line and one count for each event of the contract."""

from __future__ import annotations

import logging

from ishowtts.speech import Event, Outcome
from ishowtts.telemetry import Telemetry

log = logging.getLogger(__name__)

_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_WARN = {"rejected", "failed", "evicted"}


class Journal:
    """Tells the log and the counters of events.

    Args:
        private: keep what a publisher wrote (ids and details) out of the log.
    """

    def __init__(self, telemetry: Telemetry, private: bool) -> None:
        self._telemetry = telemetry
        self._private = private

    def tell(self, event: Event) -> None:
        """Called once an event."""
        outcome = _OUTCOMES.get(event.event)
        if outcome is not None:
            self._telemetry.count(outcome)
        level = logging.WARNING if event.event in _WARN else logging.INFO
        if self._private:
            log.log(level, "line %s", event.event)
        else:
            details = " ".join(f"{key}={value!r}" for key, value in event.data.items() if value is not None)
            log.log(level, "line %r %s %s", event.id, event.event, details)
