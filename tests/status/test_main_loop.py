"""READY is reported once a line can come and be spoken, and soon if none can come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ishowtts.status.main_loop import MainLoop


class Report:
    """Stops the loop once READY was reported."""

    def __init__(self) -> None:
        self.is_ready = False

    def ready(self) -> None:
        self.is_ready = True


class Passing:
    """Stands for the event of a stop. Each wait for READY takes a second of the clock."""

    def __init__(self, clock: list[float], report: Report) -> None:
        self._clock = clock
        self._report = report

    def wait(self, _timeout_s: float) -> bool:
        self._clock[0] += 1.0
        return self._report.is_ready


@pytest.mark.parametrize(
    ("connected", "has_failed", "prepared", "ready_after_s"),
    [
        (True, False, True, 0),
        (True, False, False, 60),
        (False, True, True, 2),
        (False, True, False, 2),  # what the first line needs is loaded while none can come
        (False, False, True, 5),
    ],
)
def test_what_ready_waits_for(
    monkeypatch: pytest.MonkeyPatch, connected: bool, has_failed: bool, prepared: bool, ready_after_s: float
) -> None:
    clock, report = [100.0], Report()
    monkeypatch.setattr("ishowtts.status.main_loop.time.monotonic", lambda: clock[0])
    parts: dict[str, Any] = {
        "notifier": SimpleNamespace(watchdog_interval_s=lambda: None),
        "report": report,
        "scheduler": SimpleNamespace(status=SimpleNamespace(prepared=prepared)),
        "engines": SimpleNamespace(hibari_is_starting=lambda: False),
        "link": SimpleNamespace(connected=connected, has_failed=has_failed),
        "inbox": None,
        "disk": None,
        "sum_up": [],
        "watched": [],
    }
    stop: Any = Passing(clock, report)
    MainLoop(**parts).run(stop)
    assert clock[0] == 100 + ready_after_s + 1  # and one wait after READY
