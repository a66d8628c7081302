"""The state is told at once, and a depth that changes all the time now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ishowtts.status.status_publisher import StatusPublisher
from support.waiting import eventually


class Ears:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {"state": "ready", "queue_depth": 0, "detail": None, "volume": 80, "muted": False}
        self.told: list[dict[str, Any]] = []
        self.levels: list[tuple[str, object]] = []
        self.news: list[bool] = []
        self.herald = StatusPublisher(self._publish, lambda: dict(self.state), dict, self._on_state, 3600)

    def _publish(self, name: str, payload: Any) -> None:
        if name == "state":
            self.told.append(payload)
        elif name != "telemetry":
            self.levels.append((name, payload))

    def _on_state(self, _state: dict[str, Any], is_news: bool) -> None:
        self.news.append(is_news)

    def change(self, **what: Any) -> None:
        self.state.update(what)
        self.herald.wake()


@pytest.fixture
def ears() -> Iterator[Ears]:
    ears = Ears()
    ears.herald.start()
    yield ears
    ears.herald.close(10)


def test_every_change_of_state_is_told_with_when_it_began(ears: Ears) -> None:
    eventually(lambda: len(ears.told) == 1, "the first state")
    ears.change(state="speaking")
    eventually(lambda: len(ears.told) == 2, "speaking")
    ears.change(detail="the card is away")
    eventually(lambda: len(ears.told) == 3, "the detail")
    assert ears.told[1]["since"] == ears.told[2]["since"]
    ears.change(volume=30)
    eventually(lambda: len(ears.told) == 4, "the volume")
    assert ears.news == [True, True, True, False], "the log tells the word and its reason alone"


def test_a_depth_that_runs_up_is_told_a_few_times_and_its_last_value_always(ears: Ears) -> None:
    eventually(lambda: len(ears.told) == 1, "the first state")
    for depth in range(1, 2001):
        ears.change(queue_depth=depth)
    eventually(lambda: ears.told[-1]["queue_depth"] == 2000, "the last depth")
    assert len(ears.told) < 500
    assert ears.news == [True] + [False] * (len(ears.told) - 1)


def test_a_level_is_published_when_it_changes(ears: Ears) -> None:
    eventually(lambda: ears.levels == [("volume", 80), ("muted", False)], "the first levels")
    ears.change(muted=True)
    eventually(lambda: ears.levels[2:] == [("muted", True)], "the change")
    ears.change(state="paused")
    eventually(lambda: ears.told[-1]["state"] == "paused", "paused")
    assert len(ears.levels) == 3


def test_a_flood_of_changes_is_told_a_few_times_and_the_last_one_always(ears: Ears) -> None:
    eventually(lambda: len(ears.told) == 1, "the first state")
    began_s = time.monotonic()
    for number in range(20_001):
        ears.change(muted=number % 2 == 0, volume=number % 101)
    eventually(lambda: (ears.told[-1]["muted"], ears.told[-1]["volume"]) == (True, 20_000 % 101), "the last change")
    assert len(ears.told) < 20 * (time.monotonic() - began_s) + 3
    assert dict(ears.levels) == {"muted": True, "volume": 20_000 % 101}
