"""How many segments go into one run: never what the sound on the air does not cover, never more than is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.engines import VoiceInfo
from ishowtts.speech import batch_size

CARD = VoiceInfo("anna", 160, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15, batch_s=120.0)
TENS = [10.0] * 20


@pytest.mark.parametrize(
    ("lengths_s", "card", "cost", "waiting_s", "count"),
    [
        (TENS, CARD, 0.01, 60.0, 6),  # 6 of 10 s and what waits are 120 s
        (TENS, CARD, 0.01, 40.0, 8),
        (TENS, CARD, 0.06, 11.3, 8),  # 0.3 s of seams, 8 times 0.2 s, and 1.3 times 7.2 s are a little less
        (TENS, CARD, 0.06, 11.2, 7),
        (TENS, CARD, 0.06, 3.0, 1),  # 0.3 s, twice 0.2 s, and 1.3 times 1.8 s are a little more
        (TENS, CARD, 0.06, 3.1, 2),
        (TENS, CARD, 0.06, 0.0, 1),
        (TENS, CARD, 0.06, -3.0, 1),
        (TENS[:3], CARD, 0.06, 11.3, 3),
        (TENS[:1], CARD, 0.06, 11.3, 1),
        (TENS, replace(CARD, batch_s=45.0), 0.01, 40.0, 3),
        ([2.0, 2.0, 10.0, 2.0], replace(CARD, batch_s=44.0), 0.01, 40.0, 2),  # all are as long as the longest
        (TENS, replace(CARD, batch_s=29.0), 0.01, 40.0, 1),
        (TENS, replace(CARD, batch_s=0.0), 0.01, 40.0, 1),
        (TENS, CARD, None, 40.0, 1),
        (TENS, replace(CARD, reference_s=None), 0.01, 40.0, 1),
        (TENS, CARD, 3.0, 100.0, 1),
    ],
)
def test_as_many_as_are_covered_and_allowed(
    lengths_s: list[float], card: VoiceInfo, cost: float | None, waiting_s: float, count: int
) -> None:
    assert batch_size.together(lengths_s, card, cost, waiting_s) == count


SECONDS = st.floats(0.1, 30.0)


@given(
    st.lists(SECONDS, min_size=1, max_size=20),
    st.builds(
        VoiceInfo,
        st.just("any"),
        st.just(160),
        reference_s=st.none() | SECONDS,
        bytes_per_s=st.just(15.0),
        seam_s=st.sampled_from([0.0, 0.15]),
        batch_s=st.floats(0.0, 1000.0),
    ),
    st.none() | st.floats(0.001, 2.0),
    st.floats(-10.0, 200.0),
)
def test_no_rule_is_ever_broken_and_one_more_would_break_one(
    lengths_s: list[float], card: VoiceInfo, cost: float | None, waiting_s: float
) -> None:
    def allowed(n: int) -> bool:
        if n > min(8, len(lengths_s)) or cost is None or card.reference_s is None:
            return False
        run_s = n * (card.reference_s + max(lengths_s[:n]))
        runs_dry = waiting_s < n * 0.2 + 2 * card.seam_s + 1.3 * cost * run_s
        return run_s <= card.batch_s and not runs_dry and waiting_s + sum(lengths_s[:n]) <= 120.0

    count = batch_size.together(lengths_s, card, cost, waiting_s)
    assert 1 <= count <= 8
    assert count == 1 or allowed(count)
    assert not allowed(count + 1)
