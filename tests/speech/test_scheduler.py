"""The scheduler takes lines by priority and age, and executes commands, whatever engines and devices do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from ishowtts.inbox import wait_for
from ishowtts.model import Arrival, Line, Priority
from support.fake_policy import FakePolicy
from support.speech_harness import Harness
from support.waiting import eventually

MakeHarness = Callable[..., Harness]
LONG = "one two three four five six seven eight nine ten"


def test_lines_are_spoken_by_priority_then_age(harness: Harness) -> None:
    harness.set_paused(True)
    lines = [Line("a", "one"), Line("b", "two", priority=Priority.LOW), Line("c", "three", priority=Priority.HIGH)]
    harness.say(*lines)
    harness.set_paused(False)
    assert harness.await_outcome("b") == "finished"
    assert harness.primary.spoken == ["three", "one", "two"]
    assert [report.engine for report in harness.reports] == ["primary"] * 3


def test_closing_puts_the_line_back_and_counts_no_attempt(paced: Harness) -> None:
    paced.say(Line("a", LONG))
    eventually(lambda: ("a", "started") in paced.events(), "the first sound")
    paced.scheduler.close(10)
    dequeued = wait_for(paced.inbox.take().future)
    assert dequeued is not None
    assert (dequeued.line.id, dequeued.attempts) == ("a", 1)


def test_lines_below_the_lowest_priority_wait_until_it_falls(harness: Harness) -> None:
    harness.policy.lowest = Priority.HIGH
    harness.say(Line("a", "one"), Line("b", "two", priority=Priority.HIGH))
    assert harness.await_outcome("b") == "finished"
    assert harness.outcome("a") is None
    harness.policy.lowest = Priority.LOW
    assert harness.await_outcome("a") == "finished"


def test_a_pending_take_is_replaced_when_the_lowest_priority_rises(harness: Harness) -> None:
    harness.say(Line("a", "one"))
    assert harness.await_outcome("a") == "finished"
    harness.policy.lowest = Priority.HIGH
    harness.scheduler.wake()
    eventually(lambda: harness.scheduler._prefetcher._pending_filter[0] is Priority.HIGH, "the new take")
    harness.say(Line("b", "two"), Line("c", "three", priority=Priority.HIGH))
    assert harness.await_outcome("c") == "finished"
    assert harness.outcome("b") is None


def test_a_command_finds_a_line_that_is_on_its_way_from_the_queue(harness: Harness) -> None:
    """A line is always in the queue or current for a command, never between the two."""
    for n in range(30):
        cancelled: list[int] = []

        def stop(cancelled: list[int] = cancelled) -> None:
            current = harness.scheduler.cancel_current("stop")
            waiting = harness.inbox.cancel_waiting("stop")
            waiting.add_done_callback(lambda done: cancelled.append(done.result() + (current is not None)))

        # Long enough that it is not over before the command, however busy the machine is.
        accepted = harness.inbox.accept([Arrival(Line(f"{n}", "one two three. " * 40))])
        if n % 2:
            wait_for(accepted)
        harness.scheduler.submit(stop)
        eventually(lambda cancelled=cancelled: cancelled, "the command")
        assert harness.await_outcome(f"{n}") == "cancelled"


def test_while_paused_no_line_is_begun_and_the_current_one_stands_still(paced: Harness) -> None:
    paced.say(Line("a", LONG), Line("b", "two"))
    eventually(lambda: ("a", "started") in paced.events(), "the first sound")
    paced.set_paused(True)
    paced.say(Line("u", "three", priority=Priority.URGENT))
    paced.scheduler.wake()
    paced.await_synthesis("two")
    assert (paced.outcome("a"), paced.outcome("u"), paced.inbox.depth()) == (None, None, 2)
    paced.set_paused(False)
    assert [paced.await_outcome(line_id) for line_id in "uab"] == ["finished"] * 3


def test_between_two_lines_there_is_a_pause_but_not_before_an_urgent_one(make_harness: MakeHarness) -> None:
    harness = make_harness(pause_s=30.0, paced=True)
    harness.say(Line("a", "one"), Line("b", "two"))
    assert harness.await_outcome("a") == "finished"
    # While a line is heard, the next one is prepared: this one is heard for a second, also on a busy machine.
    harness.say(Line("u", "three, which takes a second to be heard", priority=Priority.URGENT))
    harness.await_synthesis("two")
    assert harness.await_outcome("u") == "finished"
    assert harness.outcome("b") is None


def test_after_the_pause_the_next_line_is_spoken(make_harness: MakeHarness) -> None:
    harness = make_harness(pause_s=0.3)
    harness.say(Line("a", "one"), Line("b", "two"))
    assert harness.await_outcome("b") == "finished"
    at = {name: event.ts for _, event in wait_for(harness.inbox.unsent(100)) if (name := f"{event.event} {event.id}")}
    gap = datetime.fromisoformat(at["started b"][:-1]) - datetime.fromisoformat(at["finished a"][:-1])
    assert gap.total_seconds() >= 0.29


def test_with_drop_when_lost_each_line_fails_until_the_device_is_back(make_harness: MakeHarness) -> None:
    harness = make_harness(paced=True, drop_when_lost=True)
    harness.speaker.blocks_left = 5
    harness.say(Line("a", LONG), Line("b", "two"))
    assert harness.await_outcome("b") == "failed"
    assert harness.outcome("a") == "failed"
    errors = {
        event.id: event.data["error"] for _, event in wait_for(harness.inbox.unsent(100)) if event.event == "failed"
    }
    assert "pulled out" in errors["a"]
    harness.speaker.plug_in()
    eventually(lambda: harness.player.status().lost is None, "the return")
    harness.say(Line("c", "three"))
    assert harness.await_outcome("c") == "finished"


def test_the_status_says_when_everything_is_loaded_that_the_first_line_needs(
    make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, loaded = threading.Event(), threading.Event()

    def prepare(_: FakePolicy) -> None:
        loading.set()
        assert loaded.wait(20)
        raise RuntimeError("a part that cannot be loaded does not keep the others from it")

    monkeypatch.setattr(FakePolicy, "prepare", prepare)
    harness = make_harness()
    assert loading.wait(20)
    assert harness.scheduler.status.prepared is False
    loaded.set()
    eventually(lambda: harness.scheduler.status.prepared, "the end of loading")
    harness.say(Line("a", "one"))
    assert harness.await_outcome("a") == "finished"
