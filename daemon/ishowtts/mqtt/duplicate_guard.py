"""Detects another appliance that uses our root topic: two of one name would take each other's session forever."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ishowtts.mqtt import strict_json
from ishowtts.mqtt.strict_json import BadJson, NotJson, clip

_MAX_INFO_BYTES = 1 << 18
_INTERVALS = 2.5  # an appliance that is live publishes telemetry at least once in so many intervals
_MAX_INTERVAL_S = 3600.0
_PROBE_S = 30.0  # an appliance publishes a probe at least this often, or its state changes
_ECHO_S = 2.0  # a message that comes so soon after we yielded may be our own


class GuardState(Enum):
    """What we know about the root topic."""

    UNKNOWN = "we are not subscribed"
    CHECKING = "another instance was here last, and may be live"
    YIELDED = "another instance is live"
    OURS = "the root is ours"


class GuardAction(Enum):
    """What the link must do after a message."""

    NOTHING = "nothing"
    YIELD = "leave the root to the other instance"
    REPUBLISH_INFO = "publish our info again: the other instance must leave, or show that it is live"


@dataclass(frozen=True)
class OtherInstance:
    """Another appliance, from its `info`.

    Args:
        place: Its host and board, safe for use in a sentence.
        interval_s: How often it publishes telemetry, if it says so.
    """

    instance: str
    place: str
    interval_s: float | None = None


@dataclass(frozen=True)
class GuardTimeouts:
    """How long another instance must be silent.

    Args:
        interval_s: Our telemetry interval. A longer one of the other instance counts instead, up to that of the probe.
        silence_s: Minimum silence after we found its retained `info`, before we assume that it is dead.
        retry_s: Minimum silence after its last live message.
    """

    interval_s: float = 5.0
    silence_s: float = 12.0
    retry_s: float = 60.0

    def after_info(self, other: OtherInstance) -> float:
        """Seconds to wait for a live message of an instance that left its `info`."""
        return max(self.silence_s, _INTERVALS * min(_PROBE_S, max(self.interval_s, other.interval_s or 0.0)))

    def after_live_message(self, other: OtherInstance) -> float:
        """Seconds of silence after which an instance that was live is gone."""
        return max(self.retry_s, self.after_info(other))


class DuplicateInstanceGuard:
    """Decides whether the root topic is ours, from what is published on it. Any thread may call any method.

    If the `info` of another instance was there before us, the guard waits for a live message of it. If two instances
    find the root free at the same time, each receives the other's `info`, and the one with the greater instance id
    leaves. First it republishes its own `info`. It leaves only when the other's comes again, because a single forged
    message must not silence an appliance.

    Args:
        own: Our instance id.
        predecessors: The ids of earlier runs on our state directory. They have ended.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        root: str,
        own: str,
        predecessors: Collection[str],
        timeouts: GuardTimeouts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._own = own
        self._ours = frozenset(predecessors) | {own}
        self._timeouts = timeouts
        self._clock = clock
        self._lock = threading.Lock()
        self._state = GuardState.UNKNOWN
        self._retained_other: OtherInstance | None = None  # from the retained info, before the subscription was granted
        self._other: OtherInstance | None = None  # whom we wait for or yielded to
        self._other_was_live = False
        self._challenged: str | None = None  # the instance whose `info` we have answered with our own
        self._session_stale = False  # another instance has taken the lines of this root since our last session
        self._yielded_s = -math.inf  # when we left the root
        self._until_s = 0.0
        self._timeout_s = 0.0  # how long the other must be silent

    def set_timeouts(self, timeouts: GuardTimeouts) -> None:
        """Take other timeouts for the next instance that is found."""
        self._timeouts = timeouts

    def disconnected(self) -> None:
        """The subscriptions are gone."""
        with self._lock:
            self._state, self._retained_other = GuardState.UNKNOWN, None

    def subscribed(self, lines_connected: bool) -> GuardAction:
        """The subscriptions are granted, and the retained values have come.

        Args:
            lines_connected: Whether our lines connection works.
        """
        with self._lock:
            known, found = self._other, self._retained_other
            if lines_connected:
                self._state = GuardState.OURS
                return GuardAction.NOTHING if found is None else self._resolve_conflict(found)
            if (other := found or known) is None:
                self._state = GuardState.OURS
                return GuardAction.NOTHING
            # An instance that was live when we lost the broker may reconnect later than we do.
            live = self._other_was_live and known is not None and known.instance == other.instance
            timeout = self._timeouts.after_live_message if live else self._timeouts.after_info
            self._wait_for(GuardState.YIELDED if live else GuardState.CHECKING, other, timeout(other))
            return GuardAction.NOTHING

    def message(self, name: str, payload: bytes, retained: bool) -> GuardAction:
        """A message came on a watched topic of our root: `info`, `state`, `telemetry` or `probe`."""
        other = self._other_in(payload) if name == "info" else None
        with self._lock:
            if self._state is GuardState.UNKNOWN:
                self._retained_other = other or self._retained_other
            elif self._state is GuardState.OURS:
                # State and telemetry are our own, or come from an instance whose info we receive as well.
                return GuardAction.NOTHING if other is None else self._resolve_conflict(other)
            elif not retained and (name != "info" or other is not None):
                live = other or self._other
                assert live is not None  # noqa: S101  both states have one
                # `info` alone proves nothing: two forged messages would make us drop the lines in our session.
                self._session_stale |= name in ("state", "telemetry") and self._clock() > self._yielded_s + _ECHO_S
                self._wait_for(GuardState.YIELDED, live, self._timeouts.after_live_message(live))
            return GuardAction.NOTHING

    def wait_s(self) -> float:
        """Seconds until the root may be ours, as far as we know now. 0 if it is ours."""
        with self._lock:
            if self._state in (GuardState.CHECKING, GuardState.YIELDED) and self._clock() >= self._until_s:
                self._state, self._other = GuardState.OURS, None
            if self._state is GuardState.OURS:
                return 0.0
            return _MAX_INTERVAL_S if self._state is GuardState.UNKNOWN else self._until_s - self._clock()

    @property
    def problem(self) -> str | None:
        """The sentence for the operator while we do not use the root."""
        with self._lock:
            if self._other is None or self._state in (GuardState.UNKNOWN, GuardState.OURS):
                return None
            who = f"instance {self._other.instance[:8]} on {self._other.place}"
            if self._state is GuardState.CHECKING:
                return (
                    f"the last appliance on {self._root} was another one ({who}); "
                    "this one waits for a sign that it is live, and takes over "
                    f"after {self._timeout_s:.0f} s without one"
                )
            return (
                f"another appliance is live on {self._root} ({who}), so this one (instance {self._own[:8]}) "
                f"keeps away until the other is silent for {self._timeout_s:.0f} s; "
                "give one of the two another device.name"
            )

    def take_session_stale(self) -> bool:
        """Whether another instance took the lines of this root since the last call."""
        with self._lock:
            stale, self._session_stale = self._session_stale, False
            return stale

    def _wait_for(self, state: GuardState, other: OtherInstance, wait_s: float) -> None:
        self._state, self._other, self._other_was_live = state, other, state is GuardState.YIELDED
        self._until_s, self._timeout_s = self._clock() + wait_s, wait_s

    def _resolve_conflict(self, other: OtherInstance) -> GuardAction:
        if other.instance > self._own or other.instance != self._challenged:
            self._challenged = other.instance
            return GuardAction.REPUBLISH_INFO
        self._challenged, self._yielded_s = None, self._clock()
        self._wait_for(GuardState.YIELDED, other, self._timeouts.after_live_message(other))
        return GuardAction.YIELD

    def _other_in(self, payload: bytes) -> OtherInstance | None:
        """The instance that published an `info`. `None` for ourselves, a predecessor, or if it names no instance."""
        if len(payload) > _MAX_INFO_BYTES:
            return None
        try:
            info = strict_json.loads(payload.decode("utf-8"))
        except (UnicodeDecodeError, NotJson, BadJson):
            return None
        instance = info.get("instance") if isinstance(info, dict) else None
        if not isinstance(instance, str) or not re.fullmatch(r"[0-9A-Za-z-]{1,64}", instance) or instance in self._ours:
            return None
        places = [clip(info[key], 80) for key in ("host", "board") if isinstance(info.get(key), str)]
        return OtherInstance(
            instance, ", ".join(places) or "a board without a name", _interval(info.get("telemetry_s"))
        )


def _interval(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MAX_INTERVAL_S:
        return None
    return float(value)
