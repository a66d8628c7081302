"""Raises and clears the alerts, publishes them as retained messages, and logs them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ishowtts.model import AlertName, timestamp
from ishowtts.status.alert_rules import RULES, AlertFacts, AlertRule, RuleResult
from ishowtts.util.logs import log_fields

log = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""Some causes report no change, such as a full disk: the alerts are evaluated at least so often."""
SHORTEST_ACTIVE_S = 10.0
"""An alert stays active for at least this time, so that it does not flap."""
FLAPPING_S = 10.0
"""An alert that comes again within a minute ends only after its cause was absent for this time."""
_AGAIN_S = 60.0
UNKNOWN_S = 30.0
"""What is unknown for this time counts as absent."""
DETAIL_INTERVAL_S = 5.0
VALUE_INTERVAL_S = 30.0
"""A new sentence or a new value of an active alert is published at most so often."""
LOG_INTERVAL_S = 300.0
"""An alert that comes again sooner is logged for debugging only."""


class Alert:
    """One alert: whether it is active, since when, and why. Not thread-safe.

    Attributes:
        payload: The payload of the contract.
    """

    def __init__(self, rule: AlertRule, wall_s: float) -> None:
        self.rule = rule
        self.payload: dict[str, Any] = {"active": False, "since": timestamp(wall_s), "detail": None, "value": None}
        self._holds_since_s: float | None = None
        self._absent_since_s: float | None = None
        self._known_s = -math.inf
        self._raised_s = self._cleared_s = -math.inf
        self._clear_after_s = rule.clear_after_s
        self._published_s = -math.inf

    @property
    def name(self) -> AlertName:
        """Its name in the contract."""
        return self.rule.name

    @property
    def active(self) -> bool:
        """Whether it is active."""
        return bool(self.payload["active"])

    def update(self, found: RuleResult, now_s: float, wall_s: float) -> bool:
        """Take what the rule has found; return whether the payload has changed.

        Args:
            now_s: Monotonic time.
            wall_s: Seconds since the epoch.
        """
        holds = self._holds(found, now_s)
        if holds is None:
            return False
        if holds:
            self._absent_since_s = None
            self._holds_since_s = now_s if self._holds_since_s is None else self._holds_since_s
            if self.active:
                return self._follow(found, now_s)
            if now_s - self._holds_since_s >= found.after_s:
                self._raised_s = now_s
                flaps = now_s - self._cleared_s < _AGAIN_S
                self._clear_after_s = max(self.rule.clear_after_s, FLAPPING_S if flaps else 0.0)
                return self._change(True, found, now_s, wall_s)
            return False
        self._holds_since_s = None
        self._absent_since_s = now_s if self._absent_since_s is None else self._absent_since_s
        quiet = now_s - self._absent_since_s >= self._clear_after_s
        if self.active and quiet and now_s - self._raised_s >= SHORTEST_ACTIVE_S:
            self._cleared_s = now_s
            return self._change(False, RuleResult(False), now_s, wall_s)
        return False

    def _holds(self, found: RuleResult, now_s: float) -> bool | None:
        if found.holds is not None:
            self._known_s = now_s
            return found.holds
        return None if now_s - self._known_s < UNKNOWN_S else False

    def _follow(self, found: RuleResult, now_s: float) -> bool:
        """Take a new sentence or value of an active alert, unless the last one is too recent or nearly the same."""
        age_s = now_s - self._published_s
        other_detail = found.detail != self.payload["detail"]
        if (other_detail and age_s >= DETAIL_INTERVAL_S) or (self._moved(found.value) and age_s >= VALUE_INTERVAL_S):
            self.payload = {**self.payload, "detail": found.detail, "value": found.value}
            self._published_s = now_s
            return True
        return False

    def _moved(self, value: float | None) -> bool:
        before = self.payload["value"]
        if value is None or before is None:
            return value is not before
        return bool(abs(value - before) >= self.rule.value_step)

    def _change(self, active: bool, found: RuleResult, now_s: float, wall_s: float) -> bool:
        detail, value = (found.detail, found.value) if active else (None, None)
        self.payload = {"active": active, "since": timestamp(wall_s), "detail": detail, "value": value}
        self._published_s = now_s
        return True


class Alerts:
    """All alerts of the appliance. The thread `status` calls `evaluate`; any thread may read `active`.

    Args:
        facts: Collects what the alerts are decided from. Takes the names of the active alerts.
        publish: Publishes a payload on the topic of an alert.
        rules: The alerts.
        now_s: Clock that never jumps, in seconds.
        wall_s: Seconds since the epoch.
    """

    def __init__(
        self,
        facts: Callable[[frozenset[AlertName]], AlertFacts],
        publish: Callable[[AlertName, dict[str, Any]], None],
        *,
        rules: Sequence[AlertRule] = RULES,
        now_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._facts = facts
        self._publish = publish
        self._now_s = now_s
        self._wall_s = wall_s
        self._alerts = [Alert(rule, wall_s()) for rule in rules]
        self._logged_s: dict[AlertName, float] = {}  # when a warning was last logged
        self._told: frozenset[AlertName] = frozenset()  # alerts whose last rise was logged as a warning
        self._published = False
        self.active: tuple[AlertName, ...] = ()
        """The names of the active alerts, in the order of AlertName."""

    def evaluate(self) -> float:
        """Raise, clear and publish what has changed; the first call publishes all alerts. Returns the seconds to wait.

        A retained message of an earlier run is replaced by this. At the end of the daemon the messages stay:
        `availability` says that they are outdated.
        """
        now_s, first = self._now_s(), not self._published
        self._published = True
        facts = self._facts(frozenset(self.active))
        before = self.active
        changed = [
            alert for alert in self._alerts if alert.update(alert.rule.find(facts, alert.active), now_s, self._wall_s())
        ]
        self.active = tuple(alert.name for alert in self._alerts if alert.active)
        for alert in self._alerts if first else changed:
            self._publish(alert.name, alert.payload)
        for alert in changed:
            if alert.active != (alert.name in before):
                self._log(alert, now_s)
        return INTERVAL_S

    def _log(self, alert: Alert, now_s: float) -> None:
        """Log a warning with the sentence, or the end of the alert. One that comes and goes does not fill the log."""
        name = alert.name
        fields = log_fields(event="alert", outcome="raised" if alert.active else "over", alert=name.value)
        if alert.active:
            again = now_s - self._logged_s.get(name, -math.inf) < LOG_INTERVAL_S
            if not again:
                self._logged_s[name] = now_s
            self._told = self._told - {name} if again else self._told | {name}
            level = logging.DEBUG if again else logging.WARNING
            log.log(level, "alert %s: %s", name.value, alert.payload["detail"], extra=fields)
        else:
            level = logging.INFO if name in self._told else logging.DEBUG
            log.log(level, "the alert %s is over", name.value, extra=fields)
