"""Voices are found by name, and what is wrong with one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.engines.voices import VoiceShelf
from ishowtts.errors import VoiceError


def put(folder: Path, name: str, text: bytes | None = b"Some words.\n", clip: str = "reference.wav") -> None:
    (folder / name).mkdir()
    (folder / name / clip).write_bytes(b"RIFF")
    if text is not None:
        (folder / name / "reference.txt").write_bytes(text)


@pytest.mark.f5
def test_the_default_voice_comes_with_f5_tts() -> None:
    voice = VoiceShelf(None).find(None)
    assert voice.name == "default"
    assert voice.audio_path.is_file()
    assert voice.text == "Some call me nature, others call me mother nature."


def test_folders_are_voices_at_once(tmp_path: Path) -> None:
    shelf = VoiceShelf(tmp_path)
    assert shelf.names() == ["default"]
    put(tmp_path, "ann", b"\xef\xbb\xbf Hello\n there. \n")
    put(tmp_path, "bob", clip="reference.flac")
    put(tmp_path, "Not A Name")
    (tmp_path / "empty").mkdir()
    assert shelf.names() == ["ann", "bob", "default"]
    assert shelf.find("ann").text == "Hello there."
    assert shelf.find(None, "bob").audio_path.name == "reference.flac"


def test_a_folder_default_takes_the_packages_place(tmp_path: Path) -> None:
    put(tmp_path, "default")
    assert VoiceShelf(tmp_path).find(None).text == "Some words."


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "is missing"), (b"\xff\xfe", "UTF-8"), (b" \n", "holds nothing"), (b"a" * 5000, "holds too much")],
)
def test_words_that_cannot_be_read_are_told(tmp_path: Path, text: bytes | None, words: str) -> None:
    put(tmp_path, "ann", text)
    with pytest.raises(VoiceError, match=words):
        VoiceShelf(tmp_path).find("ann")


@pytest.mark.parametrize("name", ["", "../ann", "Ann", "a" * 65, "ann/..", "a\nb"])
def test_a_name_never_leads_out_of_the_shelf(tmp_path: Path, name: str) -> None:
    put(tmp_path, "ann")
    with pytest.raises(VoiceError, match="no name of a voice"):
        VoiceShelf(tmp_path / "ann").find(name)


def test_an_unknown_voice_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    put(tmp_path, "ann")
    with pytest.raises(VoiceError, match="no voice 'bob'; there are ann, default"):
        VoiceShelf(tmp_path).find("bob")
    with pytest.raises(VoiceError, match="no voice 'bob'"):
        VoiceShelf(tmp_path / "missing").find("bob")
