"""Voices are added and removed atomically, and only files of voices are deleted."""

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
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.errors import VoiceError

WORDS = "These are the words of the clip."
NO_SETTINGS = VoiceSettings()


def clip(level: float = 0.3) -> VoiceClip:
    samples = level * np.sin(np.arange(72_000) / 20)
    return VoiceClip(samples, 3.0, 0.0, 0.0, 24_000, 1, 0.0, None)


def test_an_added_voice_is_found_and_readable_for_all_users(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        folder = folders.add(tmp_path / "voices", "anna", clip(), WORDS, VoiceSettings(speed=0.9, language="de"))
    finally:
        os.umask(umask)
    voice = VoiceLibrary(tmp_path / "voices").find("anna")
    assert (voice.text, voice.speed, voice.nfe_step, voice.language) == (WORDS, 0.9, None, "de")
    samples, rate_hz = soundfile.read(voice.audio_path)
    assert rate_hz == 24_000
    assert np.abs(samples - clip().samples).max() < 2**-22
    assert [path.name for path in (tmp_path / "voices").iterdir()] == ["anna"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o755}


def test_without_settings_there_is_no_settings_file(tmp_path: Path) -> None:
    assert not (folders.add(tmp_path, "anna", clip(), WORDS, NO_SETTINGS) / "voice.yaml").exists()


def test_a_voice_is_replaced_only_when_asked(tmp_path: Path) -> None:
    folders.add(tmp_path, "anna", clip(), WORDS, VoiceSettings(speed=0.9))
    with pytest.raises(VoiceError, match="already exists; add --replace"):
        folders.add(tmp_path, "anna", clip(), "Other words.", NO_SETTINGS)
    assert VoiceLibrary(tmp_path).find("anna").text == WORDS
    folders.add(tmp_path, "anna", clip(), "Other words.", NO_SETTINGS, replace=True)
    folders.add(tmp_path, "bob", clip(), WORDS, NO_SETTINGS, replace=True)
    anna = VoiceLibrary(tmp_path).find("anna")
    assert (anna.text, anna.speed) == ("Other words.", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anna", "bob"]


def test_a_reader_never_finds_half_a_voice(tmp_path: Path) -> None:
    library, done, faults = VoiceLibrary(tmp_path), threading.Event(), []

    def read() -> None:
        while not done.is_set():
            if unexpected := set(library.names()) - {"anna", "default"}:
                faults.append(str(unexpected))
            try:
                voice = library.find("anna")
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


def test_a_voice_default_overrides_the_one_of_the_package_until_it_is_removed(tmp_path: Path) -> None:
    folders.add(tmp_path, "default", clip(), WORDS, NO_SETTINGS)
    assert VoiceLibrary(tmp_path).find(None).text == WORDS
    folders.remove(tmp_path, "default")
    assert VoiceLibrary(tmp_path).names() == ["default"]
    assert list(tmp_path.iterdir()) == []


def test_only_a_voices_own_files_are_ever_deleted(tmp_path: Path) -> None:
    folder = folders.add(tmp_path / "voices", "anna", clip(), WORDS, NO_SETTINGS)
    (folder / "notes.txt").write_text("mine")
    for replace_or_remove in (
        lambda: folders.add(tmp_path / "voices", "anna", clip(), WORDS, NO_SETTINGS, replace=True),
        lambda: folders.remove(tmp_path / "voices", "anna"),
    ):
        with pytest.raises(VoiceError, match=r"holds 'notes\.txt', which does not belong to a voice"):
            replace_or_remove()
    assert len(list(folder.iterdir())) == 3
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "reference.wav").write_bytes(b"RIFF")
    (tmp_path / "voices" / "bob").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VoiceError, match="is a link"):
        folders.remove(tmp_path / "voices", "bob")
    assert (tmp_path / "elsewhere" / "reference.wav").exists()


def test_files_and_folder_are_on_disk_before_the_voice_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut there is a complete voice or none, never one with empty files."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_fsync(handle: int) -> None:
        steps.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append(f"rename to {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    folders.add(tmp_path / "voices", "anna", clip(), WORDS, VoiceSettings(speed=0.9))
    appears = steps.index("rename to anna")
    assert sorted(steps[: appears - 1]) == ["reference.flac", "reference.txt", "voice.yaml"]
    assert steps[appears - 1].startswith(".anna."), "the folder, after its files"
    assert steps[appears + 1 :] == ["voices"], "the rename itself"


@pytest.mark.parametrize("name", ["../anna", "", ".", "Anna", "a/b"])
def test_a_name_cannot_lead_to_another_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(VoiceError, match="not a valid name of a voice"):
        folders.add(tmp_path, name, clip(), WORDS, NO_SETTINGS)
    with pytest.raises(VoiceError, match="not a valid name of a voice"):
        folders.remove(tmp_path, name)


def test_a_folder_that_cannot_be_written_raises_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VoiceError, match="cannot be written"):
        folders.add(tmp_path / "file", "anna", clip(), WORDS, NO_SETTINGS)
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "anna").write_text("in the way")
    with pytest.raises(VoiceError, match="already exists"):
        folders.add(tmp_path / "voices", "anna", clip(), WORDS, NO_SETTINGS)
    assert [path.name for path in (tmp_path / "voices").iterdir()] == ["anna"]
    with pytest.raises(VoiceError, match="there is no folder"):
        folders.remove(tmp_path / "voices", "bob")


@pytest.mark.parametrize(("words", "fault"), [("", "missing"), (" \n ...", "missing"), ("word " * 1000, "longer than")])
def test_words_are_required(words: str, fault: str) -> None:
    with pytest.raises(VoiceError, match=fault):
        folders.check_words(words)
    assert folders.check_words(" Some\n words.\udcff\x00 ") == "Some words."


def test_a_voice_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the old voice or the new one: the exchange is on disk before the old one is deleted."""
    folders.add(tmp_path, "anna", clip(), WORDS, NO_SETTINGS)
    steps: list[str] = []
    fsync, unlink = os.fsync, Path.unlink

    def words() -> str:
        return VoiceLibrary(tmp_path).find("anna").text

    def note_fsync(handle: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}: {words()}")
        fsync(handle)

    def note_unlink(self: Path) -> None:
        steps.append(f"delete: {words()}")
        unlink(self)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "unlink", note_unlink)
    folders.add(tmp_path, "anna", clip(), "Other words.", NO_SETTINGS, replace=True)
    exchanged = steps.index(f"sync {tmp_path.name}: Other words.")
    assert all(step.startswith("sync") and step.endswith(WORDS) for step in steps[:exchanged])
    assert steps[exchanged + 1 :] == ["delete: Other words."] * 2


@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupt_restores_the_old_voice(tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.add(tmp_path, "anna", clip(), WORDS, NO_SETTINGS)
    rename, count = Path.rename, 0

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == at:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(folders, "exchange", lambda *_: False)  # as on a file system that cannot do it
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folders.add(tmp_path, "anna", clip(), "Other words.", NO_SETTINGS, replace=True)
    assert VoiceLibrary(tmp_path).find("anna").text == WORDS
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
clip = VoiceClip(0.3 * np.sin(np.arange(30_000) / 20), 1.25, 0.0, 0.0, 24_000, 1, 0.0, None)
for i in range(12):
    try:
        if i % 3:
            folders.add(Path({str(tmp_path)!r}), "anna", clip, "Some words here.", VoiceSettings(), replace=True)
        else:
            folders.remove(Path({str(tmp_path)!r}), "anna")
    except VoiceError as error:
        print(error)
"""
    writers = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = "".join(writer.communicate(timeout=120)[0] for writer in writers).splitlines()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir() if path.name != "anna"] == []
    assert {line for line in printed if "there is no folder" not in line} == set()


def test_a_folder_with_the_name_of_a_voice_file_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "odd" / "reference.wav").mkdir(parents=True)
    with pytest.raises(VoiceError, match=r"holds 'reference\.wav', which does not belong to a voice"):
        folders.remove(tmp_path, "odd")
    assert (tmp_path / "odd" / "reference.wav").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["odd"]
