from __future__ import annotations

import numpy as np
import pytest
import torch

from ishowtts_bench.metrics.all_metrics import AllMetrics
from support.speaking import RATE_HZ, said

pytestmark = pytest.mark.xdist_group("metrics")

TEXTS = ("The train to London leaves in twenty minutes.", "Please close the window before you leave.")


def test_a_set_gets_no_credit_for_the_words_of_another_set() -> None:
    """Both sets have the same texts, and one of them is only noise."""
    sounds = [said(text) for text in TEXTS]
    noise = [
        0.01 * np.random.default_rng(i).standard_normal(len(sound)).astype(np.float32) for i, sound in enumerate(sounds)
    ]
    noisy, clear = AllMetrics(sounds[0], RATE_HZ, "en").measure([(TEXTS, noise), (TEXTS, sounds)])
    assert noisy.error_rate >= 0.9
    assert clear.error_rate < 0.4
    assert clear.similarity is not None
    assert noisy.similarity is not None
    assert clear.similarity > noisy.similarity + 0.2


def test_the_metrics_leave_the_thread_count_of_torch_alone() -> None:
    """A sweep measures the speed of F5 after it has loaded the metrics."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        AllMetrics(said(TEXTS[0]), RATE_HZ, "en", threads=2)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
