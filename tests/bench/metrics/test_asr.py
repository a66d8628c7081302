from __future__ import annotations

import numpy as np
import pytest

from ishowtts_bench.metrics.asr import Asr, error_rate
from support.speaking import RATE_HZ, said

pytestmark = pytest.mark.xdist_group("judges")

TEXTS = (
    "The train to London leaves in twenty minutes.",
    "She bought three apples and a loaf of bread.",
    "Please close the window before you leave.",
    "Thank you for the gift.",
)


def test_the_right_text_is_heard_and_the_wrong_one_is_not(listener: Asr) -> None:
    sounds = [said(text) for text in TEXTS]
    assert error_rate(listener.verdicts(sounds, TEXTS, "en")) < 0.1
    wrong = listener.verdicts(sounds, TEXTS[::-1], "en", again=False)
    assert error_rate(wrong) > 0.7


def test_a_pack_is_judged_as_each_clip_alone(listener: Asr) -> None:
    sounds, texts = [said(text, "en-gb") for text in TEXTS[1:]], TEXTS[1:]
    alone = [listener.verdicts([sound], [text], "en")[0] for sound, text in zip(sounds, texts, strict=True)]
    assert listener.verdicts(sounds, texts, "en", again=False) == alone


def test_what_was_missed_in_a_pack_is_heard_again_alone(listener: Asr) -> None:
    """Silence between two clips is all errors at first; heard alone, it still is, and its neighbours are right."""
    sounds = [said(TEXTS[1]), np.zeros(RATE_HZ, dtype=np.float32), said(TEXTS[2])]
    verdicts = listener.verdicts(sounds, [TEXTS[1], TEXTS[3], TEXTS[2]], "en")
    assert [one.edits for one in verdicts] == [0, 5, 0]


def test_silence_is_nothing_and_long_speech_is_heard_to_its_end(listener: Asr) -> None:
    assert listener.hear(np.zeros(RATE_HZ, dtype=np.float32), RATE_HZ, "en") == ""
    assert listener.verdicts([], [], "en") == []
    long = np.concatenate([said(text) for text in TEXTS * 4])
    assert len(long) > 33 * RATE_HZ
    assert listener.hear(long, RATE_HZ, "en").lower().count("apples") == 4
