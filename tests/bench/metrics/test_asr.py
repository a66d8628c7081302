from __future__ import annotations

import numpy as np
import pytest

from ishowtts_bench.metrics.asr import Asr, error_rate
from support.speaking import RATE_HZ, said

pytestmark = pytest.mark.xdist_group("metrics")

TEXTS = (
    "The train to London leaves in twenty minutes.",
    "She bought three apples and a loaf of bread.",
    "Please close the window before you leave.",
    "Thank you for the gift.",
)


def test_the_right_text_is_recognized_and_a_wrong_one_is_not(asr: Asr) -> None:
    sounds = [said(text) for text in TEXTS]
    assert error_rate(asr.recognize(sounds, TEXTS, "en")) < 0.1
    wrong = asr.recognize(sounds, TEXTS[::-1], "en", retry_alone=False)
    assert error_rate(wrong) > 0.7


def test_clips_in_a_pack_are_told_apart(asr: Asr) -> None:
    """At most one word of a clip is wrong, in the pack and alone.

    Which one depends on the processor, since Whisper's int8 products are rounded in different ways: "a loaf on bread".
    """
    sounds, texts = [said(text, "en-gb") for text in TEXTS[1:]], TEXTS[1:]
    alone = [asr.recognize([sound], [text], "en")[0] for sound, text in zip(sounds, texts, strict=True)]
    packed = asr.recognize(sounds, texts, "en", retry_alone=False)
    assert [one.total for one in packed] == [one.total for one in alone] == [len(text.split()) for text in texts]
    assert max(one.edits for one in (*alone, *packed)) <= 1


def test_a_clip_that_was_misheard_in_a_pack_is_transcribed_again_alone(asr: Asr) -> None:
    """Silence between two clips has only errors, in the pack and alone; the clips next to it are right."""
    sounds = [said(TEXTS[1]), np.zeros(RATE_HZ, dtype=np.float32), said(TEXTS[2])]
    results = asr.recognize(sounds, [TEXTS[1], TEXTS[3], TEXTS[2]], "en")
    assert [one.edits for one in results] == [0, 5, 0]


def test_silence_gives_no_words_and_long_speech_is_transcribed_to_its_end(asr: Asr) -> None:
    assert asr.transcribe(np.zeros(RATE_HZ, dtype=np.float32), RATE_HZ, "en") == ""
    assert asr.recognize([], [], "en") == []
    long = np.concatenate([said(text) for text in TEXTS * 4])
    assert len(long) > 33 * RATE_HZ
    assert asr.transcribe(long, RATE_HZ, "en").lower().count("apples") == 4
