"""The facts of the alerts come from the parts of the appliance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ishowtts.board import BoardReading
from ishowtts.board.clock_repair import REQUEST_FILE, ClockRepair
from ishowtts.board.simulated import SimulatedSensors
from ishowtts.config.schema import AlertsSection
from ishowtts.engines.build import Engines
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.inbox import Inbox
from ishowtts.model import AlertName, EngineShare, Report
from ishowtts.status.alert_facts import AlertFactCollector, ClockLock, ThrottleCounter, disk_problem, leading_engine
from ishowtts.status.alert_rules import RESTART_CLOCKS, LeadingEngine
from ishowtts.status.alerts import Alerts
from ishowtts.status.speech_figures import SpeechFigures
from ishowtts.util.disk_space import DiskSpace
from support.clock import Clock

SLOW = "F5 needs 27 s for a second of speech here, so hibari leads; a GPU would help"


def counted(*readings: tuple[int | None, bool | None, bool]) -> list[tuple[bool | None, int | None]]:
    """What follows from readings of (events since the boot, throttled now, alert is active)."""
    counter = ThrottleCounter()
    return [
        counter.update(BoardReading(throttle_events=events, throttled=now), active) for events, now, active in readings
    ]


@pytest.mark.parametrize(
    ("readings", "seen"),
    [
        ([(None, None, False)], [(None, None)]),
        ([(7, None, False)], [(None, None)]),
        ([(7, None, False), (7, None, False)], [(None, None), (False, 0)]),
        ([(7, None, False), (9, None, False), (9, None, True)], [(None, None), (True, 2), (False, 2)]),
        ([(7, False, False), (9, False, False), (10, False, True)], [(False, 0), (True, 2), (True, 3)]),
        ([(7, False, False), (9, False, False), (10, False, False)], [(False, 0), (True, 2), (True, 1)]),
        ([(7, False, False), (None, None, False), (8, None, False)], [(False, 0), (None, None), (True, 1)]),
        ([(7, False, False), (2, False, False), (3, False, False)], [(False, 0), (False, 0), (True, 1)]),
        ([(None, True, False)], [(True, None)]),
        ([(7, True, False)], [(True, 0)]),
    ],
)
def test_throttle_events_are_counted_since_the_alert_was_raised(readings: Any, seen: Any) -> None:
    assert counted(*readings) == seen


def alerts_of(folder: Path, clock: Clock, reading: Callable[[], BoardReading], figures: SpeechFigures) -> Alerts:
    """The alerts of an appliance of which only the board and the speed of speech are of interest."""
    store = folder / "store"
    store.write_text("clocks")
    parts: Any = SimpleNamespace(
        reading=lambda _age_s: reading(),
        recent_rtf=figures.recent_rtf,
        order=[SimpleNamespace(name="espeak", problem=lambda: None, status=lambda: None, comes_and_goes=False)],
        choice=SimpleNamespace(why="it was chosen"),
        notes=(),
        status=lambda: SimpleNamespace(lost=None, substitute_reason=None),
        silences=frozenset,
        deaf=None,
        durable=True,
        shortage=lambda _extra_mb: None,
        free_mb=lambda: None,
    )
    collector = AlertFactCollector(
        AlertsSection, parts, parts, parts, parts, parts, parts, ClockLock(store, clock), ThrottleCounter(),
        ClockRepair(folder, store=store, now_s=clock),
    )  # fmt: skip
    return Alerts(collector.collect, lambda _name, _payload: None, now_s=clock)


def test_the_alerts_of_a_board_follow_heat_and_locks_and_speed(tmp_path: Path) -> None:
    clock = Clock()
    board, figures = SimulatedSensors(lambda: True, clock), SpeechFigures(clock)
    alerts = alerts_of(tmp_path, clock, board.read, figures)

    def after(wait_s: float, rtf: float | None = None) -> list[str]:
        """The active alerts, if the board speaks a line every 5 s for this time."""
        for _ in range(int(wait_s / 5)):
            clock.now_s += 5
            if rtf is not None:
                figures.record(Report(0, rtf, 1, 0.3, "espeak", "", shares=(EngineShare("espeak", rtf, 1),)))
            alerts.evaluate()
        return [name.value for name in alerts.active]

    assert after(600, 0.1) == []
    board.ambient_c = 85.0
    assert after(600, 0.1) == ["throttled", "hot"]
    board.ambient_c = 24.0
    assert after(30, 0.1)[0] == "throttled"
    assert after(600, 0.1) == []
    board.locked = False
    assert after(5, 0.1) == []
    assert after(10, 0.1) == ["clocks_unlocked"]
    assert after(60, 0.9) == ["clocks_unlocked", "slow"]
    board.locked = True
    assert after(10, 0.9) == ["slow"]
    assert after(60, 0.1) == []
    after(60, 0.9)
    assert after(900) == [], "too few lines"


def test_a_repair_of_the_clocks_is_asked_for_while_their_alert_is_active(tmp_path: Path) -> None:
    clock = Clock()
    readings = [BoardReading(gpu_clock_locked=locked) for locked in (True, False, False, False, True, True)]
    alerts = alerts_of(tmp_path, clock, lambda: readings.pop(0), SpeechFigures(clock))
    asked = []
    for _ in range(len(readings)):
        alerts.evaluate()
        asked.append((tmp_path / REQUEST_FILE).exists())
        clock.now_s += 10
    assert asked == [False, False, False, True, True, True]
    assert AlertName.CLOCKS_UNLOCKED not in alerts.active


def test_the_clocks_are_meant_to_be_locked_while_the_service_has_stored_them(tmp_path: Path) -> None:
    store, clock = tmp_path / "store", Clock()
    lock = ClockLock(store, clock)
    assert lock.lock_again(False) is None, "nobody locks the clocks of a desktop"
    store.touch()
    assert lock.lock_again(False) is None, "it was interrupted before it stored anything"
    store.write_text("clocks")
    assert lock.lock_again(True) == lock.lock_again(None) == RESTART_CLOCKS
    clock.now_s += 1000
    assert lock.lock_again(False) == RESTART_CLOCKS
    assert lock.lock_again(True) == RESTART_CLOCKS
    clock.now_s += 1000
    store.unlink()
    assert lock.lock_again(True) is None, "`ishowtts clocks restore`"
    assert lock.lock_again(False) is None


def test_clocks_that_somebody_else_had_locked_for_a_minute_are_meant_to_be(tmp_path: Path) -> None:
    clock = Clock()
    lock = ClockLock(tmp_path / "store", clock)
    for wait_s, locked in ((0, True), (59, True), (1, False), (0, True), (59, None)):
        clock.now_s += wait_s
        assert lock.lock_again(locked) is None
    clock.now_s += 1
    assert "jetson_clocks" in (lock.lock_again(True) or "")
    assert lock.lock_again(False) == lock.lock_again(None) == lock.lock_again(True)
    (tmp_path / "store").write_text("clocks")
    assert lock.lock_again(False) == RESTART_CLOCKS
    (tmp_path / "store").unlink()
    assert lock.lock_again(True) is None, "the service was stopped"
    clock.now_s += 60
    assert "jetson_clocks" in (lock.lock_again(True) or "")


def candidate(name: str, problem: str | None = None, status: EngineStatus | None = None) -> Any:
    comes_and_goes = name == "remote"
    return SimpleNamespace(name=name, problem=lambda: problem, status=lambda: status, comes_and_goes=comes_and_goes)


def engines(order: Sequence[Any], why: str = "configured", notes: tuple[str, ...] = ()) -> Engines:
    return cast("Engines", SimpleNamespace(order=order, choice=SimpleNamespace(why=why), notes=notes))


READY = EngineStatus("f5", EngineState.READY, 24_000)
WARMING = EngineStatus("f5", EngineState.WARMING, 24_000)
PARKED = EngineStatus("f5", EngineState.PARKED, 24_000, detail="it died", restarts=3)
ESPEAK = candidate("espeak")


@pytest.mark.parametrize(
    ("found", "leader"),
    [
        (engines([ESPEAK]), LeadingEngine("espeak")),
        (engines([candidate("espeak", "it is missing")]), LeadingEngine("espeak", "it is missing")),
        (engines([candidate("f5", None, READY), ESPEAK]), LeadingEngine("f5", deputy="espeak")),
        (
            engines([candidate("f5", "x", WARMING), candidate("hibari", "y", WARMING), ESPEAK]),
            LeadingEngine("f5", "the f5 engine is warming", 600, "espeak"),
        ),
        (
            engines([candidate("f5", "its speed is not known yet", READY), ESPEAK]),
            LeadingEngine("f5", "its speed is not known yet", 600, "espeak"),
        ),
        (
            engines([candidate("f5", "x", replace(WARMING, restarts=1)), ESPEAK]),
            LeadingEngine("f5", "the f5 engine is warming", 10, "espeak"),
        ),
        (
            engines([candidate("f5", "x", PARKED), candidate("hibari"), ESPEAK]),
            LeadingEngine("f5", "the f5 engine is parked: it died", 10, "hibari"),
        ),
        (
            engines([candidate("f5", "no weights; fetch"), ESPEAK]),
            LeadingEngine("f5", "no weights; fetch", 0, "espeak"),
        ),
        (
            engines([candidate("remote", "no board renders now"), ESPEAK]),
            LeadingEngine("remote", "no board renders now", 10, "espeak"),
        ),
        (engines([candidate("hibari")], SLOW, (SLOW,)), LeadingEngine("f5", SLOW, deputy="hibari", dropped=True)),
        (engines([candidate("f5", None, READY)], notes=(SLOW,)), LeadingEngine("f5")),
    ],
)
def test_the_leading_engine_is_the_one_that_should_speak(found: Engines, leader: LeadingEngine) -> None:
    assert leading_engine(found) == leader


@pytest.mark.parametrize(
    ("free_and_least_mb", "active", "is_short"),
    [
        ((99, 100), False, True),
        ((100, 100), False, False),
        ((149, 100), True, True),
        ((150, 100), True, False),
        ((1099, 1000), True, True),
        ((1100, 1000), True, False),
        ((0, 0), True, False),
    ],
)
def test_a_short_disk_is_well_again_only_with_some_space_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_and_least_mb: tuple[int, int], active: bool, is_short: bool
) -> None:
    free_mb, min_free_mb = free_and_least_mb
    usage = SimpleNamespace(free=free_mb * 1_000_000)
    monkeypatch.setattr("ishowtts.util.disk_space.shutil.disk_usage", lambda _place: usage)
    inbox = cast("Inbox", SimpleNamespace(durable=True, problem="it was damaged"))
    problem = disk_problem(inbox, DiskSpace(tmp_path, min_free_mb), active=active)
    assert (problem is not None) is is_short
    assert problem is None or problem.endswith("; make room")


def test_a_queue_in_memory_is_a_short_disk(tmp_path: Path) -> None:
    inbox = cast("Inbox", SimpleNamespace(durable=False, problem="the inbox is read-only. Lines wait in memory only"))
    problem = disk_problem(inbox, DiskSpace(tmp_path, 0), active=False)
    assert problem is not None
    assert problem.startswith("the inbox is read-only")
    assert "; make room" in problem
