"""The progress of the current line between two messages."""

from __future__ import annotations

from typing import Any

from ishowtts_gateway.terminal_view.progress_estimate import ProgressEstimate


class Clock:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def state(paused: bool = False, **speaking: Any) -> dict[str, Any]:
    return {"paused": paused, "speaking": {"id": "a", "text": "The tea.", **speaking}}


def test_played_seconds_go_on_between_messages_and_end_at_the_estimate() -> None:
    clock = Clock(50.0)
    progress = ProgressEstimate(clock, lambda: 0.0)
    told = state(since="2026-01-01T00:00:00.000Z", played_s=1.0, left_s=3.0, segment=1, segments=2)
    spoken = progress.now(told)
    assert spoken is not None
    assert (spoken.played_s, spoken.total_s, spoken.segment, spoken.segments) == (1.0, 4.0, 1, 2)
    clock.now_s += 2
    assert (now := progress.now(told)) is not None
    assert now.played_s == 3.0
    clock.now_s += 60
    assert (now := progress.now(told)) is not None
    assert now.played_s == 4.0
    assert progress.now({"speaking": None}) is None
    told = state(since="2026-01-01T00:00:00.000Z", played_s=0.0, left_s=9.0)
    played = []
    for paused, seconds in ((False, 0), (False, 2), (True, 1), (True, 60), (False, 60), (False, 1)):
        clock.now_s += seconds
        now = progress.now({**told, "paused": paused})
        played.append(now and now.played_s)
    assert played == [0.0, 2.0, 3.0, 3.0, 3.0, 4.0], "a pause holds it"
    assert progress.now({"speaking": None}) is None
    assert progress.now(None) is None


def test_the_first_message_may_be_old() -> None:
    wall = Clock(1000.0)
    since = "1970-01-01T00:16:35.000Z"  # 995 s
    spoken = ProgressEstimate(Clock(0.0), wall).now(state(since=since, played_s=1.0, left_s=9.0))
    assert spoken is not None
    assert spoken.played_s == 5.0
    wall.now_s = 90_000.0  # the clocks differ by a day
    spoken = ProgressEstimate(Clock(0.0), wall).now(state(since=since, played_s=1.0, left_s=9.0))
    assert spoken is not None
    assert spoken.played_s == 1.0


def test_before_the_first_sound_and_with_odd_values_nothing_moves() -> None:
    clock = Clock(0.0)
    progress = ProgressEstimate(clock, lambda: 0.0)
    told = state(since=None, played_s=0.0, left_s=None, segment=-1, segments="x", voice=7, engine="f5")
    assert progress.now(told) is not None
    clock.now_s += 5
    spoken = progress.now(told)
    assert spoken is not None
    assert (spoken.played_s, spoken.total_s, spoken.segment, spoken.segments) == (0.0, None, None, None)
    assert (spoken.voice, spoken.engine) == (None, "f5")
    assert ProgressEstimate(clock, lambda: 0.0).now({"speaking": {}}) is not None
