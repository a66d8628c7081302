"""`ishowtts chimes`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts.cli.main import main


def chimes(folder: Path, *arguments: str, **audio: Any) -> int:
    """Run the command with this section; its exit status."""
    settings = folder / "config.yaml"
    settings.write_text(json.dumps({"state_dir": str(folder), "audio": audio}))
    return main(["chimes", *arguments, "--config", str(settings)])


def test_chimes_are_listed_with_what_is_wrong_with_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert chimes(tmp_path, "--json") == 0
    assert json.loads(capfd.readouterr().out) == [
        {"name": "default", "file": None, "length_s": 0.7, "rate_hz": 24_000, "fault": None}
    ]
    for says in ("written", "kept"):
        assert chimes(tmp_path, "--make") == 0
        assert capfd.readouterr().out == f"{says}: {tmp_path}/chimes/default.wav\n"
    assert chimes(tmp_path) == 0
    assert "default.wav" in capfd.readouterr().out
    (tmp_path / "chimes/gong.ogg").write_text("no sound")
    soundfile.write(tmp_path / "chimes/bell.flac", np.zeros(4800, np.int16), 48_000)
    assert chimes(tmp_path, "--json") == 1
    told = capfd.readouterr()
    bell, default, gong = json.loads(told.out)
    assert told.err == ""
    assert (bell["name"], bell["length_s"], bell["rate_hz"]) == ("bell", 0.1, 48_000)
    assert default["file"] == str(tmp_path / "chimes/default.wav")
    assert "gong.ogg: is not a sound" in gong["fault"]


def test_ours_is_made_where_the_configuration_says_and_a_fault_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert chimes(tmp_path, "--make", chimes_dir=str(tmp_path / "own")) == 0
    assert (tmp_path / "own/default.wav").is_file()
    (tmp_path / "file").write_text("")
    assert chimes(tmp_path, "--make", chimes_dir=str(tmp_path / "file")) == 1
    [sentence] = capfd.readouterr().err.splitlines()
    assert "cannot be read (Not a directory); fix audio.chimes_dir" in sentence


def test_files_that_are_no_chime_are_told_with_the_fix(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "chimes").mkdir()
    for name in ("Gong.wav", "bell.mp3", "readme.txt"):
        (tmp_path / "chimes" / name).write_text("x")
    assert chimes(tmp_path) == 1
    out = capfd.readouterr().out
    assert "not a chime: Gong.wav: the name of a chime has only a-z" in out
    assert "rename it to gong.wav" in out
    assert "ffmpeg -i bell.mp3 bell.wav" in out
    assert "readme.txt" not in out
    assert chimes(tmp_path, "--json") == 1
    _, gong, bell = json.loads(capfd.readouterr().out)
    assert (gong["name"], bell["name"]) == ("Gong.wav", "bell.mp3")
    assert "rename it to gong.wav" in gong["fault"]
