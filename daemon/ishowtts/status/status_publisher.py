"""Publishes `state`, `volume` and `muted` when they change, and `telemetry` at its interval."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal

from ishowtts.model import timestamp
from ishowtts.util.loop_thread import LoopThread

_DEPTH_S = 0.25
_CHANGE_S = 0.05  # a flood of `mute` and `unmute` must not fill the connection that events share

Level = Literal["volume", "muted"]
Compose = Callable[[], dict[str, Any]]
Publish = Callable[[Literal["state", "telemetry"] | Level, Any], None]

_LEVELS: tuple[Level, ...] = ("volume", "muted")


class StatusPublisher(LoopThread):
    """The thread `herald`.

    A change is published at once if the one before is 50 ms ago; if only the queue's depth changed, 250 ms.

    Args:
        publish: takes a retained topic's name and its payload.
        state: composes the state payload, without `since`; it holds the volume and whether the appliance is muted.
        snapshot: composes the telemetry payload.
        on_state: told of each new state payload, and whether its word or its reason is new.
    """

    def __init__(
        self,
        publish: Publish,
        state: Compose,
        snapshot: Compose,
        on_state: Callable[[dict[str, Any], bool], None],
        interval_s: float,
    ) -> None:
        super().__init__("herald")
        self._publish = publish
        self._state = state
        self._snapshot = snapshot
        self._on_state = on_state
        self._interval_s = interval_s
        self._due = time.monotonic()
        self._said: dict[str, Any] = {}
        self._said_at = -math.inf
        self._since = timestamp(time.time())

    def run_once(self, last: bool) -> float:
        """Tell the state where it changed, and the telemetry where it is due."""
        rest_s = self._tell_state(last)
        now = time.monotonic()
        if now >= self._due:
            self._publish("telemetry", self._snapshot())
            self._due = max(self._due + self._interval_s, now)
        return max(0.0, min(rest_s, self._due - time.monotonic()))

    def _tell_state(self, last: bool) -> float:
        """Seconds until there may be more to tell."""
        rest_s = self._said_at + _CHANGE_S - time.monotonic()
        if rest_s > 0 and not last:
            return rest_s
        state = self._state()
        if state == self._said:
            return math.inf
        deeper = {**self._said, "queue_depth": state["queue_depth"]} == state
        rest_s = self._said_at + _DEPTH_S - time.monotonic()
        if deeper and rest_s > 0:
            return rest_s
        if state["state"] != self._said.get("state"):
            self._since = timestamp(time.time())
        is_news = any(state[name] != self._said.get(name, "") for name in ("state", "detail"))
        changed = [name for name in _LEVELS if state[name] != self._said.get(name)]
        self._said, self._said_at = state, time.monotonic()
        self._publish("state", {**state, "since": self._since})
        for name in changed:
            self._publish(name, state[name])
        self._on_state(state, is_news)
        return math.inf
