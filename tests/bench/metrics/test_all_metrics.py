from __future__ import annotations

import numpy as np
import pytest

from ishowtts_bench.metrics.all_metrics import AllMetrics
from support.speaking import RATE_HZ, said

pytestmark = pytest.mark.xdist_group("judges")

TEXTS = ("The train to London leaves in twenty minutes.", "Please close the window before you leave.")


def test_a_set_gets_no_credit_for_what_another_set_said() -> None:
    """Both are to say the same, and one says nothing."""
    spoken = [said(text) for text in TEXTS]
    hiss = [
        0.01 * np.random.default_rng(i).standard_normal(len(sound)).astype(np.float32) for i, sound in enumerate(spoken)
    ]
    silent, heard = AllMetrics(spoken[0], RATE_HZ, "en").marks([(TEXTS, hiss), (TEXTS, spoken)])
    assert silent.error_rate >= 0.9
    assert heard.error_rate < 0.4
    assert heard.similarity is not None
    assert silent.similarity is not None
    assert heard.similarity > silent.similarity + 0.2
