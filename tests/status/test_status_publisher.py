"""The state is published at once; a depth that changes all the time is published a few times a second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ishowtts.status.status_publisher import StatusPublisher
from support.waiting import eventually


class Subscriber:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {
            "state": "ready",
            "queue_depth": 0,
            "detail": None,
            "volume": 80,
            "muted": False,
            "voice": "a",
        }
        self.states: list[dict[str, Any]] = []
        self.levels: list[tuple[str, object]] = []
        self.news: list[bool] = []
        self.publisher = StatusPublisher(self._publish, lambda: dict(self.state), dict, self._on_state, 3600)

    def _publish(self, name: str, payload: Any) -> None:
        if name == "state":
            self.states.append(payload)
        elif name != "telemetry":
            self.levels.append((name, payload))

    def _on_state(self, _state: dict[str, Any], is_news: bool) -> None:
        self.news.append(is_news)

    def change(self, **what: Any) -> None:
        self.state.update(what)
        self.publisher.wake()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    subscriber = Subscriber()
    subscriber.publisher.start()
    yield subscriber
    subscriber.publisher.close(10)


def test_every_change_of_state_is_published_with_the_time_it_began(subscriber: Subscriber) -> None:
    eventually(lambda: len(subscriber.states) == 1, "the first state")
    subscriber.change(state="speaking")
    eventually(lambda: len(subscriber.states) == 2, "speaking")
    subscriber.change(detail="the card is away")
    eventually(lambda: len(subscriber.states) == 3, "the detail")
    assert subscriber.states[1]["since"] == subscriber.states[2]["since"]
    subscriber.change(volume=30)
    eventually(lambda: len(subscriber.states) == 4, "the volume")
    assert subscriber.news == [True, True, True, False], "only a new state or detail is logged"


def test_a_depth_that_keeps_changing_is_published_at_most_every_250_ms_and_its_last_value_always(
    subscriber: Subscriber,
) -> None:
    eventually(lambda: len(subscriber.states) == 1, "the first state")
    began_s = time.monotonic()
    for depth in range(1, 51):
        subscriber.change(queue_depth=depth)
        time.sleep(0.02)  # slower than a wake-up takes, so that wake-ups do not coalesce
    eventually(lambda: subscriber.states[-1]["queue_depth"] == 50, "the last depth")
    took_s = time.monotonic() - began_s
    assert len(subscriber.states) <= took_s / 0.25 + 3
    assert subscriber.news == [True] + [False] * (len(subscriber.states) - 1)


def test_volume_muted_and_voice_are_published_when_they_change(subscriber: Subscriber) -> None:
    eventually(lambda: subscriber.levels == [("volume", 80), ("muted", False), ("voice", "a")], "the first levels")
    subscriber.change(muted=True)
    eventually(lambda: subscriber.levels[3:] == [("muted", True)], "the change")
    subscriber.change(state="paused")
    eventually(lambda: subscriber.states[-1]["state"] == "paused", "paused")
    assert len(subscriber.levels) == 4


def test_a_flood_of_changes_is_published_a_few_times_and_the_last_one_always(subscriber: Subscriber) -> None:
    eventually(lambda: len(subscriber.states) == 1, "the first state")
    began_s = time.monotonic()
    for number in range(20_001):
        subscriber.change(muted=number % 2 == 0, volume=number % 101)
    eventually(
        lambda: (subscriber.states[-1]["muted"], subscriber.states[-1]["volume"]) == (True, 20_000 % 101),
        "the last change",
    )
    assert len(subscriber.states) < 20 * (time.monotonic() - began_s) + 3
    assert dict(subscriber.levels) == {"muted": True, "volume": 20_000 % 101, "voice": "a"}


def test_alerts_are_published_before_the_state_that_names_them_and_when_they_are_due() -> None:
    published: list[tuple[str, Any]] = []
    state: dict[str, Any] = {"state": "ready", "queue_depth": 0, "detail": None, "alerts": []}
    levels = {"volume": 80, "muted": False, "voice": "default"}

    def publish(name: str, payload: Any) -> None:
        if name in ("state", "telemetry"):
            published.append((name, payload.get("alerts")))

    calls = iter(range(100))

    def alerts() -> float:
        if next(calls) == 4:
            state["alerts"] = ["hot"]
            published.append(("alert", ["hot"]))
        return 0.02

    publisher = StatusPublisher(
        publish, lambda: {**state, **levels}, dict, lambda _state, _is_news: None, 3600, alerts=alerts
    )
    publisher.start()
    try:
        eventually(lambda: len(published) == 4, "the state with the alert, without a wake-up")
    finally:
        publisher.close(10)
    assert published == [("telemetry", None), ("state", []), ("alert", ["hot"]), ("state", ["hot"])]
