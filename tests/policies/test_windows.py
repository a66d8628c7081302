"""The sliding minute against a plain model: everything that was ever taken, in a list."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ishowtts.policies.windows import SPAN_S, AuthorWindows, Window

steps = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 12)), max_size=60)


@given(limit=st.integers(1, 20), steps=steps)
def test_a_window_takes_what_a_list_of_everything_would(limit, steps) -> None:
    window, taken, now_s = Window(limit), [], 0.0
    for pause_s, amount in steps:
        now_s += pause_s

        def total(at_s: float) -> int:
            return sum(size for when_s, size in taken if at_s - when_s < SPAN_S)

        wait_s = window.wait_s(amount, now_s)
        assert window.total == total(now_s)
        if amount > limit:
            assert math.isinf(wait_s)
        elif total(now_s) + amount <= limit:
            assert wait_s == 0
            window.take(amount, now_s)
            taken.append((now_s, amount))
        else:
            assert 0 < wait_s <= SPAN_S
            assert total(now_s + wait_s * 0.999) + amount > limit
            assert total(now_s + wait_s + 1e-6) + amount <= limit


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("abc")), max_size=60))
def test_each_author_has_a_window_of_its_own(steps) -> None:
    windows, plain, now_s = AuthorWindows(3), {name: Window(3) for name in "abc"}, 0.0
    for pause_s, author in steps:
        now_s += pause_s
        wait_s = plain[author].wait_s(1, now_s)
        assert windows.wait_s(author, now_s) == wait_s
        if wait_s == 0:
            windows.take(author, now_s)
            plain[author].take(1, now_s)


def test_a_flood_of_invented_authors_is_forgotten() -> None:
    windows = AuthorWindows(1)
    for i in range(20_000):
        windows.take(f"author {i}", i / 1000)
        assert len(windows) <= 4096
    windows.take("one more", 100.0)
    assert len(windows) == 1
