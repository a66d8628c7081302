"""The words of a clip as Whisper writes them down."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from ishowtts.engines.voices import transcription, whisper_model
from ishowtts.engines.voices.clips import VoiceClip
from ishowtts.errors import VoiceError
from support.speaking import RATE_HZ, noise, said

if TYPE_CHECKING:
    from ishowtts_bench.metrics.asr import Asr

pytestmark = pytest.mark.xdist_group("metrics")
SILENCE = VoiceClip(np.zeros(3 * RATE_HZ), 3.0, 0.0, 0.0, RATE_HZ, 1, 0.0, None)


@pytest.fixture(autouse=True)
def loaded(asr: Asr, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model that other tests have loaded. `recognize` runs in this process, not in a child."""
    monkeypatch.setattr(whisper_model, "load", lambda threads: asr._model)


def at_16k(samples: np.ndarray) -> np.ndarray:
    return soxr.resample(samples, RATE_HZ, 16_000).astype(np.float32)


def test_numbers_are_written_as_they_are_said() -> None:
    found = transcription.recognize(at_16k(said("We sold thirty tickets, and the bus costs four dollars.")), "en-us")
    assert "thirty tickets" in found["words"]
    assert "four dollars" in found["words"]
    assert (found["language"], found["language_share"]) == ("en", None)
    assert not transcription.Transcription(**found).doubts


def test_noise_has_no_words_and_an_unknown_language_is_named() -> None:
    assert transcription.recognize(at_16k(noise(2.0)), "en") == {"problem": "no words were heard in the clip"}
    assert transcription.recognize(np.zeros(1, np.float32), "tlh") == {
        "problem": "Whisper does not know the language tlh"
    }


@pytest.mark.parametrize(
    ("share", "confidence", "doubts"),
    [(None, 0.9, 0), (0.98, 0.6, 0), (0.3, 0.9, 1), (0.3, 0.3, 2), (None, 0.3, 1)],
)
def test_uncertain_words_and_languages_are_doubted(share: float | None, confidence: float, doubts: int) -> None:
    assert len(transcription.Transcription("Hello.", "en", share, confidence).doubts) == doubts


def test_a_child_that_fails_or_is_too_slow_ends_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    monkeypatch.setattr(transcription.child_process, "command", lambda *_: [sys.executable, "-IS", str(program)])
    cases = {
        "import sys; sys.exit('RuntimeError: no memory')": "failed with exit status 1: RuntimeError: no memory; give",
        "import os; os.kill(os.getpid(), 9)": "failed with exit status -9; give the words with --text",
        "import time; time.sleep(100)": "did not finish within 1 s; give the words with --text",
    }
    monkeypatch.setattr(transcription, "DEADLINE_S", 1.0)
    started_s = time.monotonic()
    for code, sentence in cases.items():
        program.write_text(code)
        with pytest.raises(VoiceError, match=f"speech recognition {sentence}"):
            transcription.transcribe(SILENCE, None)
    assert time.monotonic() - started_s < 60
