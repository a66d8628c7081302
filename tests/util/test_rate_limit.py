"""The first few things of one kind in 10 s are let through, and the others are counted."""

from __future__ import annotations

import pytest

from ishowtts.util.rate_limit import RateLimit
from support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_few_pass_and_the_others_are_counted(clock: Clock) -> None:
    limit = RateLimit(2, clock)
    assert [limit.allows(kind) for kind in ("a", "a", "a", "b", "a")] == [True, True, False, False, False]
    assert not limit.held_back(), "the 10 s are not over yet"
    clock.now_s += 10
    assert limit.held_back() == {"a": 2, "b": 1}
    assert not limit.held_back(), "the counts were taken"


def test_the_next_ten_seconds_begin_with_the_next_call(clock: Clock) -> None:
    limit = RateLimit(1, clock)
    assert limit.allows()
    clock.now_s += 15
    assert limit.allows()
    clock.now_s += 9
    assert not limit.allows()
    clock.now_s += 1
    assert limit.allows()


def test_the_counts_can_be_taken_early_at_the_end(clock: Clock) -> None:
    limit = RateLimit(0, clock)
    limit.allows("a")
    assert limit.held_back(last=True) == {"a": 1}
