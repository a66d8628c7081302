"""Plausible durations grow with the text and with slowness, and shares of a run add up to its time."""

from __future__ import annotations

import pytest

from ishowtts.engines.durations import longest_plausible_s, split_run_time


def test_the_longest_plausible_sound_is_10_s_and_1_s_per_byte() -> None:
    assert longest_plausible_s("", None) == 10.0
    assert longest_plausible_s("four", None) == 14.0
    assert longest_plausible_s("é", 1.0) == 12.0
    assert longest_plausible_s("\udcff", 1.0) == 11.0, "a lone surrogate becomes one byte"


def test_slow_speech_may_last_longer_and_fast_speech_is_not_limited_further() -> None:
    assert longest_plausible_s("four", 0.5) == 28.0
    assert longest_plausible_s("four", 2.0) == 14.0


def test_the_time_of_a_run_is_split_by_weight() -> None:
    assert split_run_time(8.0, [1.0, 3.0]) == pytest.approx([2.0, 6.0])


def test_without_weights_the_shares_are_equal() -> None:
    assert split_run_time(9.0, [0.0, 0.0, 0.0]) == pytest.approx([3.0, 3.0, 3.0])
