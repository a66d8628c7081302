"""The pauses between two tries to connect, without a broker."""

from __future__ import annotations

import random
import threading

import pytest

from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole
from ishowtts.mqtt.session import Session, SessionHandlers

ROLE = ConnectionRole("lines", "id", ("a/b/say",), qos=1, persistent=True, probe_topic="a/b/probe")
IGNORE = SessionHandlers(*[lambda *_: None] * 5)


def pauses(monkeypatch: pytest.MonkeyPatch, tries: int, **options: float) -> list[tuple[float, float]]:
    """The ranges from which a connection draws its pauses while every session fails at once."""
    drawn: list[tuple[float, float]] = []
    enough = threading.Event()

    def draw(low_s: float, high_s: float) -> float:
        drawn.append((low_s, high_s))
        if len(drawn) == tries:
            enough.set()
        return 0.0 if len(drawn) < tries else 60.0

    monkeypatch.setattr(random, "uniform", draw)
    monkeypatch.setattr(Session, "run", lambda _: "the broker is away")
    connection = Connection(
        MqttOptions("h", 1, "a/b", "a", retry_min_s=0.5, retry_max_s=30.0, **options),
        ROLE,
        IGNORE,
        on_down=lambda _reason, _without_message: None,
    )
    connection.start()
    assert enough.wait(10)
    connection.stop()
    assert connection.join(10)
    return drawn


def test_the_pause_doubles_up_to_its_maximum_and_is_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many appliances must not reconnect at the same moment when their broker comes back."""
    drawn = pauses(monkeypatch, 8)
    assert [high_s for _, high_s in drawn] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert all(low_s == high_s / 2 for low_s, high_s in drawn)


def test_the_pause_is_short_again_after_a_connection_that_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ishowtts.mqtt.connection._STABLE_S", -1.0)
    drawn = pauses(monkeypatch, 4, connect_timeout_s=0.0)
    assert [high_s for _, high_s in drawn] == [0.5] * 4


def test_a_stop_at_the_moment_when_the_thread_begins_to_wait_ends_it() -> None:
    """The wait may last an hour: the stop must not be lost between the check and the wait."""

    class StopsBeforeClear(threading.Event):
        def clear(self) -> None:
            connection.stop()
            super().clear()

    connection = Connection(
        MqttOptions("h", 1, "a/b", "a"),
        ROLE,
        IGNORE,
        on_down=lambda _reason, _without_message: None,
        wait_s=lambda: 5.0,
    )
    connection._woken = StopsBeforeClear()
    connection.start()
    assert connection.join(3)
