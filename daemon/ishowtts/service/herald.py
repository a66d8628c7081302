"""Tells the world how the appliance is: `state` when it changes, `telemetry` at its interval."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from ishowtts.pipeline.rounds import Rounds
from ishowtts.speech import timestamp

Compose = Callable[[], dict[str, Any]]
Publish = Callable[[Literal["state", "telemetry"], Any], None]


class Herald(Rounds):
    """The thread `herald`.

    Args:
        publish: takes a retained topic's name and its payload.
        state: composes the state payload, without `since`.
        snapshot: composes the telemetry payload.
        on_state: told of each new state payload.
    """

    def __init__(
        self,
        publish: Publish,
        state: Compose,
        snapshot: Compose,
        on_state: Callable[[dict[str, Any]], None],
        interval_s: float,
    ) -> None:
        super().__init__("herald")
        self._publish = publish
        self._state = state
        self._snapshot = snapshot
        self._on_state = on_state
        self._interval_s = interval_s
        self._due = time.monotonic()
        self._said: dict[str, Any] | None = None
        self._since = timestamp(time.time())

    def look(self, last: bool) -> float:
        """Tell the state where it changed, and the telemetry where it is due."""
        self._tell_state()
        now = time.monotonic()
        if now >= self._due:
            self._publish("telemetry", self._snapshot())
            self._due = max(self._due + self._interval_s, now)
        return max(0.0, self._due - time.monotonic())

    def _tell_state(self) -> None:
        state = self._state()
        if state == self._said:
            return
        if self._said is None or state["state"] != self._said["state"]:
            self._since = timestamp(time.time())
        self._said = state
        self._publish("state", {**state, "since": self._since})
        self._on_state(state)
