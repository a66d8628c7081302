"""Counts what the events and the telemetry of one appliance report: the counters and histograms of `/metrics`.

All of them begin at 0 when the gateway first hears of the appliance, and only rise. A restart of the daemon does not
change them. A restart of the gateway sets them to 0, which `rate()` and `increase()` of Prometheus expect of a program
that restarts: what happened before does not count twice.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from ishowtts.model import FINAL_EVENTS
from ishowtts_gateway.appliances.published_value import number

ENGINES = ("f5", "hibari", "espeak", "remote")
OTHER_ENGINE = "other"
"""The label of an engine of a later version: names come from outside, and labels must not."""
OUTCOMES = tuple(sorted(FINAL_EVENTS))

RTF_BUCKETS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Fine below 1, where a machine is fast enough; the natural voice has 0.05 to 0.3, F5 0.1 to 0.9."""
FIRST_SOUND_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0)
"""A line from the cache takes 0.05 s, a long one with F5 on a small board some seconds."""
QUEUE_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0, 86400.0)
"""By default a line expires after 900 s; quiet hours hold it for hours."""

RESTARTS = "restarts "
"""Begins the name of the total that counts the restarts of an engine."""

_IDENTITY = ("event", "ts", "id", "command", "transaction", "detail")
"""Two events that agree in these are the same event."""
_MAX_SEEN = 256  # a daemon that was killed sends again what the broker had not confirmed: 20 events at most
_MOST_LINES_OF_AN_EVENT = 1e9

DAEMON_TOTALS: Mapping[str, tuple[str, str]] = {
    "audio_s": ("speech", "audio_s_total"),
    "cache_hits": ("speech", "cache_hits"),
    "unbucketed": ("engine", "unbucketed"),
    "underruns": ("audio", "underruns"),
    "device_losses": ("audio", "device_losses"),
    "reconnects": ("mqtt", "reconnects"),
    "renders_done": ("renders", "done"),
    "renders_failed": ("renders", "failed"),
    "renders_cancelled": ("renders", "cancelled"),
}
"""Totals that begin at 0 at each start of the daemon, and where they are in `telemetry`."""
BOARD_TOTALS: Mapping[str, tuple[str, str]] = {"throttle_events": ("board", "throttle_events")}
"""Totals that begin at 0 when the board is switched on."""


def total(value: Any) -> float | None:
    """A plausible total: a number that is not negative."""
    found = number(value)
    return None if found is None or found < 0 else float(found)


def field(payload: Any, *path: str) -> Any:
    """A value inside objects; `None` if one of them is missing or is not an object."""
    for key in path:
        payload = payload.get(key) if isinstance(payload, Mapping) else None
    return payload


def engine_label(name: Any) -> str:
    """The label of an engine."""
    return name if isinstance(name, str) and name in ENGINES else OTHER_ENGINE


class Histogram:
    """Observations, counted by their size.

    Args:
        bounds: Largest value of each bucket, in rising order. Larger values are counted too.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound as Prometheus writes it, with the number of values that do not exceed it."""
        names = [*map(str, self._bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True))


class ApplianceCounts:
    """Counters and histograms of one appliance.

    Args:
        monotonic_s: A clock.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._published_s: float | None = None
        self._retained_s: float | None = None
        self._uptime_s: float | None = None
        self._last: dict[str, float] = {}
        self.outcomes = dict.fromkeys(OUTCOMES, 0.0)
        self.accepted = 0.0
        self.commands = {"executed": 0.0, "refused": 0.0}
        self.inaudible = 0.0
        self.substituted = 0.0
        self.rtf: dict[str, Histogram] = {}
        self.first_sound_s: dict[str, Histogram] = {}
        self.queue_s = Histogram(QUEUE_BUCKETS_S)
        self.totals: dict[str, float] = {}

    def heard_within(self, age_s: float, *, retained: bool = False) -> bool:
        """Whether telemetry came within this time.

        Args:
            retained: Telemetry counts too that the broker had before we subscribed.
        """
        since_s = self._monotonic_s() - age_s
        heard = (self._published_s, self._retained_s if retained else None)
        return any(at_s is not None and at_s >= since_s for at_s in heard)

    def count_event(self, event: Mapping[str, Any]) -> None:
        """Count an event. Events come at least once: a repetition does not count."""
        name = event.get("event")
        if name not in ("accepted", "command", *OUTCOMES) or self._is_repetition(event):
            return
        lines = total(event.get("count")) or 1.0
        if name == "accepted":
            self.accepted += 1
        elif name == "command":
            self.commands["executed" if event.get("ok") is True else "refused"] += 1
        elif name in self.outcomes and lines <= _MOST_LINES_OF_AN_EVENT:
            self.outcomes[name] += lines
            if name == "finished":
                self._count_finished(event)

    def count_telemetry(self, telemetry: Mapping[str, Any], *, retained: bool) -> None:
        """Add what the totals of the appliance have risen by since the message before.

        Args:
            retained: The broker had the message before we subscribed. It does not count, since it may be old: a broker
                that was killed forgets the newest retained messages. The next one comes after an interval.
        """
        if retained:
            self._retained_s = self._monotonic_s()
        else:
            self._published_s = self._monotonic_s()
        for engine in _engines(telemetry):
            self._add_engine(engine_label(field(engine, "name")))
        uptime_s = total(field(telemetry, "uptime_s"))
        if retained or uptime_s is None:
            return
        restarted = self._uptime_s is not None and uptime_s < self._uptime_s
        self._uptime_s = uptime_s
        for key, value in _totals(telemetry).items():
            self.totals[key] = self.totals.get(key, 0.0) + _increase(self._last.get(key), value, key, restarted)
            self._last[key] = value

    def _is_repetition(self, event: Mapping[str, Any]) -> bool:
        seen = hash(tuple(str(event.get(key)) for key in _IDENTITY))
        if seen in self._seen:
            return True
        self._seen[seen] = None
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return False

    def _count_finished(self, event: Mapping[str, Any]) -> None:
        engine = engine_label(event.get("engine"))
        self._add_engine(engine)
        if event.get("audible") is False:
            self.inaudible += 1
        if event.get("substituted_for") is not None:
            self.substituted += 1
        rtf, first_s, queue_s = (total(event.get(key)) for key in ("rtf", "ttfa_s", "queue_s"))
        # As in telemetry: the sound of a cached line was not synthesised, and its time to first sound counts.
        if rtf is not None and event.get("cached") is not True:
            self.rtf[engine].observe(rtf)
        if first_s is not None:
            self.first_sound_s[engine].observe(first_s)
        if queue_s is not None:
            self.queue_s.observe(queue_s)

    def _add_engine(self, engine: str) -> None:
        """Begin its histograms at 0: Prometheus does not see the first rise of a series that begins at 1."""
        if engine not in self.rtf:
            self.rtf[engine] = Histogram(RTF_BUCKETS)
            self.first_sound_s[engine] = Histogram(FIRST_SOUND_BUCKETS_S)


def _increase(before: float | None, value: float, key: str, restarted: bool) -> float:
    """By how much a total has risen. The first one that is seen counts as 0."""
    if before is None:
        return 0.0
    if value < before or (restarted and key not in BOARD_TOTALS):
        return value
    return value - before


def _totals(telemetry: Mapping[str, Any]) -> dict[str, float]:
    """The totals that a message has. `restarts f5` is that of an engine."""
    paths = {**DAEMON_TOTALS, **BOARD_TOTALS}
    known = {key: value for key, path in paths.items() if (value := total(field(telemetry, *path))) is not None}
    for engine in _engines(telemetry):
        if (value := total(field(engine, "restarts"))) is not None:
            key = f"{RESTARTS}{engine_label(field(engine, 'name'))}"
            known[key] = known.get(key, 0.0) + value
    return known


def _engines(telemetry: Mapping[str, Any]) -> list[Any]:
    engines = telemetry.get("engines")
    return engines[:8] if isinstance(engines, list) else []
