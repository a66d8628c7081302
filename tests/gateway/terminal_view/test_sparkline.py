"""Rows of block characters."""

from __future__ import annotations

from ishowtts_gateway.terminal_view.sparkline import by_time, progress_bar, sparkline


def test_values_become_blocks_and_unknown_ones_spaces() -> None:
    assert sparkline([0, 50, 100, None, -5, 900], 0, 100) == "▁▅█ ▁█"
    assert sparkline([1, 1], 1, 1) == "▁▁"
    assert sparkline([], 0, 1) == ""


def test_readings_are_put_into_steps_of_time() -> None:
    points = [(70.0, 1.0), (71.0, 3.0), (79.0, None), (80.0, 5.0), (99.9, 7.0), (30.0, 9.0), (200.0, 9.0)]
    assert by_time(points, 99.0, 10.0, 4) == [None, 2.0, 5.0, 7.0]
    assert by_time(points, 105.0, 10.0, 4) == [2.0, 5.0, 7.0, 7.0], "the newest step has no reading yet"
    assert by_time(points, 125.0, 10.0, 4) == [7.0, None, None, None], "a board that is away leaves a gap"
    assert by_time([], 125.0, 10.0, 3) == [None] * 3
    assert by_time(points, 99.0, 10.0, 0) == []


def test_a_bar_shows_its_share() -> None:
    assert progress_bar(0.5, 10) == ("█" * 5, "░" * 5)
    assert progress_bar(7, 4) == ("████", "")
    assert progress_bar(-1, 4) == ("", "░░░░")
