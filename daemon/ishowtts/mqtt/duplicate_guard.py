"""Whether somebody else lives on our root: two appliances of one name would take each other's session for ever."""

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
_INTERVALS = 2.5  # of its signs of life, which somebody who lives lets pass at most
_MAX_INTERVAL_S = 3600.0
_PROBE_S = 30.0  # an appliance publishes a probe this often at least, or its state changes
_ECHO_S = 2.0  # what is heard so soon after we left may be our own


class GuardView(Enum):
    """What we know of the root."""

    BLIND = "no subscription stands"
    WATCHING = "a stranger was here last"
    AWAY = "a stranger lives here"
    CLEAR = "the root is ours"


class GuardAction(Enum):
    """What to do about what was heard."""

    NOTHING = "nothing"
    YIELD = "leave the root to the other"
    ANSWER = "publish our info again: the other is to leave, or to show that it lives"


@dataclass(frozen=True)
class OtherInstance:
    """Another appliance, from its `info`.

    Args:
        place: its host and board, as they may stand in a sentence.
        interval_s: how often it publishes telemetry, where it says so.
    """

    instance: str
    place: str
    interval_s: float | None = None


@dataclass(frozen=True)
class GuardTimeouts:
    """How long silence must last.

    Args:
        interval_s: our own telemetry interval; a stranger's counts where it is longer, up to that of the probe.
        silence_s: at least so long after we found its retained `info`, before we take it for dead.
        away_s: at least so long after a sign of life.
    """

    interval_s: float = 5.0
    silence_s: float = 12.0
    away_s: float = 60.0

    def after_info(self, stranger: OtherInstance) -> float:
        """Seconds to wait for a sign of life."""
        return max(self.silence_s, _INTERVALS * min(_PROBE_S, max(self.interval_s, stranger.interval_s or 0.0)))

    def after_life(self, stranger: OtherInstance) -> float:
        """Seconds of silence after which somebody who lived has gone."""
        return max(self.away_s, self.after_info(stranger))


class DuplicateInstanceGuard:
    """Decides from what is published on our root whether it is ours. Any thread may call any method.

    A stranger's `info` that was there before us is watched for a sign of life. Where two find the root free at
    the same time, each hears the other's `info`, and the one with the greater instance id leaves. It answers first with
    its own, and leaves once the other's has come again: a single message must not silence an appliance.

    Args:
        own: our instance id.
        predecessors: those of earlier runs on our state directory: they have ended.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        root: str,
        own: str,
        predecessors: Collection[str],
        patience: GuardTimeouts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._own = own
        self._ours = frozenset(predecessors) | {own}
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._view = GuardView.BLIND
        self._found: OtherInstance | None = None  # in the retained info, before the subscription stood
        self._stranger: OtherInstance | None = None  # whom we watch, or keep away from
        self._lived = False  # that stranger has shown it
        self._challenged: str | None = None  # the instance whose `info` we have answered with our own
        self._stale = False  # somebody else has taken the lines of this root since our last session
        self._left_s = -math.inf  # when we left the root
        self._until_s = 0.0

    def lost(self) -> None:
        """We hear nothing any more."""
        with self._lock:
            self._view, self._found = GuardView.BLIND, None

    def looked(self, holding: bool) -> GuardAction:
        """The subscriptions stand, and what was retained has been heard.

        Args:
            holding: our lines connection works.
        """
        with self._lock:
            known, found = self._stranger, self._found
            if holding:
                self._view = GuardView.CLEAR
                return GuardAction.NOTHING if found is None else self._contend(found)
            if (stranger := found or known) is None:
                self._view = GuardView.CLEAR
                return GuardAction.NOTHING
            # Whoever lived when we lost the broker may be slower to find it again than we are.
            lived = self._lived and known is not None and known.instance == stranger.instance
            patience = self._patience.after_life if lived else self._patience.after_info
            self._watch(GuardView.AWAY if lived else GuardView.WATCHING, stranger, patience(stranger))
            return GuardAction.NOTHING

    def heard(self, name: str, payload: bytes, retained: bool) -> GuardAction:
        """Something was published on our root: `info`, `state`, `telemetry` or `probe`."""
        stranger = self._stranger_in(payload) if name == "info" else None
        with self._lock:
            if self._view is GuardView.BLIND:
                self._found = stranger or self._found
            elif self._view is GuardView.CLEAR:
                # State and telemetry are our own, or of somebody whose info we hear as well.
                return GuardAction.NOTHING if stranger is None else self._contend(stranger)
            elif not retained and (name != "info" or stranger is not None):
                alive = stranger or self._stranger
                assert alive is not None  # noqa: S101  both views have one
                # `info` alone is no proof: what waits in our session would be dropped for two forged messages.
                self._stale |= name in ("state", "telemetry") and self._clock() > self._left_s + _ECHO_S
                self._watch(GuardView.AWAY, alive, self._patience.after_life(alive))
            return GuardAction.NOTHING

    def wait_s(self) -> float:
        """Seconds until the root may be ours, from what we know now; 0: it is."""
        with self._lock:
            if self._view in (GuardView.WATCHING, GuardView.AWAY) and self._clock() >= self._until_s:
                self._view, self._stranger = GuardView.CLEAR, None
            if self._view is GuardView.CLEAR:
                return 0.0
            return _MAX_INTERVAL_S if self._view is GuardView.BLIND else self._until_s - self._clock()

    @property
    def trouble(self) -> str | None:
        """The sentence for the operator while we keep away."""
        with self._lock:
            if self._stranger is None or self._view in (GuardView.BLIND, GuardView.CLEAR):
                return None
            who = f"instance {self._stranger.instance[:8]} on {self._stranger.place}"
            if self._view is GuardView.WATCHING:
                return f"the last appliance on {self._root} was another one ({who}); it is given time to show it lives"
            return (
                f"another appliance is live on {self._root} ({who}), so this one (instance {self._own[:8]}) "
                "keeps away; give one of the two another device.name"
            )

    def take_stale(self) -> bool:
        """Whether another appliance took the lines of this root since this was last asked."""
        with self._lock:
            stale, self._stale = self._stale, False
            return stale

    def _watch(self, view: GuardView, stranger: OtherInstance, wait_s: float) -> None:
        self._view, self._stranger, self._lived = view, stranger, view is GuardView.AWAY
        self._until_s = self._clock() + wait_s

    def _contend(self, stranger: OtherInstance) -> GuardAction:
        if stranger.instance > self._own or stranger.instance != self._challenged:
            self._challenged = stranger.instance
            return GuardAction.ANSWER
        self._challenged, self._left_s = None, self._clock()
        self._watch(GuardView.AWAY, stranger, self._patience.after_life(stranger))
        return GuardAction.YIELD

    def _stranger_in(self, payload: bytes) -> OtherInstance | None:
        """Who published an `info`; `None` for ourselves, a predecessor, and what names nobody."""
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
