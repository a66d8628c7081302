"""The pauses between attempts grow up to a limit."""

from __future__ import annotations

from ishowtts.util.backoff import Backoff


def test_each_pause_is_twice_the_one_before_up_to_the_limit() -> None:
    backoff = Backoff(first_s=0.5, longest_s=3.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_reset_begins_again_with_the_first_pause() -> None:
    backoff = Backoff(first_s=0.5, longest_s=3.0)
    backoff.next_s()
    backoff.next_s()
    assert backoff.last_s == 1.0
    backoff.reset()
    assert backoff.last_s == 0.0
    assert backoff.next_s() == 0.5


def test_one_pause_can_have_a_limit_of_its_own() -> None:
    backoff = Backoff(first_s=0.25, longest_s=30.0)
    assert [backoff.next_s(longest_s=1.0) for _ in range(4)] == [0.25, 0.5, 1.0, 1.0]
    assert backoff.next_s() == 2.0


def test_the_first_pause_is_never_above_the_limit() -> None:
    assert Backoff(first_s=5.0, longest_s=2.0).next_s() == 2.0
