"""Random values and random bytes in the file of the inbox; a longer run calls the same check with other seeds."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.hostile_rows import check_hostile_rows


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32 - 1))
@example(807)  # a page that is read first when the daemon counts what waits
def test_a_file_that_was_changed_at_random_costs_no_more_than_what_was_changed(seed: int) -> None:
    check_hostile_rows(seed)
