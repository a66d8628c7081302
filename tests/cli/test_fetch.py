"""`ishowtts fetch` as an operator types it, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.cli import main
from ishowtts.engines.weights import FILES, DownloadError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(f"state_dir: {tmp_path}/state\n")
    return path


def test_without_a_network_the_files_are_listed_at_once(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["fetch", "--accept-licence", "--config", str(config)]) == 1
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "ishowtts: HF_HUB_OFFLINE is set; nothing was fetched."
    for file in FILES:
        assert any(line.endswith(f"{file.revision}/{file.path}") for line in lines)


def test_a_download_that_fails_ends_with_the_list(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise DownloadError("vocab.txt cannot be downloaded: 503")

    monkeypatch.setattr("ishowtts.engines.fetch_sources.hub_problem", lambda: None)
    monkeypatch.setattr("ishowtts.cli.fetch.fetch", fail)
    assert main(["fetch", "--accept-licence", "--config", str(config)]) == 1
    err = capsys.readouterr().err
    assert "cannot be downloaded: 503" in err
    assert "hf download SWivid/F5-TTS" in err


def test_the_list_needs_no_licence_and_no_network(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--list", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert all(file.path in out for file in FILES)


def test_a_folder_is_looked_at_first_and_every_missing_file_is_named(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "--accept-licence", "--from", str(tmp_path), "--config", str(config)]) == 1
    first, *rest = capsys.readouterr().err.splitlines()
    assert all(Path(file.path).name in first for file in FILES)
    assert any("hf download" in line for line in rest)
    assert not (tmp_path / "state").exists()
    assert main(["fetch", "--accept-licence", "--from", str(tmp_path / "none"), "--config", str(config)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ishowtts: there is no folder {tmp_path}/none")


def test_a_folder_is_looked_at_before_the_question(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.cli.fetch._licence_accepted", lambda: pytest.fail("it asks"))
    assert main(["fetch", "--from", str(tmp_path / "none"), "--config", str(config)]) == 1
    assert "there is no folder" in capsys.readouterr().err
