"""The state is told at once, and a depth that changes all the time now and then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ishowtts.service.herald import Herald
from support.waiting import eventually


class Ears:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {"state": "ready", "queue_depth": 0, "detail": None, "volume": 80}
        self.told: list[dict[str, Any]] = []
        self.news: list[bool] = []
        self.herald = Herald(self._publish, lambda: dict(self.state), dict, self._on_state, 3600)

    def _publish(self, name: str, payload: dict[str, Any]) -> None:
        if name == "state":
            self.told.append(payload)

    def _on_state(self, _state: dict[str, Any], is_news: bool) -> None:
        self.news.append(is_news)

    def change(self, **what: Any) -> None:
        self.state.update(what)
        self.herald.nudge()


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
