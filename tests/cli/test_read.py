from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def read(folder: Path, *arguments: str, **section: Any) -> subprocess.CompletedProcess[str]:
    """Run `ishowtts read` with these settings of `text`; nothing that it prints may be a traceback."""
    config = folder / "cli.yaml"
    config.write_text(json.dumps({"state_dir": str(folder), "cache_dir": str(folder), "text": section}))
    done = subprocess.run(
        [sys.executable, "-m", "ishowtts", "read", *arguments, "--config", str(config)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done


def voice(folder: Path, name: str, language: str) -> None:
    (folder / "voices" / name).mkdir(parents=True)
    (folder / "voices" / name / "reference.wav").write_bytes(b"RIFF")
    (folder / "voices" / name / "reference.txt").write_text("Hello.")
    (folder / "voices" / name / "voice.yaml").write_text(f"language: {language}")


def test_it_prints_what_the_engine_would_be_given(tmp_path: Path) -> None:
    done = read(tmp_path, "It costs $3.50，我买了3个")
    assert (done.returncode, done.stdout) == (0, "It costs three dollars and fifty cents，我买了三个\n")


def test_it_reads_in_the_language_of_the_voice_and_with_its_pronunciations(tmp_path: Path) -> None:
    voice(tmp_path, "greta", "de")
    (tmp_path / "own.yaml").write_text("- {say: SQL, as: Ess Ku Ell, voice: greta}")
    own = str(tmp_path / "own.yaml")
    done = read(tmp_path, "3 SQL", "--voice", "greta", "--json", pronunciations=own)
    assert json.loads(done.stdout) == {"text": "3 SQL", "voice": "greta", "read": "3 Ess Ku Ell", "fault": None}
    assert read(tmp_path, "3 SQL", pronunciations=own).stdout == "three SQL\n"


def test_it_tells_what_is_wrong_with_the_pronunciations(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("- {say: SQL}")
    done = read(tmp_path, "3 SQL", pronunciations=str(tmp_path / "own.yaml"))
    assert (done.returncode, done.stdout) == (1, "three SQL\n")
    assert "own.yaml, line 1: needs `as`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_leaves_figures_where_reading_out_is_off(tmp_path: Path) -> None:
    assert read(tmp_path, "3  km", normalise=False).stdout == "3 km\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("hello", "--voice", "nobody"), "there is no voice 'nobody'"), (("?!",), "nothing that can be spoken")],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = read(tmp_path, *arguments)
    assert done.returncode == 1
    assert says in done.stderr
