"""Recordings of telephones: decoded with ffmpeg or PyAV, or refused with the command that converts them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile

from ishowtts.engines.voices import clips, phone_recordings
from ishowtts.engines.voices.recordings import open_recording
from ishowtts.errors import VoiceError

WORDS = "The kettle is on, and the tea will be ready in a minute or two."
HEADS = {
    "m4a": b"\0\0\0\x1cftypM4A \0\0\0\0",
    "webm": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81",
    "amr": b"#!AMR\n\x3c\x91\x17\x16\xbe\x66",
    "aac": b"\xff\xf1\x50\x80\x02\x1f\xfc\xde\x02\0Lavc",
    "caf": b"caff\0\x01\0\0desc",
}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    subprocess.run(["espeak-ng", "-w", str(path), WORDS], check=True)
    return path


@pytest.fixture
def no_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def encode(av: Any, wav: Path, path: Path, codec: str, container: str | None = None) -> Path:
    """Write the sound of a WAV file in another format."""
    samples, rate_hz = soundfile.read(wav, dtype="int16")
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=48_000, frame_size=stream.frame_size or 960
        )
        for block in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(block):
                target.mux(packet)
    return path


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.m4a", "aac", None),
        ("a.3gp", "aac", None),
        ("a.webm", "libopus", None),
        ("a.aac", "aac", "adts"),
        ("wrong.wav", "aac", "mp4"),
    ],
)
def test_pyav_decodes_what_telephones_record(
    tmp_path: Path, speech: Path, name: str, codec: str, container: str | None
) -> None:
    av = pytest.importorskip("av")
    clip = clips.make_clip(encode(av, speech, tmp_path / name, codec, container))
    assert clip.length_s == pytest.approx(clips.make_clip(speech).length_s, abs=0.2)
    assert (clip.rate_hz, clip.channels) == (48_000, 1)


@pytest.mark.usefixtures("no_ffmpeg")
def test_damaged_recordings_are_one_sentence(tmp_path: Path, speech: Path) -> None:
    av = pytest.importorskip("av")
    whole = encode(av, speech, tmp_path / "a.m4a", "aac").read_bytes()
    for number, content in enumerate((whole[:40], whole[: len(whole) // 2], whole[:32] + b"\xff" * 4000)):
        path = tmp_path / f"broken-{number}.m4a"
        path.write_bytes(content)
        with pytest.raises(VoiceError, match="cannot decode it, or it has no sound"):
            clips.make_clip(path)


@pytest.mark.usefixtures("no_ffmpeg")
def test_a_decoder_that_needs_too_long_is_ended(tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av")
    path = encode(av, speech, tmp_path / "a.m4a", "aac")
    monkeypatch.setattr(phone_recordings, "_DECODE_S", -1.0)
    with pytest.raises(VoiceError, match="PyAV did not decode it within"):
        clips.make_clip(path)


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("name", HEADS)
def test_without_a_decoder_the_refusal_prints_the_command_that_converts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(phone_recordings, "_pyav", lambda: None)
    path = tmp_path / f"my voice.{name}"
    path.write_bytes(HEADS[name] + bytes(100))
    with pytest.raises(VoiceError) as refused:
        clips.make_clip(path)
    assert f"ffmpeg -i '{path}' '{path.with_suffix('.wav')}'" in str(refused.value)


def fake_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> Path:
    """A program in the place of ffmpeg that keeps its arguments; returns the file that holds them."""
    program = folder / "bin/ffmpeg"
    program.parent.mkdir()
    kept = folder / "arguments.json"
    program.write_text(
        f"#!/usr/bin/python3\nimport json, os, shutil, sys, time\n"
        f"json.dump([sys.argv[1:], sorted(os.environ)], open({str(kept)!r}, 'w'))\n{does}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return kept


def test_ffmpeg_gets_fixed_arguments_and_no_name(tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    copy = f"shutil.copy({str(speech)!r}, sys.argv[-1].removeprefix('file:'))"
    kept = fake_ffmpeg(tmp_path, monkeypatch, copy)
    path = tmp_path / "-i http:evil.m4a"
    path.write_bytes(HEADS["m4a"] + bytes(100))
    assert clips.make_clip(path).length_s > 2
    arguments, environment = json.loads(kept.read_text())
    assert not any("evil" in argument for argument in arguments)
    source = arguments.index("-i")
    assert arguments[source - 4 : source] == ["-protocol_whitelist", "file", "-f", "mov"]
    assert arguments[source + 1].startswith("file:/dev/fd/")
    assert arguments[arguments.index("-t") + 1] == "121"
    assert "-nostdin" in arguments
    assert "SECRET" not in environment
    assert not list(tmp_path.glob("**/decoded.wav"))


@pytest.mark.parametrize("does", ["sys.exit(1)", "pass"])
def test_ffmpeg_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    fake_ffmpeg(tmp_path, monkeypatch, does)
    path = tmp_path / "a.webm"
    path.write_bytes(HEADS["webm"] + bytes(100))
    with pytest.raises(VoiceError, match="ffmpeg cannot decode it, or it has no sound"):
        clips.make_clip(path)


def test_ffmpeg_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ffmpeg(tmp_path, monkeypatch, "time.sleep(60)")
    monkeypatch.setattr(phone_recordings, "_DECODE_S", 0.3)
    path = tmp_path / "a.webm"
    path.write_bytes(HEADS["webm"] + bytes(100))
    with pytest.raises(VoiceError, match="ffmpeg did not decode it within"):
        clips.make_clip(path)


def test_a_service_starts_no_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker and the list of voices open clips that others may replace."""
    kept = fake_ffmpeg(tmp_path, monkeypatch, "pass")
    path = tmp_path / "reference.wav"
    path.write_bytes(HEADS["m4a"] + bytes(100))
    with pytest.raises(VoiceError, match="its format is unknown"), open_recording(path):
        pass
    assert not kept.exists()


def test_other_files_are_no_recording_of_a_telephone() -> None:
    heads = (
        b"",
        b"RIFF....WAVE",
        b"fLaC",
        b"OggS",
        b"ID3\x04",
        b"\xff\xfb\x90\x64",
        b"\xff\xf3\x40",
        b"# a README",
        b"\xff",
    )
    assert [phone_recordings.phone_format(head) for head in heads] == [None] * len(heads)
    assert {phone_recordings.phone_format(head) for head in HEADS.values()} == {"mov", "matroska", "amr", "aac", "caf"}
