"""While one line plays the next is prepared, and waits in the queue as if it were not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ishowtts.errors import EngineUnavailable, WorkerDied
from ishowtts.inbox import InboxLimits, wait_for
from ishowtts.model import Line, Priority
from support.speech_harness import Harness, ToneEngine
from support.waiting import eventually

MakeHarness = Callable[..., Harness]
LONG = "one two three four five six seven eight nine ten"


def test_the_next_line_is_synthesised_while_this_one_plays_and_stays_in_the_queue(paced: Harness) -> None:
    paced.say(Line("a", LONG), Line("b", "two"))
    paced.await_synthesis("two")
    assert paced.outcome("a") is None
    assert paced.inbox.depth() == 1
    assert ("b", "started") not in paced.events()
    assert paced.await_outcome("b") == "finished"
    assert paced.primary.spoken == [LONG, "two"]
    assert paced.reports[1].ttfa_s < paced.reports[1].audio_s


def test_a_line_that_comes_while_another_plays_is_prefetched_too(paced: Harness) -> None:
    paced.say(Line("a", LONG))
    paced.await_synthesis(LONG)
    paced.say(Line("b", "two"))
    paced.await_synthesis("two")
    assert paced.outcome("a") is None
    assert paced.await_outcome("b") == "finished"
    assert paced.primary.spoken == [LONG, "two"]


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.URGENT])
def test_a_line_of_higher_priority_goes_before_the_prefetched_one(paced: Harness, priority: Priority) -> None:
    paced.say(Line("a", LONG), Line("b", "two"))
    paced.await_synthesis("two")
    paced.say(Line("c", "three", priority=priority))
    assert paced.await_outcome("b") == "finished"
    ended = [line_id for line_id, event in paced.events() if event == "finished"]
    assert ended == (["a", "c", "b"] if priority is Priority.HIGH else ["c", "a", "b"])


def test_a_prefetched_line_can_be_cancelled_and_the_next_one_is_spoken(paced: Harness) -> None:
    paced.say(Line("a", LONG), Line("b", "two"), Line("c", "three"))
    paced.await_synthesis("two")
    assert wait_for(paced.inbox.cancel_waiting("cancel", "b")) == 1
    assert paced.await_outcome("c") == "finished"
    assert paced.outcome("b") == "cancelled"
    assert len(paced.reports) == 2


def test_a_line_that_was_merged_after_its_prefetch_is_synthesised_again(make_harness: MakeHarness) -> None:
    harness = make_harness(paced=True, limits=InboxLimits(merge_s=60))
    harness.policy.read_aloud = lambda text: text
    harness.say(Line("a", LONG), Line("b", "two"))
    harness.await_synthesis("two")
    harness.say(Line("c", "two"))
    assert harness.await_outcome("b") == "finished"
    assert harness.primary.spoken == [LONG, "two", "two"]


def test_a_line_without_a_voice_is_synthesised_again_if_the_default_voice_changes_while_it_waits(
    paced: Harness,
) -> None:
    paced.default_voice = "anna"
    paced.say(Line("a", LONG), Line("b", "two"))
    paced.await_synthesis("two")
    paced.default_voice = "bob"
    paced.say(Line("c", "three", voice="carl"))
    paced.await_synthesis("three")
    paced.default_voice = "anna"
    assert paced.await_outcome("c") == "finished"
    assert paced.primary.spoken == [LONG, "two", "two", "three"]
    assert list(dict.fromkeys(paced.primary.prepared)) == ["anna", "bob", "carl"]


def test_an_error_in_a_prefetch_costs_the_line_nothing(paced: Harness) -> None:
    paced.say(Line("a", LONG))
    paced.await_synthesis(LONG)
    paced.primary.errors = [WorkerDied("the worker died")]
    paced.say(Line("b", "two"))
    eventually(lambda: not paced.primary.errors, "the prefetch")
    assert paced.outcome("a") is None
    assert paced.await_outcome("b") == "finished"
    assert paced.primary.spoken == [LONG, "two"]


@pytest.mark.parametrize(
    ("error", "ready", "engine"),
    [
        (EngineUnavailable("it is loading"), True, "primary"),
        (EngineUnavailable("it is loading"), False, "espeak"),
        (WorkerDied("this text kills"), True, "espeak"),
    ],
)
def test_what_the_fallback_prefetched_is_synthesised_again_once_the_primary_is_back(
    make_harness: MakeHarness, error: Exception, ready: bool, engine: str
) -> None:
    fallback = ToneEngine("espeak")
    harness = make_harness(paced=True, fallback=fallback)
    harness.say(Line("a", LONG))
    harness.await_synthesis(LONG)
    harness.primary.errors, harness.primary.ready = [error], ready
    harness.say(Line("b", "two"))
    eventually(lambda: fallback.spoken, "the prefetch")
    assert harness.outcome("a") is None
    assert harness.await_outcome("b") == "finished"
    assert harness.reports[1].engine == engine
