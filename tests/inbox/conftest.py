from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ishowtts.inbox import Clock, Inbox, InboxLimits


class HandClock(Clock):
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.boot_id = "boot-1"
        self.wall = 1_800_000_000.0
        self.since_boot = 100.0

    def wall_s(self) -> float:
        return self.wall

    def since_boot_s(self) -> float:
        return self.since_boot

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds

    def reboot(self) -> None:
        """Off for a while, with a battery-less clock that starts anew."""
        self.boot_id += "+"
        self.wall = 0.0
        self.since_boot = 5.0


class House:
    """A state folder, and the one inbox open in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.limits = InboxLimits(max_lines=4, max_age_s=900, dedup_s=600, history_days=30)
        self.lines_rung = 0
        self.events_rung = 0
        self._lives = 0
        self.open()

    @property
    def path(self) -> Path:
        return self.folder / f"life-{self._lives}" / "inbox.sqlite"

    def open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.inbox = Inbox(
            self.path, self.limits, on_lines=self._ring_lines, on_events=self._ring_events, clock=self.clock
        )

    def restart(self) -> None:
        self.inbox.close()
        self.open()

    def crash(self) -> None:
        """Go on from what the files hold at this moment, as after a power cut."""
        before = self.path.parent
        self._lives += 1
        shutil.copytree(before, self.path.parent)
        self.inbox.close()
        self.open()

    def events(self) -> list[tuple[str, str]]:
        """What waits in the outbox; it is sent by that."""
        unsent = self.inbox.unsent(1000)
        self.inbox.sent([number for number, _ in unsent])
        return [(event.id, event.event) for _, event in unsent]

    def _ring_lines(self) -> None:
        self.lines_rung += 1

    def _ring_events(self) -> None:
        self.events_rung += 1


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.inbox.close()


@pytest.fixture(scope="session")
def build_house() -> Callable[[Path], House]:
    return House
