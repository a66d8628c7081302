"""`ishowtts fetch` as an operator types it, without a network."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ishowtts.cli import main
from ishowtts.engines.hub_client import DownloadError
from ishowtts.engines.weights import locate, use
from ishowtts.engines.weights_catalogue import CATALOGUE, OFFICIAL
from support.fake_hub import REVISION, FakeHub, quick_client
from support.small_files import OFFICIAL_FILES, pinned_to, safetensors

FILES = OFFICIAL.pinned
SMALL_OFFICIAL = {Path(name).name: content for name, content in OFFICIAL_FILES.items()}


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
    titles, *lines = capsys.readouterr().out.splitlines()
    rows, notes = lines[:4], lines[4:]
    assert titles.split("  ")[0] == "model"
    assert [row.split()[0] for row in rows] == ["official", "openf5", "silma", "hindi"]
    assert [("NO" in row.split(), "yes" in row.split()) for row in rows] == [(True, False)] + [(False, True)] * 3
    assert "ar, en" in rows[2]
    assert "over 1.4 GB" in rows[1]
    assert max(map(len, [titles, *rows])) + len("installed  ") <= 80, "a terminal must not cut the licence"
    assert notes[0].startswith("official: 24 kHz. ")
    assert "name SPRING Lab" in notes[3]


def test_the_list_of_one_model_has_the_addresses(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--list", "--model", "official", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert all(f"{file.revision}/{file.path}" in out for file in FILES)
    assert "silma" not in out


def test_the_list_for_programs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--json", "--config", str(config)]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["official"]["commercial_use"] is False
    assert entries["openf5"]["languages"] == ["en"]
    assert entries["hindi"]["licence"] == "CC-BY-4.0"
    assert {entry["sample_rate_hz"] for entry in entries.values()} == {24_000}
    assert not any(entry["installed"] or entry["used"] for entry in entries.values())


def test_an_unknown_model_is_refused_with_the_names(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fetch", "--model", "../../etc", "--config", str(config)])
    err = capsys.readouterr().err
    assert "official" in err
    assert "hindi" in err


@pytest.fixture
def small_official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pins the official model to small files. Returns a folder that has them."""
    for name, content in OFFICIAL_FILES.items():
        path = tmp_path / "stick" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setitem(CATALOGUE, "official", pinned_to(SMALL_OFFICIAL))  # type: ignore[arg-type]
    return tmp_path / "stick"


def test_what_was_fetched_last_is_used_and_a_switch_back_downloads_nothing(
    config: Path,
    small_official: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def used() -> list[str]:
        capsys.readouterr()
        assert main(["fetch", "--json", "--config", str(config)]) == 0
        return [entry["name"] for entry in json.loads(capsys.readouterr().out) if entry["used"]]

    fetch = ["fetch", "--accept-licence", "--config", str(config)]
    assert main([*fetch, "--from", str(small_official)]) == 0
    out = capsys.readouterr().out
    assert "CC-BY-NC-4.0, commercial use NOT allowed" in out
    assert "weaker" not in out
    assert out.splitlines()[-1] == "restart the daemon to speak with them: systemctl restart ishowtts"
    assert used() == ["official"]
    use(tmp_path / "state", "silma")
    assert used() == [], "it is not there"
    shutil.rmtree(small_official)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main([*fetch, "--model", "official"]) == 0
    assert used() == ["official"]
    config.write_text(config.read_text() + f"engine: {{f5: {{weights: {tmp_path}/own}}}}\n")
    capsys.readouterr()
    assert main(fetch) == 0
    assert f"they are not used, because engine.f5.weights names {tmp_path}/own" in capsys.readouterr().out
    assert used() == []


def test_without_a_name_the_model_in_use_is_fetched(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(tmp_path / "state", "hindi")
    assert main(["fetch", "--accept-licence", "--from", str(tmp_path), "--config", str(config)]) == 1
    done = capsys.readouterr()
    assert "CC-BY-4.0, commercial use allowed" in done.out
    assert "which is weaker than" in done.out
    assert "model_2500000.safetensors of SPRINGLab/F5-Hindi-24KHz is missing" in done.err


def test_another_model_is_fetched_from_the_hub_and_used(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_client(monkeypatch, chunk_bytes=50_000)
    vocos = {"config.yaml": b"head: {}\n", "pytorch_model.bin": b"tensors"}
    model = replace(CATALOGUE["hindi"], pinned=pinned_to(vocos | SMALL_OFFICIAL).pinned[1:3])
    monkeypatch.setitem(CATALOGUE, "hindi", model)  # type: ignore[arg-type]
    monkeypatch.setattr("ishowtts.engines.weights_fetch.command", lambda *_: ["true"])  # in place of a load with torch
    files = {model.model_path: safetensors(), "vocab.txt": b" \n"}
    with FakeHub({model.repo: files, "charactr/vocos-mel-24khz": vocos}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert main(["fetch", "--model", "hindi", "--accept-licence", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert f"compared with the hub's own checksums for its revision {REVISION}" in out
    assert "the voice `default` speaks English, which these weights do not" in out
    found = locate(None, tmp_path / "state")
    assert found is not None
    assert (found.name, found.languages, found.licence) == ("hindi", ("hi",), "CC-BY-4.0")


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
