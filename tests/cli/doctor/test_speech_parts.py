"""What `ishowtts doctor` says about engine, voices and sound."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ishowtts.cli import engine_findings
from ishowtts.cli.doctor import speech_parts
from ishowtts.cli.engine_findings import about_weights
from ishowtts.config import Config
from ishowtts.engines.weights import Weights
from ishowtts.playback.alsa.card_silence import PlaybackControl, silence_of

WHAT_IT_MAY_BE = "audio.device to silent, wav:PATH or a card from `ishowtts devices`"


def settings(folder: Path, **sections: Any) -> Config:
    return Config.model_validate({"state_dir": str(folder / "state"), "cache_dir": str(folder), **sections})


@pytest.mark.parametrize("device", ["nosuch", "hw:CARD=Nowhere", "plughw:CARD=Nowhere,DEV=3"])
def test_a_card_that_is_not_there_is_told_what_audio_device_may_be(tmp_path: Path, device: str) -> None:
    [row] = speech_parts.examine_sound(settings(tmp_path, audio={"device": device}))
    assert (row.part, row.verdict) == ("sound", "fault")
    assert device in row.detail
    assert WHAT_IT_MAY_BE in (row.fix or "")


def test_a_machine_without_a_card_is_told_what_audio_device_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.playback.alsa.auto_speaker.list_devices", lambda _: [])
    [row] = speech_parts.examine_sound(settings(tmp_path))
    assert (row.verdict, row.detail) == ("fault", "there is no sound card with something attached")
    assert WHAT_IT_MAY_BE in (row.fix or "")


def test_a_wav_file_needs_its_folder(tmp_path: Path) -> None:
    audio = {"device": "wav:/nonexist/x.wav", "when_lost": "silent"}
    sound, substitute = speech_parts.examine_sound(settings(tmp_path, audio=audio))
    assert (sound.verdict, sound.detail) == (
        "fault",
        "wav:/nonexist/x.wav: the folder /nonexist of x.wav does not exist",
    )
    assert "fix audio.device" in (sound.fix or "")
    assert (substitute.part, substitute.verdict) == ("substitute device", "note")
    assert "audio.when_lost" in (substitute.fix or "")
    [sound] = speech_parts.examine_sound(settings(tmp_path, audio={"device": f"wav:{tmp_path}/x.wav"}))
    assert sound.verdict == "ok"
    assert not (tmp_path / "x.wav").exists()


def test_a_pipe_needs_a_reader(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    audio = {"device": f"pipe:{pipe}", "mixer": "PCM"}
    [sound] = speech_parts.examine_sound(settings(tmp_path, audio=audio))
    assert (sound.verdict, sound.detail) == ("fault", f"the pipe {pipe} does not exist")
    os.mkfifo(pipe)
    [sound] = speech_parts.examine_sound(settings(tmp_path, audio=audio))
    assert (sound.verdict, sound.detail) == ("fault", f"nobody reads the pipe {pipe}")
    assert sound.fix == "start snapserver, or another program that reads it"
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    [sound] = speech_parts.examine_sound(settings(tmp_path, audio=audio))
    assert sound.verdict == "ok"
    assert os.read(reader, 1) == b"", "nothing is written"
    os.close(reader)
    [mixer] = speech_parts.examine_mixer(settings(tmp_path, audio=audio))
    assert (mixer.verdict, "audio.mixer has no effect" in mixer.detail) == ("note", True)


def test_broken_weights_that_are_named_are_fixed_at_the_key(tmp_path: Path) -> None:
    [row] = speech_parts.examine_engine(settings(tmp_path, engine={"f5": {"weights": str(tmp_path)}}))
    assert (row.verdict, "holds neither model.yaml nor" in row.detail) == ("fault", True)
    assert row.fix is not None
    assert row.fix.startswith("engine.f5.weights names this folder")
    [row] = speech_parts.examine_engine(settings(tmp_path, engine={"kind": "f5"}))
    assert (row.verdict, row.fix) == ("fault", "sudo ishowtts fetch")
    [row] = speech_parts.examine_engine(settings(tmp_path))
    assert (row.verdict, row.detail.partition(":")[0]) == ("ok", "hibari, then espeak")


def test_broken_fetched_weights_are_a_fault_as_in_check(tmp_path: Path) -> None:
    weights = tmp_path / "state/weights"
    weights.mkdir(parents=True)
    (weights / "model_1250000.safetensors").touch()
    for kind in ("auto", "f5"):
        configured = settings(tmp_path, engine={"kind": kind})
        [row], [checked] = speech_parts.examine_engine(configured), engine_findings.examine_f5(configured)
        assert (row.part, row.verdict, row.fix) == ("engine", "fault", "sudo ishowtts fetch")
        assert (row.verdict, row.detail, row.fix) == (checked.verdict, checked.detail, checked.fix)


def test_espeak_that_is_missing_is_a_fault_if_it_must_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    [row] = speech_parts.examine_fallback(settings(tmp_path))
    assert (row.verdict, row.fix) == ("fault", "sudo apt-get install espeak-ng")
    [row] = speech_parts.examine_fallback(settings(tmp_path, engine={"kind": "f5", "fallback": False}))
    assert row.verdict == "note"


def test_a_voice_that_espeak_does_not_have_is_a_fault_if_espeak_may_speak(tmp_path: Path) -> None:
    [row] = speech_parts.examine_fallback(settings(tmp_path, engine={"espeak_voice": "English_GB"}))
    assert (row.part, row.verdict) == ("fallback voice", "fault")
    assert row.fix is not None
    assert row.fix.startswith("set engine.espeak_voice to en-us")
    [row] = speech_parts.examine_fallback(
        settings(tmp_path, engine={"kind": "f5", "fallback": False, "espeak_voice": "English_GB"})
    )
    assert row.verdict == "note"
    [row] = speech_parts.examine_fallback(settings(tmp_path, engine={"espeak_voice": "de"}))
    assert row.verdict == "ok"


def test_an_espeak_that_does_not_speak_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    [row] = speech_parts.examine_fallback(settings(tmp_path))
    assert (row.part, row.verdict, bool(row.fix)) == ("fallback voice", "fault", True)
    [row] = speech_parts.examine_fallback(settings(tmp_path, engine={"kind": "hibari", "fallback": False}))
    assert row.verdict == "note"


def without_natural_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "hibari" else find(name, *rest)
    )


def test_the_natural_voice_is_a_row_if_it_may_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [row] = speech_parts.examine_natural_voice(settings(tmp_path))
    assert (row.part, row.verdict) == ("natural voice", "ok")
    assert row.detail.endswith("is installed (Apache-2.0, commercial use allowed); it speaks English only")
    assert not list(
        speech_parts.examine_natural_voice(settings(tmp_path, engine={"fallback": ["espeak"], "kind": "f5"}))
    )
    without_natural_voice(monkeypatch)
    for engine, verdict in (
        ({}, "note"),
        ({"kind": "f5"}, "note"),
        ({"kind": "hibari"}, "fault"),
        ({"fallback": ["hibari"]}, "fault"),
    ):
        [row] = speech_parts.examine_natural_voice(settings(tmp_path, engine=engine))
        assert (row.verdict, row.fix) == (verdict, "run install.sh again")
    assert not list(speech_parts.examine_natural_voice(settings(tmp_path, engine={"kind": "espeak"})))


def test_the_engine_that_leads_is_told_with_those_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [row] = speech_parts.examine_engine(settings(tmp_path))
    assert row.detail.startswith("hibari, then espeak: no F5-TTS weights were found")
    without_natural_voice(monkeypatch)
    [row] = speech_parts.examine_engine(settings(tmp_path))
    assert (row.verdict, row.detail.partition(":")[0]) == ("note", "espeak")
    assert "run install.sh again" in (row.fix or "")
    assert "sudo ishowtts fetch" in (row.fix or "")
    [row] = speech_parts.examine_engine(settings(tmp_path, engine={"kind": "hibari"}))
    assert (row.part, row.verdict, row.fix) == ("engine", "fault", "run install.sh again")


@pytest.mark.parametrize(
    ("licence", "says"),
    [
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0, commercial use NOT allowed"),
        ("Apache-2.0", "Apache-2.0, commercial use allowed"),
        ("Own-1.0", "Own-1.0, which says whether commercial use is allowed"),
        (None, "not known; ask who made these weights"),
    ],
)
def test_languages_and_licence_of_the_weights_are_told(tmp_path: Path, licence: str | None, says: str) -> None:
    weights = Weights(*[tmp_path] * 5, licence=licence, languages=("en", "zh"), name="official")
    assert about_weights(settings(tmp_path), weights) == f"official: languages en, zh; licence {says}"
    own = settings(tmp_path, engine={"f5": {"languages": ["de"]}})
    assert about_weights(own, weights).startswith("official: languages de (engine.f5.languages);")
    unnamed = about_weights(settings(tmp_path), replace(weights, languages=None, name="mine"))
    assert "languages not known" in unnamed
    assert ("as model.yaml says" in unnamed) is (licence is not None)


@pytest.mark.f5
def test_voices_and_what_is_none_are_listed(tmp_path: Path) -> None:
    voices = tmp_path / "state/voices"
    for path in ("Anna/reference.wav", "bob/bob.wav", "mute/reference.wav", "empty/notes.txt", "loose.m4a", "README"):
        (voices / path).parent.mkdir(parents=True, exist_ok=True)
        (voices / path).write_bytes(b"RIFF")
    *notes, row = speech_parts.examine_voices(settings(tmp_path))
    assert (row.verdict, row.detail) == ("ok", "default; a line without a voice gets default")
    assert {note.verdict for note in notes} == {"note"}
    assert all(note.fix for note in notes)
    told = "\n".join(note.detail for note in notes)
    for what in (
        "mute/reference.txt is missing",
        "Anna is not a voice",
        "bob is not a voice",
        "empty is",
        "loose.m4a is",
    ):
        assert what in told
    assert "README" not in told
    rows = list(speech_parts.examine_voices(settings(tmp_path, engine={"f5": {"default_voice": "zoe"}})))
    [row] = [row for row in rows if row.verdict == "fault"]
    assert "there is no voice 'zoe'" in row.detail
    assert "engine.f5.default_voice" in (row.fix or "")


@pytest.mark.parametrize(("kind", "verdict"), [("auto", "note"), ("f5", "fault")])
def test_an_installation_without_f5_needs_no_default_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, verdict: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    [row] = speech_parts.examine_voices(settings(tmp_path, data_dir=str(tmp_path), engine={"kind": kind}))
    assert (row.part, row.verdict) == ("voices", verdict)


def test_a_mixer_without_a_card_is_told(tmp_path: Path) -> None:
    [row] = speech_parts.examine_mixer(settings(tmp_path, audio={"device": "silent", "mixer": "PCM"}))
    assert (row.verdict, "has no effect" in row.detail) == ("note", True)


def test_a_card_that_is_muted_is_a_fault_with_the_command_that_unmutes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    muted = silence_of("hw:CARD=A", [PlaybackControl("PCM", off=True)])
    monkeypatch.setattr("ishowtts.playback.alsa.card_silence.card_silence", lambda _device: muted)
    [row] = speech_parts.examine_mixer(settings(tmp_path, audio={"device": "hw:CARD=A"}))
    assert (row.part, row.verdict, row.detail) == (
        "mixer",
        "fault",
        "the sound card hw:CARD=A is muted (PCM), so nothing is heard",
    )
    assert row.fix == "run `amixer -D hw:CARD=A sset PCM unmute`"
    monkeypatch.setattr("ishowtts.playback.alsa.card_silence.card_silence", lambda _device: None)
    assert list(speech_parts.examine_mixer(settings(tmp_path, audio={"device": "hw:CARD=A"}))) == []
