"""`ishowtts doctor` as a whole: rows in their order, and a fix for each fault, however much is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ishowtts.cli import doctor, main
from ishowtts.cli.findings import Finding


@pytest.fixture(autouse=True)
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch takes seconds."""

    def torch(_: object) -> Iterator[Finding]:
        yield Finding("torch", "ok", "not probed")

    monkeypatch.setattr(doctor, "_torch", torch)


def config(folder: Path, **sections: Any) -> str:
    path = folder / "config.yaml"
    path.write_text(json.dumps({"state_dir": str(folder / "state"), "cache_dir": str(folder), **sections}))
    return str(path)


def test_every_fault_has_a_fix_even_if_everything_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff")
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = config(
        tmp_path,
        state_dir=f"{file}/state",
        cache_dir=f"{file}/cache",
        mqtt={"host": "no-such-host.invalid", "password_file": str(tmp_path / "none"), "tls": {"ca": str(file)}},
        audio={
            "device": "hw:CARD=Nowhere", "when_lost": "wav:/nonexist/x.wav", "mixer": "PCM", "chime": "gong",
            "chimes_dir": str(file), "record_dir": f"{file}/rec",
        },
        engine={"f5": {"weights": str(file), "default_voice": "zoe", "voices_dir": str(file)}},
        text={"pronunciations": str(file)},
        policies={"blocked": {"file": str(file)}},
    )  # fmt: skip
    assert main(["doctor", "--json", "--config", settings]) == 1
    rows = json.loads(capsys.readouterr().out)
    faults = [row for row in rows if row["verdict"] == "fault"]
    assert {row["part"] for row in faults} == {
        "broker", "engine", "fallback voice", "voices", "sound", "substitute device", "mixer", "chime", "text",
        "secrets", "state_dir", "cache_dir", "audio.record_dir", "engine.f5.voices_dir",
    }  # fmt: skip
    assert all(row["fix"] for row in faults)
    assert not [row for row in rows if "Errno" in row["detail"]]
    assert [rows[0]["part"], rows[-1]["part"]] == ["daemon", "torch"]


def test_rows_appear_as_they_are_found_one_a_line_in_a_pipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def torch(_: object) -> Iterator[Finding]:
        seen.append(capsys.readouterr().out)
        yield Finding("torch", "ok", "not probed")

    monkeypatch.setattr(doctor, "_torch", torch)
    settings = config(tmp_path, mqtt={"port": 1}, audio={"device": "silent"}, engine={"kind": "espeak"})
    assert main(["doctor", "--config", settings]) == 1
    lines = seen[0].splitlines()
    assert lines[0].startswith("daemon ")
    assert lines[1].startswith(
        "broker              fault  no broker answers at localhost:1 (Connection refused); fix: "
    )
    assert capsys.readouterr().out == "torch               ok     not probed\n"
