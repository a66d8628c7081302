"""Whatever changes the sound changes the name under which it is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts.config import Config
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.speech_cache_key import EspeakCacheKey, F5CacheKey
from ishowtts.engines.voices.shelf import VoiceShelf
from ishowtts.engines.weights import Weights

FILES = ("model.safetensors", "vocab.txt", "vocoder.safetensors", "config.yaml")


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    paths = [tmp_path / name for name in FILES]
    for path in paths:
        path.write_bytes(b"weights")
    return Weights(tmp_path, *paths)


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    folder = tmp_path / "voices"
    for name in ("anna", "bob"):
        (folder / name).mkdir(parents=True)
        soundfile.write(folder / name / "reference.wav", np.zeros(24_000, np.int16), 24_000)
        (folder / name / "reference.txt").write_text("What is said.")
    return folder


@pytest.fixture
def f5(weights: Weights, voices: Path) -> Callable[..., F5CacheKey]:
    def make(**settings: Any) -> F5CacheKey:
        config = Config.model_validate({"engine": {"f5": {"default_voice": "anna", **settings}}})
        return F5CacheKey(config, weights, VoiceShelf(voices))

    return make


def test_the_default_voice_by_its_name_is_the_same(f5: Callable[..., F5CacheKey]) -> None:
    assert f5()(None) == f5()("anna") != f5()("bob")


def test_a_voice_that_cannot_be_used_has_none(f5: Callable[..., F5CacheKey]) -> None:
    assert f5()("nobody") is None


@pytest.mark.parametrize(
    "settings",
    [
        {"nfe_step": 8},
        {"cfg_strength": 1.5},
        {"precision": "fp16"},
        {"device": "cpu"},
        {"disable": ["short_text"]},
        {"precision": "int8"},
        {"precision": "fp8"},
        {"quality": "fast"},
        {"optimisations": {"guidance_skip": "reuse"}},
        {"optimisations": {"nfe_policy": True}},
    ],
)
def test_every_setting_that_is_heard_counts(f5: Callable[..., F5CacheKey], settings: dict[str, Any]) -> None:
    assert f5(**settings)("anna") != f5()("anna")


def test_a_switch_that_is_not_heard_does_not(f5: Callable[..., F5CacheKey]) -> None:
    assert f5(disable=["folds", "graphs"])("anna") == f5()("anna")


@pytest.mark.parametrize("name", ["reference.wav", "reference.txt", "voice.yaml"])
def test_every_file_of_the_voice_counts_at_once(f5: Callable[..., F5CacheKey], voices: Path, name: str) -> None:
    fingerprint = f5()
    before, other = fingerprint("anna"), fingerprint("bob")
    if name == "voice.yaml":
        (voices / "anna" / name).write_text("speed: 1.1\n")
    else:
        os.utime(voices / "anna" / name, ns=(1, 1))
    assert fingerprint("anna") != before
    assert fingerprint("bob") == other


def test_a_clip_that_was_written_over_counts_though_size_and_time_are_as_before(
    f5: Callable[..., F5CacheKey], voices: Path
) -> None:
    """As an archive whose times are all alike is unpacked over the voice."""
    clip, fingerprint = voices / "anna" / "reference.wav", f5()
    os.utime(clip, ns=(1, 1))
    before = fingerprint("anna")
    clip.write_bytes(bytes(reversed(clip.read_bytes())))
    os.utime(clip, ns=(1, 1))
    assert fingerprint("anna") != before


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_weights_counts_and_while_it_runs_there_is_none(
    f5: Callable[..., F5CacheKey], weights: Weights, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    fingerprint = f5()
    before = fingerprint("anna")
    kept = weights.folder / f"{name}.before"
    shutil.copy2(weights.folder / name, kept)
    (weights.folder / name).write_bytes(b"others")
    assert fingerprint("anna") is None, "the worker may have loaded either"
    assert fingerprint("anna") is None
    assert len(caplog.records) == 1
    assert f5()("anna") not in (None, before), "the next start knows which"
    (weights.folder / name).unlink()
    assert f5()("anna") is None


def test_espeak_is_its_version_its_voice_and_the_language_of_the_voice(voices: Path) -> None:
    def fingerprint(voice: str | None = None, **settings: Any) -> Any:
        config = Config.model_validate({"engine": {"kind": "espeak", **settings}})
        return EspeakCacheKey(config, EspeakEngine(), VoiceShelf(voices))(voice)

    assert "eSpeak NG" in fingerprint()["program"]
    assert fingerprint() == fingerprint("bob")
    assert fingerprint(espeak_voice="de") != fingerprint()
    (voices / "bob" / "voice.yaml").write_text("language: fr\n")
    assert fingerprint("bob") != fingerprint("anna")


def test_without_espeak_there_is_none(voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    fingerprint = EspeakCacheKey(Config(), EspeakEngine(), VoiceShelf(voices))
    assert fingerprint(None) is None
    assert fingerprint(None) is None
    monkeypatch.undo()
    assert fingerprint(None) is not None, "it came later"
