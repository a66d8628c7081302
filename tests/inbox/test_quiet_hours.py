"""Lines that quiet hours hold: their time does not count against `queue.max_age_s`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from ishowtts.config.policy_section import QuietHoursSection
from ishowtts.model import Line, Priority
from ishowtts.policies.quiet_hours import held_s

Queue = Any  # of conftest.py
HOURS = QuietHoursSection.model_validate({"from": "22:00", "to": "07:00"})
HOUR_S = 3600


def settle(queue: Queue) -> None:
    """Let the queue expire what has waited too long, and wait until it is done."""
    queue.inbox.expire()
    queue.inbox.unsent(0)


class Night:
    """A queue whose local time goes with its clock. `local_s` is what somebody has set the wall clock ahead by."""

    def __init__(self, make_queue: Callable[..., Queue], local: str) -> None:
        self.began = datetime.fromisoformat(local)
        self.local_s = 0.0
        self.queue = make_queue(max_age_s=900, max_lines=100, held_s=partial(held_s, HOURS, local_time=self.local_time))
        self._start_s = self.queue.clock.since_boot

    def local_time(self) -> datetime:
        """The local time now. The queue asks while it is made too."""
        passed_s = self.queue.clock.since_boot - self._start_s if hasattr(self, "_start_s") else 0.0
        return self.began + timedelta(seconds=passed_s + self.local_s)

    def until(self, local: str) -> None:
        """Let time pass until a local time."""
        self.queue.clock.pass_s((datetime.fromisoformat(local) - self.local_time()).total_seconds())
        settle(self.queue)

    def expired(self) -> list[str]:
        return [line_id for line_id, event in self.queue.events() if event == "expired"]


@pytest.fixture
def night(make_queue: Callable[..., Queue]) -> Callable[[str], Night]:
    return lambda local: Night(make_queue, local)


def test_lines_of_the_night_wait_until_the_morning_and_then_as_long_as_others(night: Callable[[str], Night]) -> None:
    held = night("2026-11-29T22:30")
    held.queue.inbox.accept([Line("evening", "a"), Line("low", "b", priority=Priority.LOW)])
    held.until("2026-11-30T00:10")
    held.queue.inbox.accept([Line("after midnight", "c")])
    held.until("2026-11-30T07:14:59")
    assert held.expired() == []
    assert held.queue.inbox.depth() == 3
    held.until("2026-11-30T07:15:01")
    assert held.expired() == ["evening", "low", "after midnight"]


def test_the_time_before_the_night_counts(night: Callable[[str], Night]) -> None:
    held = night("2026-11-29T21:50")
    held.queue.inbox.accept([Line("a", "hello")])
    held.until("2026-11-30T07:04:59")
    assert held.expired() == []
    held.until("2026-11-30T07:05:01")
    assert held.expired() == ["a"]


def test_lines_that_are_not_held_expire_in_the_night(night: Callable[[str], Night]) -> None:
    held = night("2026-11-29T23:00")
    held.queue.inbox.accept(
        [Line("high", "a", priority=Priority.HIGH), Line("urgent", "b", priority=Priority.URGENT), Line("low", "c")]
    )
    held.until("2026-11-29T23:16")
    assert held.expired() == ["high", "urgent"]


def test_the_life_that_a_line_has_of_its_own_counts_at_night_too(night: Callable[[str], Night]) -> None:
    held = night("2026-11-29T23:00")
    assert not held.queue.inbox.expires_while_held()
    held.queue.inbox.accept([Line("long", "a", ttl_s=7 * HOUR_S), Line("longer", "b", ttl_s=20 * HOUR_S)])
    assert held.queue.inbox.expires_while_held()
    held.until("2026-11-30T06:00:01")
    assert held.expired() == ["long"]
    assert not held.queue.inbox.expires_while_held()
    held.until("2026-11-30T07:16")
    assert held.expired() == ["longer"]


@pytest.mark.parametrize("again", ["restart", "crash"])
def test_held_lines_wait_after_a_restart_in_the_night(night: Callable[[str], Night], again: str) -> None:
    held = night("2026-11-29T23:00")
    held.queue.inbox.accept([Line("a", "hello")])
    held.until("2026-11-30T02:00")
    getattr(held.queue, again)()
    held.until("2026-11-30T07:14")
    assert held.expired() == []
    assert held.queue.inbox.take().line.id == "a"


def test_held_lines_wait_after_a_boot_in_the_night(night: Callable[[str], Night]) -> None:
    held = night("2026-11-29T23:00")
    held.queue.inbox.accept([Line("a", "hello")])
    held.until("2026-11-30T02:00")
    held.queue.inbox.close()
    held.began, held._start_s = datetime.fromisoformat("2026-11-30T03:00"), 5.0
    held.queue.clock.reboot()
    held.queue.open()
    held.until("2026-11-30T07:14")
    assert held.expired() == []


def test_a_line_whose_deadline_an_older_version_stored_waits_too(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(max_age_s=900)
    queue.inbox.accept([Line("a", "hello"), Line("b", "hello", ttl_s=1000), Line("u", "x", priority=Priority.HIGH)])
    queue.limits = type(queue.limits)(max_age_s=900, held_s=lambda waits_s: 4 * HOUR_S)
    queue.restart()
    queue.clock.pass_s(901)
    settle(queue)
    queue.clock.pass_s(4 * HOUR_S)
    settle(queue)
    assert [event for event in queue.events() if event[1] == "expired"] == [("u", "expired"), ("b", "expired")]


def test_a_clock_that_is_set_in_the_night_holds_lines_from_then_on(night: Callable[[str], Night]) -> None:
    held = night("1970-01-01T00:00:10")
    held.queue.inbox.accept([Line("a", "hello")])
    held.began = datetime.fromisoformat("2026-11-29T23:00")  # the time server was reached
    held.until("2026-11-30T06:59")
    assert held.expired() == []
    held.until("2026-11-30T07:14")
    assert held.expired() == []


def test_the_longer_night_at_the_end_of_summer_time_holds_lines_too(night: Callable[[str], Night]) -> None:
    held = night("2026-10-24T23:00")
    held.queue.inbox.accept([Line("a", "hello")])
    held.until("2026-10-25T03:00")
    held.local_s = -HOUR_S
    held.until("2026-10-25T06:59")
    assert held.expired() == []
    assert held.queue.inbox.depth() == 1


def test_a_duplicate_keeps_a_held_line_as_long_as_itself(night: Callable[[str], Night]) -> None:
    held = night("2026-11-29T22:00")
    held.queue.inbox.accept([Line("a", "hello", ttl_s=60)])
    held.until("2026-11-29T22:00:30")
    held.queue.inbox.accept([Line("a", "hello")])
    held.until("2026-11-30T07:14")
    assert held.expired() == []


def test_the_event_says_which_limit_ended_a_line(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "hello", ttl_s=5), Line("b", "hi", ttl_s=2000), Line("c", "ho")])
    queue.clock.pass_s(901)
    settle(queue)
    details = {event.id: event.data["detail"] for _, event in queue.inbox.unsent(9) if event.event == "expired"}
    assert details == {
        "a": "it waited longer than its own ttl_s",
        "b": "it waited longer than queue.max_age_s",
        "c": "it waited longer than queue.max_age_s",
    }
