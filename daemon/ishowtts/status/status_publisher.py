"""Publishes `state`, `volume`, `muted`, `voice` and the alerts when they change, and `telemetry` periodically."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal

from ishowtts.model import timestamp
from ishowtts.util.loop_thread import LoopThread

_DEPTH_INTERVAL_S = 0.25
_CHANGE_INTERVAL_S = 0.05  # a flood of `mute` and `unmute` must not fill the connection that events share

Level = Literal["volume", "muted", "voice"]
Compose = Callable[[], dict[str, Any]]
Publish = Callable[[Literal["state", "telemetry"] | Level, Any], None]

_LEVELS: tuple[Level, ...] = ("volume", "muted", "voice")


class StatusPublisher(LoopThread):
    """The thread `status`.

    A change is published at once, but at most every 50 ms, and at most every 250 ms if only the queue depth changed.

    Args:
        publish: Publishes a payload on a retained topic, given by its name.
        state: Composes the state payload without `since`. It includes `volume`, `muted` and `voice`.
        telemetry: Composes the telemetry payload.
        on_state: Called with each new state payload, and whether its `state` or `detail` differ from the last one.
        interval_s: Interval of telemetry, in seconds.
        alerts: Publishes the alerts that have changed. Returns the seconds until it must be called again.
    """

    def __init__(
        self,
        publish: Publish,
        state: Compose,
        telemetry: Compose,
        on_state: Callable[[dict[str, Any], bool], None],
        interval_s: float,
        *,
        alerts: Callable[[], float] = lambda: math.inf,
    ) -> None:
        super().__init__("status")
        self._publish = publish
        self._state = state
        self._telemetry = telemetry
        self._on_state = on_state
        self._interval_s = interval_s
        self._alerts = alerts
        self._telemetry_at = time.monotonic()
        self._published: dict[str, Any] = {}
        self._published_at = -math.inf
        self._since = timestamp(time.time())

    def set_interval(self, interval_s: float) -> None:
        """Publish telemetry in another interval, in seconds. The next one comes at once."""
        self._interval_s = interval_s
        self._telemetry_at = time.monotonic()
        self.wake()

    def run_once(self, last: bool) -> float:
        """Publish telemetry if it is due, then the alerts and the state if they changed."""
        now = time.monotonic()
        if now >= self._telemetry_at:
            self._publish("telemetry", self._telemetry())
            self._telemetry_at = max(self._telemetry_at + self._interval_s, now)
        wait_s = self._publish_alerts_and_state(last)  # after telemetry, whose readings the alerts use
        return max(0.0, min(wait_s, self._telemetry_at - time.monotonic()))

    def _publish_alerts_and_state(self, last: bool) -> float:
        """Publish both if the state may be published now; return the seconds until the next try."""
        wait_s = self._published_at + _CHANGE_INTERVAL_S - time.monotonic()
        if wait_s > 0 and not last:
            return wait_s
        alerts_wait_s = self._alerts()  # before the state, which names the active alerts
        state = self._state()
        if state == self._published:
            return alerts_wait_s
        only_depth = {**self._published, "queue_depth": state["queue_depth"]} == state
        wait_s = self._published_at + _DEPTH_INTERVAL_S - time.monotonic()
        if only_depth and wait_s > 0:
            return wait_s
        if state["state"] != self._published.get("state"):
            self._since = timestamp(time.time())
        is_news = any(state[name] != self._published.get(name, "") for name in ("state", "detail"))
        changed = [name for name in _LEVELS if state[name] != self._published.get(name)]
        self._published, self._published_at = state, time.monotonic()
        self._publish("state", {**state, "since": self._since})
        for name in changed:
            self._publish(name, state[name])
        self._on_state(state, is_news)
        return alerts_wait_s
