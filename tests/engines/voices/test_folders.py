"""Voices on disk: whole or not there, and nothing deleted that is not a voice's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.engines.voices import folders
from ishowtts.engines.voices.clips import VoiceClip
from ishowtts.engines.voices.settings import VoiceSettings
from ishowtts.engines.voices.shelf import VoiceShelf
from ishowtts.errors import VoiceError

WORDS = "These are the words of the clip."
NONE = VoiceSettings()


def clip(level: float = 0.3) -> VoiceClip:
    samples = level * np.sin(np.arange(72_000) / 20)
    return VoiceClip(samples, 3.0, 0.0, 0.0, 24_000, 1, 0.0, None)


def test_what_is_added_is_a_voice_that_anybody_may_read(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        folder = folders.add(tmp_path / "voices", "anna", clip(), WORDS, VoiceSettings(speed=0.9, language="de"))
    finally:
        os.umask(umask)
    voice = VoiceShelf(tmp_path / "voices").find("anna")
    assert (voice.text, voice.speed, voice.nfe_step, voice.language) == (WORDS, 0.9, None, "de")
    samples, rate_hz = soundfile.read(voice.audio_path)
    assert rate_hz == 24_000
    assert np.abs(samples - clip().samples).max() < 2**-22
    assert [path.name for path in (tmp_path / "voices").iterdir()] == ["anna"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o755}


def test_no_settings_make_no_file(tmp_path: Path) -> None:
    assert not (folders.add(tmp_path, "anna", clip(), WORDS, NONE) / "voice.yaml").exists()


def test_a_voice_is_replaced_only_when_asked(tmp_path: Path) -> None:
    folders.add(tmp_path, "anna", clip(), WORDS, VoiceSettings(speed=0.9))
    with pytest.raises(VoiceError, match="there already; add --replace"):
        folders.add(tmp_path, "anna", clip(), "Other words.", NONE)
    assert VoiceShelf(tmp_path).find("anna").text == WORDS
    folders.add(tmp_path, "anna", clip(), "Other words.", NONE, replace=True)
    folders.add(tmp_path, "bob", clip(), WORDS, NONE, replace=True)
    anna = VoiceShelf(tmp_path).find("anna")
    assert (anna.text, anna.speed) == ("Other words.", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anna", "bob"]


def test_a_reader_never_finds_half_a_voice(tmp_path: Path) -> None:
    shelf, done, faults = VoiceShelf(tmp_path), threading.Event(), []

    def read() -> None:
        while not done.is_set():
            if strange := set(shelf.names()) - {"anna", "default"}:
                faults.append(str(strange))
            try:
                voice = shelf.find("anna")
            except VoiceError as error:
                if "there is no voice" not in str(error) and "was removed" not in str(error):
                    faults.append(str(error))
            else:
                if voice.text != WORDS or voice.speed != 0.9:
                    faults.append(repr(voice))

    reader = threading.Thread(target=read, name="reader")
    reader.start()
    try:
        for _ in range(20):
            folders.add(tmp_path, "anna", clip(), WORDS, VoiceSettings(speed=0.9))
            folders.remove(tmp_path, "anna")
    finally:
        done.set()
        reader.join()
    assert faults == []


def test_default_takes_the_packaged_place_and_gives_it_back(tmp_path: Path) -> None:
    folders.add(tmp_path, "default", clip(), WORDS, NONE)
    assert VoiceShelf(tmp_path).find(None).text == WORDS
    folders.remove(tmp_path, "default")
    assert VoiceShelf(tmp_path).names() == ["default"]
    assert list(tmp_path.iterdir()) == []


def test_only_a_voices_own_files_are_ever_deleted(tmp_path: Path) -> None:
    folder = folders.add(tmp_path / "voices", "anna", clip(), WORDS, NONE)
    (folder / "notes.txt").write_text("mine")
    for replace_or_remove in (
        lambda: folders.add(tmp_path / "voices", "anna", clip(), WORDS, NONE, replace=True),
        lambda: folders.remove(tmp_path / "voices", "anna"),
    ):
        with pytest.raises(VoiceError, match=r"holds 'notes\.txt', which is no part of a voice"):
            replace_or_remove()
    assert len(list(folder.iterdir())) == 3
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "reference.wav").write_bytes(b"RIFF")
    (tmp_path / "voices" / "bob").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VoiceError, match="is a link"):
        folders.remove(tmp_path / "voices", "bob")
    assert (tmp_path / "elsewhere" / "reference.wav").exists()


@pytest.mark.parametrize("name", ["../anna", "", ".", "Anna", "a/b"])
def test_a_name_never_leads_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(VoiceError, match="not a valid name of a voice"):
        folders.add(tmp_path, name, clip(), WORDS, NONE)
    with pytest.raises(VoiceError, match="not a valid name of a voice"):
        folders.remove(tmp_path, name)


def test_a_folder_that_cannot_be_written_is_told_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VoiceError, match="cannot be written"):
        folders.add(tmp_path / "file", "anna", clip(), WORDS, NONE)
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "anna").write_text("in the way")
    with pytest.raises(VoiceError, match="there already"):
        folders.add(tmp_path / "voices", "anna", clip(), WORDS, NONE)
    assert [path.name for path in (tmp_path / "voices").iterdir()] == ["anna"]
    with pytest.raises(VoiceError, match="there is no folder"):
        folders.remove(tmp_path / "voices", "bob")


@pytest.mark.parametrize(("words", "fault"), [("", "missing"), (" \n ...", "missing"), ("word " * 1000, "longer than")])
def test_words_are_needed(words: str, fault: str) -> None:
    with pytest.raises(VoiceError, match=fault):
        folders.check_words(words)
    assert folders.check_words(" Some\n words.\udcff\x00 ") == "Some words."


@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupt_brings_the_former_voice_back(tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.add(tmp_path, "anna", clip(), WORDS, NONE)
    rename, count = Path.rename, 0

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == at:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folders.add(tmp_path, "anna", clip(), "Other words.", NONE, replace=True)
    assert VoiceShelf(tmp_path).find("anna").text == WORDS
    assert [path.name for path in tmp_path.iterdir()] == ["anna"]


def test_two_writers_at_once_leave_one_voice_and_nothing_else(tmp_path: Path) -> None:
    program = f"""
import random
from pathlib import Path
import numpy as np
from ishowtts.engines.voices import folders
from ishowtts.engines.voices.clips import VoiceClip
from ishowtts.engines.voices.settings import VoiceSettings
from ishowtts.errors import VoiceError
clip = Clip(0.3 * np.sin(np.arange(30_000) / 20), 1.25, 0.0, 0.0, 24_000, 1, 0.0, None)
for i in range(25):
    try:
        if i % 3:
            folders.add(Path({str(tmp_path)!r}), "anna", clip, "Some words here.", VoiceSettings(), replace=True)
        else:
            folders.remove(Path({str(tmp_path)!r}), "anna")
    except VoiceError as error:
        print(error)
"""
    writers = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = "".join(writer.communicate(timeout=120)[0] for writer in writers).splitlines()
    assert [path.name for path in tmp_path.iterdir() if path.name != "anna"] == []
    assert {line for line in said if "there is no folder" not in line} == set()


def test_a_folder_in_the_place_of_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "odd" / "reference.wav").mkdir(parents=True)
    with pytest.raises(VoiceError, match=r"holds 'reference\.wav', which is no part of a voice"):
        folders.remove(tmp_path, "odd")
    assert (tmp_path / "odd" / "reference.wav").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["odd"]
