"""`ishowtts chimes`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def ishowtts(folder: Path, *arguments: str, **audio: Any) -> subprocess.CompletedProcess[str]:
    """Run one command with this section; nothing that it prints may be a traceback."""
    settings = folder / "config.yaml"
    settings.write_text(json.dumps({"state_dir": str(folder), "audio": audio}))
    command = [sys.executable, "-m", "ishowtts", *arguments, "--config", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_chimes_are_listed_with_what_is_wrong_with_them(tmp_path: Path) -> None:
    assert json.loads(ishowtts(tmp_path, "chimes", "--json").stdout) == [
        {"name": "default", "file": None, "length_s": 0.7, "rate_hz": 24_000, "fault": None}
    ]
    made = ishowtts(tmp_path, "chimes", "--make")
    assert made.returncode == 0
    assert "default.wav" in made.stdout
    (tmp_path / "chimes/gong.ogg").write_text("no sound")
    soundfile.write(tmp_path / "chimes/bell.flac", np.zeros(4800, np.int16), 48_000)
    done = ishowtts(tmp_path, "chimes", "--json")
    bell, default, gong = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (bell["name"], bell["length_s"], bell["rate_hz"]) == ("bell", 0.1, 48_000)
    assert default["file"] == str(tmp_path / "chimes/default.wav")
    assert "gong.ogg: is no sound" in gong["fault"]


def test_ours_can_be_made_where_the_configuration_says_and_a_fault_is_one_sentence(tmp_path: Path) -> None:
    assert ishowtts(tmp_path, "chimes", "--make", chimes_dir=str(tmp_path / "own")).returncode == 0
    assert (tmp_path / "own/default.wav").is_file()
    (tmp_path / "file").write_text("")
    done = ishowtts(tmp_path, "chimes", "--make", chimes_dir=str(tmp_path / "file"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "cannot be read (Not a directory); mend audio.chimes_dir" in done.stderr
