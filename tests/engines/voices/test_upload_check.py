"""Recordings that come over MQTT pass the checks of `ishowtts voices add`, or are refused in a sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.engines.voices import upload_check
from ishowtts.engines.voices.upload_check import RECORDING, add_checked, check_and_store
from ishowtts.errors import Cancelled, VoiceError
from ishowtts.model import VoiceAbout
from support.voice_sender import WORDS, speech

ABOUT = VoiceAbout(WORDS)


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return speech(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a recording, which is the current one, as in the child."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(content: bytes, about: VoiceAbout = ABOUT) -> str:
    Path(RECORDING).write_bytes(content)
    with pytest.raises(VoiceError) as caught:
        check_and_store(Path("uploaded"), "anna", Path(RECORDING), about)
    assert not Path("uploaded").exists()
    return str(caught.value)


def test_a_recording_is_stored_with_its_words_as_voices_add_would(here: Path, wav: bytes) -> None:
    Path(RECORDING).write_bytes(wav)
    shouted = VoiceAbout("THE KETTLE IS ON & THE TEA WILL BE READY IN 2 MINUTES OR SO.", language="en-GB")
    added = check_and_store(here / "uploaded", "anna", Path(RECORDING), shouted)
    assert 3 < added.length_s < 3.5
    assert [note.partition(";")[0] for note in added.notes] == [
        "the words are in capitals, which the model would spell",
        "figures and signs are put into words, as in lines",
        "the recording has only 22050 samples per second and so lacks high frequencies",
    ]
    voice = here / "uploaded/anna"
    assert (voice / "reference.txt").read_text() == "The kettle is on and the tea will be ready in two minutes or so.\n"
    assert (voice / "voice.yaml").read_text() == "language: en-GB\n"


def test_words_that_do_not_fit_are_refused_without_an_option_of_the_command_line(here: Path, wav: bytes) -> None:
    assert here
    told = refusal(wav, VoiceAbout("The kettle."))
    assert ("the words are too few for that" in told, "--" in told) == (True, False)


def with_size(wav: bytes, field: int, size: int) -> bytes:
    return wav[:field] + struct.pack("<I", size) + wav[field + 4 :]


def test_a_lying_header_is_not_believed(here: Path, wav: bytes) -> None:
    Path(RECORDING).write_bytes(with_size(wav, 40, 0xFFFFFFF0))  # the size of the data: 4 GB
    assert 3 < check_and_store(here / "uploaded", "anna", Path(RECORDING), ABOUT).length_s < 3.5


def test_hostile_recordings_are_refused(here: Path, wav: bytes) -> None:
    long_flac = here / "long.flac"
    with soundfile.SoundFile(long_flac, "w", 48_000, 1, format="FLAC") as sound:
        for _ in range(121):  # 30 kB
            sound.write(np.zeros(48_000, np.int16))
    bomb = bytearray(long_flac.read_bytes())
    bomb[21:26] = bytes([bomb[21] | 0x0F, *b"\xff" * 4])  # the number of samples in STREAMINFO: 397 hours
    for content, told in (
        (with_size(wav, 40, 0), "silent or far too quiet"),
        (with_size(wav, 24, 192_000), "holds 0.4 s of speech"),
        (with_size(wav, 24, 1), "1 channels at 1 Hz"),
        (long_flac.read_bytes(), "it is longer than 120 s"),
        (bytes(bomb), "it is longer than 120 s"),
        (wav[:30], "cannot be read"),
        (b"ID3" + bytes(10_000), "cannot be read"),
        (b"\0\0\0\x20ftypM4A " + bytes(1000), "its format is unknown"),
        (b"\x1a\x45\xdf\xa3" + bytes(1000), "its format is unknown"),
        (b"#!AMR\n" + bytes(1000), "its format is unknown"),
        (b"<html>", "its format is unknown"),
    ):
        assert told in refusal(content), content[:40]


def test_the_child_names_the_recording_and_not_its_path(tmp_path: Path) -> None:
    (tmp_path / RECORDING).write_bytes(b"no sound")
    with pytest.raises(
        VoiceError, match=r"^the recording cannot be read \(its format is unknown\); give a recording in"
    ):
        add_checked(tmp_path / "uploaded", "anna", tmp_path, ABOUT, lambda: False)


def test_a_check_that_dies_is_told_and_one_that_is_cancelled_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upload_check.child_process, "command", lambda _: ["sh", "-c", "echo broken >&2; kill -SEGV $$"])
    with pytest.raises(VoiceError, match="the check of the recording failed or took longer than 60 s; send it as WAV"):
        add_checked(tmp_path, "anna", tmp_path, ABOUT, lambda: False)
    assert "broken" in caplog.text
    monkeypatch.setattr(upload_check.child_process, "command", lambda _: ["sleep", "60"])
    with pytest.raises(Cancelled):
        add_checked(tmp_path, "anna", tmp_path, ABOUT, lambda: True)
