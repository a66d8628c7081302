"""The sliding window against a plain model: a list of everything that was ever accepted."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.config import PolicySection
from ishowtts.policies.authors import author_key
from ishowtts.policies.rate_limits import WINDOW_S, AuthorWindows, RateLimits, SlidingWindow

steps = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 12)), max_size=60)


@settings(deadline=None)
@given(limit=st.integers(1, 20), steps=steps)
def test_a_window_accepts_what_a_list_of_everything_would(limit, steps) -> None:
    window, accepted, now_s = SlidingWindow(limit), [], 0.0
    for pause_s, amount in steps:
        now_s += pause_s

        def total(at_s: float) -> int:
            return sum(size for accepted_s, size in accepted if at_s - accepted_s < WINDOW_S)

        wait_s = window.wait_s(amount, now_s)
        assert window.total == total(now_s)
        if amount > limit:
            assert math.isinf(wait_s)
        elif total(now_s) + amount <= limit:
            assert wait_s == 0
            window.add(amount, now_s)
            accepted.append((now_s, amount))
        else:
            assert 0 < wait_s <= WINDOW_S
            assert total(now_s + wait_s * 0.999) + amount > limit
            assert total(now_s + wait_s + 1e-6) + amount <= limit


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("abc")), max_size=60))
def test_each_author_has_a_separate_window(steps) -> None:
    windows, plain, now_s = AuthorWindows(3), {name: SlidingWindow(3) for name in "abc"}, 0.0
    for pause_s, author in steps:
        now_s += pause_s
        wait_s = plain[author].wait_s(1, now_s)
        assert windows.wait_s(author, now_s) == wait_s
        if wait_s == 0:
            windows.add(author, now_s)
            plain[author].add(1, now_s)


def test_in_a_flood_of_invented_authors_only_the_latest_are_remembered() -> None:
    windows = AuthorWindows(1)
    for i in range(20_000):
        windows.add(f"author {i}", i / 1000)
        assert len(windows) <= 4096
    windows.add("one more", 100.0)
    assert len(windows) == 1


def test_in_a_flood_of_invented_authors_one_that_writes_again_is_remembered() -> None:
    windows = AuthorWindows(2)
    windows.add("bob", 0.0)
    for i in range(4095):
        windows.add(f"author {i}", 1.0)
    windows.add("bob", 2.0)
    windows.add("one more", 3.0)
    assert windows.wait_s("bob", 4.0) == 56.0


def test_an_amount_no_longer_counts_after_exactly_a_minute() -> None:
    window = SlidingWindow(1)
    window.add(1, 0.0)
    assert window.wait_s(1, 60.0) == 0
    assert window.total == 0


def test_the_key_of_an_author_is_bounded() -> None:
    assert len(author_key("ﷺ" * 128)) == 256


def test_other_limits_count_what_was_accepted_before() -> None:
    def section(**keys: int | None) -> PolicySection:
        return PolicySection.model_validate({f"{name}_per_min": value for name, value in keys.items()})

    rates = RateLimits(section(lines=10, author_lines=2))
    for n in range(3):
        assert rates.try_acquire(f"author {n}", 100, now_s=n) is None
    rates.change(section(lines=4, author_lines=1, work=1000))
    assert "author has had 1 line" in (rates.try_acquire("author 0", 1, now_s=3) or "")
    assert rates.try_acquire("author 3", 1, now_s=3) is None
    assert "4 lines came" in (rates.try_acquire("author 4", 1, now_s=4) or "")
    rates.change(section(lines=None, author_lines=None, work=1000))
    assert rates.try_acquire("author 0", 990, now_s=5) is None
    assert "of policies.work_per_min" in (rates.try_acquire(None, 10, now_s=5) or "")
    rates.change(section())
    assert rates.try_acquire("author 0", 10_000, now_s=5) is None
