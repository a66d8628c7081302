"""Where the weights come from is known without a network, and a source is looked at before any work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts.engines import fetch_sources
from ishowtts.engines.weights_catalogue import CATALOGUE, OFFICIAL

FILES = OFFICIAL.pinned


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_the_instructions_name_every_file_with_its_size_and_its_pinned_address() -> None:
    text = "\n".join(fetch_sources.instructions(OFFICIAL, FILES))
    for file in FILES:
        assert f"https://huggingface.co/{file.repo}/resolve/{file.revision}/{file.path}" in text
        assert f"--revision {file.revision}" in text
    assert "1.35 GB" in text
    assert "461 B" in text
    assert "hf download SWivid/F5-TTS F5TTS_v1_Base/vocab.txt F5TTS_v1_Base/model_1250000.safetensors" in text
    assert "--local-dir f5-weights/vocos" in text
    assert "ishowtts fetch --from f5-weights" in text


def test_what_the_commands_download_is_found_again(tmp_path: Path) -> None:
    """The layouts that `hf download … --local-dir` makes, as the instructions name them."""
    for file in FILES:
        folder = tmp_path / "f5-weights" / ("vocos" if "vocos" in file.repo else "")
        sparse(folder / file.path, file.size)
    assert fetch_sources.folder_problem(tmp_path / "f5-weights", FILES) is None


def test_every_missing_file_of_a_folder_is_named_at_once(tmp_path: Path) -> None:
    sparse(tmp_path / "vocab.txt", FILES[0].size)
    sparse(tmp_path / "vocos/config.yaml", 3)
    problem = fetch_sources.folder_problem(tmp_path, FILES) or ""
    assert "vocab.txt" not in problem
    assert "config.yaml has 3 bytes instead of 461" in problem
    assert "pytorch_model.bin of charactr/vocos-mel-24khz is missing" in problem
    assert "model_1250000.safetensors of SWivid/F5-TTS is missing" in problem


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    assert (fetch_sources.folder_problem(tmp_path / "none", FILES) or "").startswith("there is no folder")
    sparse(tmp_path / "file", 1)
    assert "is not a folder" in (fetch_sources.folder_problem(tmp_path / "file", FILES) or "")


def test_files_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    for file in FILES[:2]:
        sparse(tmp_path / file.local_path, file.size)
    sparse(tmp_path / FILES[2].local_path, 1)
    assert fetch_sources.missing(OFFICIAL, tmp_path) == FILES[2:]


def test_the_instructions_of_another_model_name_no_revision_and_are_found_again(tmp_path: Path) -> None:
    model = CATALOGUE["openf5"]
    files = fetch_sources.missing(model, tmp_path)
    text = "\n".join(fetch_sources.instructions(model, files))
    assert "https://huggingface.co/mrfakename/OpenF5-TTS-Base/resolve/main/model.pt" in text
    assert "  hf download mrfakename/OpenF5-TTS-Base vocab.txt model.pt --local-dir f5-weights\n" in text
    assert "sudo ishowtts fetch --model openf5 --from f5-weights" in text
    for file in files:
        sparse(tmp_path / "stick" / ("vocos" if "vocos" in file.repo else "") / file.path, file.size or 5)
    assert fetch_sources.folder_problem(tmp_path / "stick", files) is None
    (tmp_path / "stick/model.pt").unlink()
    problem = fetch_sources.folder_problem(tmp_path / "stick", files) or ""
    assert "model.pt of mrfakename/OpenF5-TTS-Base is missing; put them there, or into vocos in it" in problem


SHA256, GIT_SHA1, COMMIT = "a" * 64, "b" * 40, "c" * 40


@pytest.mark.parametrize(
    ("metadata", "revision", "sha256", "git_sha1"),
    [
        (f"{COMMIT}\n{SHA256}\n1764480000.25\n", COMMIT, SHA256, None),
        (f"{COMMIT}\n{GIT_SHA1}\n1764480000.25\n", COMMIT, None, GIT_SHA1),
        (f"{COMMIT}\nW/{GIT_SHA1}\n1764480000.25\n", "", None, None),
        ("", "", None, None),
        ("x" * 2000, "", None, None),
    ],
)
def test_the_checksums_that_hf_download_leaves_are_read(
    tmp_path: Path, metadata: str, revision: str, sha256: str | None, git_sha1: str | None
) -> None:
    file = CATALOGUE["openf5"].unpinned[1]
    sparse(tmp_path / "model.pt", 7)
    path = tmp_path / ".cache/huggingface/download/model.pt.metadata"
    path.parent.mkdir(parents=True)
    path.write_text(metadata)
    found = fetch_sources.described(file, tmp_path)
    assert (found.revision, found.sha256, found.git_sha1, found.size) == (revision, sha256, git_sha1, 7)


def test_vocos_of_another_model_is_not_fetched_again(tmp_path: Path) -> None:
    for file in FILES[1:3]:
        sparse(tmp_path / "other" / file.local_path, file.size)
    assert fetch_sources.missing(OFFICIAL, tmp_path / "weights", [tmp_path / "other"]) == (FILES[0], FILES[3])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        yield bound


def test_a_hub_that_answers_is_no_problem_and_a_proxy_stands_for_it(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    assert fetch_sources.hub_problem() is None
    monkeypatch.setenv("HF_ENDPOINT", "https://no-such-host.invalid")
    assert fetch_sources.hub_problem() == "the name no-such-host.invalid cannot be resolved"
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{port}")
    assert fetch_sources.hub_problem() is None


def test_a_hub_that_does_not_answer_is_a_problem(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
    listener.close()
    assert fetch_sources.hub_problem() == "127.0.0.1 does not answer (Connection refused)"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch_sources.hub_problem() == "HF_HUB_OFFLINE is set"
