"""Tells the world how the appliance is: `state` when it changes, `telemetry` at its interval."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from ishowtts.pipeline.bell import Bell
from ishowtts.speech import timestamp

Compose = Callable[[], dict[str, Any]]
Publish = Callable[[Literal["state", "telemetry"], Any], None]


class Herald:
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
        self._publish = publish
        self._state = state
        self._snapshot = snapshot
        self._on_state = on_state
        self._interval_s = interval_s
        self._bell = Bell()
        self._closing = False
        self._said: dict[str, Any] | None = None
        self._since = timestamp(time.time())
        self._thread = threading.Thread(target=self._run, name="herald")

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def nudge(self) -> None:
        """Something changed that the state may show."""
        self._bell.ring()

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def close(self, timeout_s: float) -> None:
        """Fall silent."""
        self._closing = True
        self._bell.ring()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing:
            self._bell.lower()
            self._tell_state()
            now = time.monotonic()
            if now >= due:
                self._publish("telemetry", self._snapshot())
                due = max(due + self._interval_s, now)
            self._bell.wait(max(0.0, due - time.monotonic()))

    def _tell_state(self) -> None:
        state = self._state()
        if state == self._said:
            return
        if self._said is None or state["state"] != self._said["state"]:
            self._since = timestamp(time.time())
        self._said = state
        self._publish("state", {**state, "since": self._since})
        self._on_state(state)
