"""Whatever changes the sound changes its cache key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts.config import Config
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.speech_cache_key import EspeakCacheKey, F5CacheKey, HibariCacheKey
from ishowtts.engines.voices.voice_library import VoiceLibrary
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
        return F5CacheKey(config, weights, VoiceLibrary(voices))

    return make


def test_the_default_voice_has_the_same_key_with_and_without_its_name(f5: Callable[..., F5CacheKey]) -> None:
    assert f5()(None) == f5()("anna") != f5()("bob")


def test_a_voice_that_cannot_be_used_has_no_key(f5: Callable[..., F5CacheKey]) -> None:
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
def test_every_audible_setting_changes_the_key(f5: Callable[..., F5CacheKey], settings: dict[str, Any]) -> None:
    assert f5(**settings)("anna") != f5()("anna")


def test_an_inaudible_switch_does_not_change_the_key(f5: Callable[..., F5CacheKey]) -> None:
    assert f5(disable=["folds", "graphs"])("anna") == f5()("anna")


@pytest.mark.parametrize("name", ["reference.wav", "reference.txt", "voice.yaml"])
def test_a_change_of_any_file_of_the_voice_changes_the_key_at_once(
    f5: Callable[..., F5CacheKey], voices: Path, name: str
) -> None:
    key = f5()
    before, other = key("anna"), key("bob")
    if name == "voice.yaml":
        (voices / "anna" / name).write_text("speed: 1.1\n")
    else:
        os.utime(voices / "anna" / name, ns=(1, 1))
    assert key("anna") != before
    assert key("bob") == other


def test_an_overwritten_clip_changes_the_key_even_with_the_same_size_and_time(
    f5: Callable[..., F5CacheKey], voices: Path
) -> None:
    """This happens when an archive with equal times is unpacked over the voice."""
    clip, key = voices / "anna" / "reference.wav", f5()
    os.utime(clip, ns=(1, 1))
    before = key("anna")
    clip.write_bytes(bytes(reversed(clip.read_bytes())))
    os.utime(clip, ns=(1, 1))
    assert key("anna") != before


@pytest.mark.parametrize("name", FILES)
def test_changed_weights_give_no_key_until_a_restart_and_then_another_one(
    f5: Callable[..., F5CacheKey], weights: Weights, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = f5()
    before = key("anna")
    kept = weights.folder / f"{name}.before"
    shutil.copy2(weights.folder / name, kept)
    (weights.folder / name).write_bytes(b"others")
    assert key("anna") is None, "the worker may have loaded either"
    assert key("anna") is None
    assert len(caplog.records) == 1
    assert f5()("anna") not in (None, before), "the next start knows which ones were loaded"
    (weights.folder / name).unlink()
    assert f5()("anna") is None


def test_the_key_of_espeak_holds_its_version_and_its_voice() -> None:
    key = EspeakCacheKey(EspeakEngine())
    assert "eSpeak NG" in (key(None) or {})["program"]
    assert key(None) == key("bob")
    assert EspeakCacheKey(EspeakEngine("de"))(None) != key(None)


def test_the_key_of_hibari_holds_the_versions_of_what_makes_its_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    key = HibariCacheKey()(None)
    assert key == HibariCacheKey()("bob")
    assert (key["engine"], bool(key["hibari-tts"]), bool(key["onnxruntime"])) == ("hibari", True, True)
    monkeypatch.setattr(metadata, "version", lambda _: "9.9")
    assert HibariCacheKey()(None) != key


def test_without_espeak_there_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    key = EspeakCacheKey(EspeakEngine())
    assert key(None) is None
    assert key(None) is None
    monkeypatch.undo()
    assert key(None) is not None, "it was installed later"


def test_sound_that_was_cached_with_the_gain_of_its_voice_is_not_used_again(
    f5: Callable[..., F5CacheKey], voices: Path
) -> None:
    """The gain is applied when the sound is played; an earlier version cached the sound with it."""
    assert "gain" not in (f5()("bob") or {})
    (voices / "bob/voice.yaml").write_text("gain_db: -3\n")
    assert (f5()("bob") or {})["gain"] == "not applied"
