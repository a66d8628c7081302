"""The natural voice in this process: its sound, its limits, and what it refuses."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hibari import Hibari, voices

from ishowtts.engines.hibari import hibari_engine as module
from ishowtts.engines.hibari.hibari_engine import HibariEngine, HibariOptions
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, SynthesisError
from ishowtts.model import Segment, Utterance

pytestmark = pytest.mark.xdist_group("hibari")

TEXT = "The quick brown fox jumps over the lazy dog."


def never() -> bool:
    return False


def speak(engine: HibariEngine, text: str, **fields: Any) -> Utterance:
    return engine.synthesize(Segment("line", 0, 1, text, **fields), never)


def test_every_voice_is_spoken_as_heart(hibari_engine: HibariEngine) -> None:
    for voice in (None, "anna", *voices.VOICES, "../../etc/passwd"):
        assert hibari_engine.prepare(voice).name == "heart"
        assert speak(hibari_engine, "Hello.", voice=voice).voice == "heart"


def test_no_voice_is_ever_downloaded(hibari_engine: HibariEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for voice in set(voices.VOICES) - {"heart"}:
        with pytest.raises(EngineError, match="speaks as heart only"):
            Hibari(voice=voice)
    home = Path(voices.cache_dir())
    assert home.name == "hibari"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("cache_dir", [None, "/proc/nowhere"])
def test_without_a_cache_its_folder_cannot_exist(cache_dir: str | None) -> None:
    with pytest.raises(NotADirectoryError):
        module._empty_folder(cache_dir).mkdir(parents=True)


def test_a_seed_repeats_the_sound_and_without_one_it_differs(hibari_engine: HibariEngine) -> None:
    first, second, other = (speak(hibari_engine, TEXT, seed=seed).samples for seed in (7, 7, 8))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    free, again = (speak(hibari_engine, TEXT).samples for _ in range(2))
    assert not np.array_equal(free, again)


def test_speed_is_clamped_as_for_espeak(hibari_engine: HibariEngine) -> None:
    slowest, slow, normal, fast, fastest = (
        speak(hibari_engine, TEXT, speed=speed).audio_s for speed in (0.1, 0.5, None, 2.0, 9.0)
    )
    assert slowest == slow
    assert fastest == fast
    assert slow > 1.6 * normal > 2.5 * fast


def test_it_starts_at_once_ends_with_a_pause_and_has_no_click_at_its_edges(hibari_engine: HibariEngine) -> None:
    for text in (TEXT, "Hello.", "no", f"{TEXT} {TEXT}"):
        samples = speak(hibari_engine, text, seed=1).samples
        loud = np.flatnonzero(np.abs(samples) > 330)  # -40 dBFS
        assert loud[0] < 0.15 * 24_000
        assert 0.1 * 24_000 < len(samples) - loud[-1] < 0.5 * 24_000
        assert (samples[0], samples[-1]) == (0, 0)
        assert 5000 < np.abs(samples).max() < 32767
    pause = np.abs(speak(hibari_engine, f"{TEXT} {TEXT}", seed=1).samples) > 330
    assert np.diff(np.flatnonzero(pause)).max() < 0.6 * 24_000


@pytest.mark.parametrize("text", ["", "...", "?!", "😀", "ⅷ", "你好"])
def test_no_sound_is_a_fault_of_the_text(hibari_engine: HibariEngine, text: str) -> None:
    with pytest.raises(SynthesisError):
        speak(hibari_engine, text)


def test_silence_from_the_model_is_not_success(hibari_engine: HibariEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hibari_engine._model is not None
    monkeypatch.setattr(hibari_engine._model, "_speak", lambda *_: np.zeros(24_000, np.float32))
    with pytest.raises(SynthesisError, match="made no sound"):
        speak(hibari_engine, TEXT)


def test_implausibly_long_sound_is_a_fault_of_the_text(
    hibari_engine: HibariEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hibari_engine._model is not None
    monkeypatch.setattr(hibari_engine._model, "_speak", lambda *_: np.ones(24_000 * 30, np.float32))
    with pytest.raises(SynthesisError, match="not plausible"):
        speak(hibari_engine, "Hello.")


def test_the_longest_segment_is_spoken_and_a_cancel_ends_it_between_phrases(hibari_engine: HibariEngine) -> None:
    text = ("hello there, " * 40)[: hibari_engine.prepare(None).max_segment_bytes]
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked == 2

    with pytest.raises(Cancelled):
        hibari_engine.synthesize(Segment("line", 0, 1, text), cancelled)
    assert asked == 2
    assert speak(hibari_engine, text).audio_s > 15


def test_the_speech_rate_predicts_durations(hibari_engine: HibariEngine) -> None:
    info = hibari_engine.prepare(None)
    text = "That was absolutely insane, I cannot believe that he made that jump. What a beautiful day it is."
    assert info.bytes_per_s is not None
    assert speak(hibari_engine, text).audio_s == pytest.approx(len(text) / info.bytes_per_s, rel=0.2)
    assert info.reference_s == 0
    assert info.cost is not None
    assert 0 < info.cost < 1


def test_it_says_what_is_missing_and_that_it_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = HibariEngine(HibariOptions())
    with pytest.raises(EngineUnavailable, match="not loaded"):
        speak(engine, TEXT)
    monkeypatch.setattr(module, "missing_package", lambda: "it is not installed")
    with pytest.raises(EngineError, match="it is not installed"):
        engine.load(lambda _: None)
