"""Voices of espeak-ng: which names it has, and which of its voices is nearest to another name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.engines.espeak_voices import missing_voice, nearest_voice
from support.fake_espeak import FakeEspeak


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ("xx-yy", "en-us"),
        ("klingon9", "en-us"),
        ("English_GB", "en-us"),
        ("english", "en-us"),
        ("ENGLISH-US+f3", "en-us"),
        ("en_GB", "en-gb"),
        ("en-GB-xx", "en-gb"),
        ("german", "de"),
        ("de_DE", "de"),
        ("pt_BR", "pt-br"),
        ("pt-xx", "pt"),
        ("Chinese", "cmn"),
        ("+f3", "en-us"),
        ("_", "en-us"),
    ],
)
def test_the_nearest_voice_is_one_of_the_same_language(wanted: str, nearest: str) -> None:
    assert nearest_voice(wanted, lambda: False) == nearest


@pytest.mark.parametrize("voice", ["en-us", "EN-US", "de", "cmn", "zh", "en+f3", "pt-xx"])
def test_a_voice_that_espeak_can_load_is_not_missing(voice: str) -> None:
    assert missing_voice(voice) is None


@pytest.mark.parametrize("voice", ["xx-yy", "english", "English_GB", "en_GB", "+f3"])
def test_a_missing_voice_is_named_with_the_fix(voice: str) -> None:
    sentence = missing_voice(voice)
    assert sentence is not None
    assert f"no voice {voice!r}" in sentence
    assert "; set engine.espeak_voice to en-" in sentence


@pytest.mark.parametrize("mode", ["exit", "missing"])
def test_a_program_that_does_not_work_says_nothing_of_its_voices(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeEspeak(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(fake.folder) if mode == "missing" else fake.path)
    fake.behave("exit", 1)
    if mode == "missing":
        fake.program.unlink()
    assert missing_voice("xx-yy") is None
    assert nearest_voice("german", lambda: False) == "en-us"
