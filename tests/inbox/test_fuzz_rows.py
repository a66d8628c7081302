"""Random values and bytes in the queue's file. A longer run calls the same check with other seeds."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.damaged_rows import check_hostile_rows


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32 - 1))
@example(807)  # a page that is read first when the daemon counts the waiting lines
def test_random_changes_of_the_file_cost_only_the_changed_rows(seed: int) -> None:
    check_hostile_rows(seed)
