"""The default voice: set over MQTT, kept over a restart, replaced by the configured one while it cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.engines.build import Engines
from ishowtts.errors import CommandError, VoiceError
from ishowtts.speech.default_voice import DefaultVoice


def put(folder: Path, name: str) -> None:
    voice = folder / "voices" / name
    voice.mkdir(parents=True)
    (voice / "reference.wav").write_bytes(b"a clip")
    (voice / "reference.txt").write_text("its words")


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    for name in ("anna", "bob"):
        put(tmp_path, name)
    config = Config.model_validate(
        {"data_dir": tmp_path, "engine": {"kind": "espeak", "fallback": False, "f5": {"default_voice": "bob"}}}
    )
    return build.build_engines(config, build.choose_engine(config), lambda: None)


def test_a_voice_is_chosen_and_given_back(engines: Engines) -> None:
    default = DefaultVoice(engines, None)
    assert (default.name, default.override(), default.problem) == ("bob", None, None)
    default.check("anna")
    unheard = "; it is not heard, because another engine speaks: engine.kind is espeak"
    assert default.choose("anna") == f"the default voice is anna{unheard}"
    assert (default.name, default.override()) == ("anna", "anna")
    assert default.choose("bob") == f"the default voice is bob{unheard}"
    assert (default.name, default.override()) == ("bob", None), "the engine has the configured one already"
    assert default.choose(None) == f"the default voice is bob, as configured{unheard}"
    assert DefaultVoice(engines, "anna").name == "anna"
    assert DefaultVoice(engines, "").override() is None


@pytest.mark.parametrize("name", ["nobody", "Anna", "../anna", "a" * 100, "", "anna/../bob"])
def test_a_voice_that_is_not_there_is_refused_with_a_list(engines: Engines, name: str) -> None:
    with pytest.raises(CommandError, match="anna, bob, default") as caught:
        DefaultVoice(engines, None).check(name)
    assert ("did you mean 'anna'? The voices are" in str(caught.value)) == (name in ("Anna", "../anna"))


def test_a_voice_whose_files_cannot_be_read_is_refused_with_the_reason(engines: Engines, tmp_path: Path) -> None:
    (tmp_path / "voices/anna/reference.txt").unlink()
    with pytest.raises(CommandError, match=r"reference\.txt is missing"):
        DefaultVoice(engines, None).check("anna")


def test_a_voice_that_disappears_is_replaced_until_it_is_back(engines: Engines, tmp_path: Path) -> None:
    default = DefaultVoice(engines, "anna")
    shutil.rmtree(tmp_path / "voices/anna")
    default.refresh()
    assert (default.name, default.override()) == ("bob", None)
    assert default.problem == (
        "lines without a voice use 'bob', because the one that was set over MQTT cannot be used: "
        "there is no voice 'anna'; the voices are bob, default"
    )
    assert DefaultVoice(engines, "anna").problem == default.problem
    put(tmp_path, "anna")
    default.refresh()
    assert (default.name, default.problem) == ("anna", None)


def test_a_voice_that_the_engine_refuses_is_replaced_until_its_files_change(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise VoiceError(f"the clip of {name} is silent; record it again")

    default = DefaultVoice(engines, "anna")
    monkeypatch.setattr(engines, "prepare_voice", refuse)
    with pytest.raises(VoiceError):
        default.prepare("bob")
    assert default.problem is None, "it is the configured one"
    with pytest.raises(VoiceError):
        default.prepare("anna")
    assert default.name == "bob"
    assert "the clip of anna is silent; record it again" in str(default.problem)
    default.refresh()
    assert default.name == "anna"
