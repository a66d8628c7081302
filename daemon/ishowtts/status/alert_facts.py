"""Collects what the alerts are decided from, out of the parts of the appliance."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from ishowtts.board import BoardReading
from ishowtts.board.clock_repair import ClockRepair
from ishowtts.board.jetson_clocks import STORE
from ishowtts.config import Config
from ishowtts.config.schema import AlertsSection
from ishowtts.engines.build import Engines
from ishowtts.engines.worker.supervisor import EngineState
from ishowtts.inbox import Inbox
from ishowtts.model import AlertName
from ishowtts.mqtt.link import MqttLink
from ishowtts.playback.player import Player
from ishowtts.status.alert_rules import FIRST_START_S, RESTART_CLOCKS, RESTART_S, AlertFacts, LeadingEngine
from ishowtts.status.alerts import Alerts
from ishowtts.status.telemetry import Telemetry
from ishowtts.util.disk_space import DiskSpace

READING_AGE_S = 5.5
"""A reading of the board is taken again after this time: a little more than telemetry usually takes to read it."""
_SPARE_MB = 50.0
_SPARE_SHARE = 0.1
_FIRST_START = (EngineState.STARTING, EngineState.LOADING, EngineState.WARMING, EngineState.READY)
_LOCK_BY_HAND = "`sudo jetson_clocks` locks it again, and `sudo systemctl restart ishowtts` accepts it as it is"
_LOCKED_S = 60.0  # throttling may lower the highest clock to the lowest one for a moment, which looks like a lock
_MIN_LINES = 5
_LINES_AGE_S = 600.0


class ThrottleCounter:
    """Counts how often the board slowed itself down since the alert was raised. The board counts since its boot."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._events = 0

    def update(self, reading: BoardReading, active: bool) -> tuple[bool | None, int | None]:
        """Take a reading; return whether the board is throttled, and the events. `None` stands for unknown.

        Args:
            active: Whether the alert is active. The count begins again when it is not.
        """
        now, before = reading.throttle_events, self._last
        self._last = before if now is None else now
        new = None if now is None or before is None else max(0, now - before)
        self._events = (self._events if active else 0) + (new or 0)
        if new is None and reading.throttled is None:
            return None, None
        return bool(new) or reading.throttled is True, None if now is None else self._events


class ClockLock:
    """Decides whether the clocks are meant to be locked. On most machines nobody locks them, and no alert may say so.

    They are if `ishowtts-clocks.service` has stored the former clocks. They are also if somebody else had locked them
    while the daemon ran.

    Args:
        store: The file of `ishowtts-clocks.service`, which this user need not be able to read. It is empty after a
            run that was interrupted before it stored anything.
        now_s: Clock that never jumps, in seconds.
    """

    def __init__(self, store: Path, now_s: Callable[[], float]) -> None:
        self._store = store
        self._now_s = now_s
        self._had_store = False
        self._locked_since_s: float | None = None
        self._seen_locked = False

    def lock_again(self, locked: bool | None) -> str | None:
        """Return how to lock the clocks again; `None` if they are not meant to be locked."""
        if self._is_stored():
            self._had_store = True
            return RESTART_CLOCKS
        if self._had_store:
            # `ishowtts clocks restore` or a stopped service: somebody wants them unlocked.
            self._had_store = self._seen_locked = False
            self._locked_since_s = None
        now_s = self._now_s()
        if locked is False:
            self._locked_since_s = None
        elif locked and self._locked_since_s is None:
            self._locked_since_s = now_s
        if self._locked_since_s is not None and now_s - self._locked_since_s >= _LOCKED_S:
            self._seen_locked = True
        return _LOCK_BY_HAND if self._seen_locked else None

    def _is_stored(self) -> bool:
        try:
            return self._store.stat().st_size > 0
        except OSError:
            return False


@dataclass(frozen=True)
class AlertFactCollector:
    """Collects the facts, and has the clocks repaired while their alert is active. The thread `status` calls it.

    Args:
        limits: Returns the section `alerts` of the configuration, which a reload may change.
    """

    limits: Callable[[], AlertsSection]
    telemetry: Telemetry
    engines: Engines
    player: Player
    link: MqttLink
    inbox: Inbox
    disk: DiskSpace
    clock_lock: ClockLock
    throttle_counter: ThrottleCounter
    clock_repair: ClockRepair

    def collect(self, active: Set[AlertName]) -> AlertFacts:
        """Collect them now.

        Args:
            active: The alerts that are active.
        """
        self.clock_repair.update(AlertName.CLOCKS_UNLOCKED in active)
        reading = self.telemetry.reading(READING_AGE_S)
        throttled, events = self.throttle_counter.update(reading, AlertName.THROTTLED in active)
        engine, limits = self.engines.order[0].name, self.limits()
        return AlertFacts(
            limits.hot_c,
            limits.slow_rtf,
            reading,
            leading_engine(self.engines),
            engine,
            self.player.status(),
            self.player.silences(),
            throttled=throttled,
            throttle_events=events,
            lock_again=self.clock_lock.lock_again(reading.gpu_clock_locked),
            rtf=self._rtf(engine),
            deaf=self.link.deaf,
            disk=disk_problem(self.inbox, self.disk, active=AlertName.DISK_SHORT in active),
            free_mb=_whole(self.disk.free_mb()),
        )

    def _rtf(self, engine: str) -> float | None:
        recent = self.telemetry.recent_rtf(engine, _LINES_AGE_S)
        return None if recent is None or recent.lines < _MIN_LINES else recent.median


def leading_engine(engines: Engines) -> LeadingEngine:
    """The engine that should lead, also if the check of its speed has taken it out of the order."""
    first, *others = engines.order
    choice = engines.choice
    if choice.why in engines.notes:  # another engine leads, because F5 is too slow
        return LeadingEngine("f5", choice.why, deputy=first.name, dropped=True)
    problem, status = first.problem(), first.status()
    deputy = next((each.name for each in others if each.problem() is None), None)
    if problem is None or status is None:
        may_take_s = RESTART_S if problem and first.comes_and_goes else 0.0  # a board that restarts is soon back
        return LeadingEngine(first.name, problem, may_take_s, deputy)
    if status.state is not EngineState.READY:  # in the words of `state`
        problem = f"the {status.name} engine is {status.state.value}" + (f": {status.detail}" if status.detail else "")
    starts = status.restarts == 0 and status.state in _FIRST_START
    return LeadingEngine(first.name, problem, FIRST_START_S if starts else RESTART_S, deputy)


def disk_problem(inbox: Inbox, disk: DiskSpace, *, active: bool) -> str | None:
    """Why the disk is short. An alert that is active ends only if there is some space more than is needed."""
    if not inbox.durable and inbox.problem is not None:
        return f"{inbox.problem}; make room on the disk, or see that the appliance may write there"
    return disk.shortage(max(_SPARE_MB, _SPARE_SHARE * disk.min_free_mb) if active else 0.0)


def _whole(value: float | None) -> float | None:
    return None if value is None else round(value)


def build_alerts(
    config: Config,
    telemetry: Telemetry,
    *,
    limits: Callable[[], AlertsSection],
    engines: Engines,
    player: Player,
    link: MqttLink,
    inbox: Inbox,
    disk: DiskSpace,
) -> Alerts:
    """Build the alerts of the daemon.

    Args:
        limits: See `AlertFactCollector`.
    """
    lock = ClockLock(STORE, time.monotonic)
    repair = ClockRepair.of_service(enabled=config.board.repair_clocks)
    facts = AlertFactCollector(limits, telemetry, engines, player, link, inbox, disk, lock, ThrottleCounter(), repair)
    return Alerts(facts.collect, link.publish_retained)
