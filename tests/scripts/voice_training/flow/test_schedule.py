"""Rates and lengths over the steps."""

from itertools import pairwise

import pytest

from voice_training.flow.schedule import learning_rate, longest


def test_the_rate_rises_and_then_falls_like_a_cosine():
    rates = [learning_rate(step, 1000, 100, 2.0) for step in range(1001)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[100] == 2.0
    assert rates[550] == pytest.approx(1.01)
    assert rates[1000] == pytest.approx(0.02)
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert learning_rate(5000, 1000, 100, 2.0) == pytest.approx(0.02)


def test_no_warm_up_begins_at_the_peak():
    assert learning_rate(0, 10, 0, 1.0) == 1.0


def test_samples_grow_and_then_stay():
    assert [longest(step, 100, 2.0, 10.0, 0.2) for step in (0, 10, 20, 99)] == [2.0, 6.0, 10.0, 10.0]
    assert longest(0, 100, 2.0, 10.0, 0.0) == 10.0
