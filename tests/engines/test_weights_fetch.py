"""Weights are fetched only if they are correct, from a folder and from the hub. No torch here."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ishowtts.engines import weights_fetch
from ishowtts.engines.hub_client import DownloadError
from ishowtts.engines.weights import examine, fetched_folder, locate
from ishowtts.engines.weights_catalogue import CATALOGUE
from ishowtts.engines.weights_fetch import fetch
from ishowtts.engines.weights_record import read_record
from ishowtts.errors import WeightsError
from support.fake_hub import REVISION, FakeHub, quick_client
from support.small_files import OFFICIAL_FILES, pinned_to, safetensors


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


SMALL = pinned_to({Path(name).name: content for name, content in OFFICIAL_FILES.items()})


def test_a_fetch_from_a_stick_is_verified_and_found(stick: Path, tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    state = tmp_path / "state"
    fetched = fetch(SMALL, fetched_folder(state), stick, lambda *step: reports.append(step))
    assert fetched == locate(None, state)
    assert any(name.startswith("copy") and done == total for name, done, total in reports)
    assert not list((state / "weights").glob(".*"))
    (stick / "vocos" / "config.yaml").unlink()
    fetch(SMALL, fetched_folder(state), stick)  # a file that is there and correct is not read again


def test_a_wrong_checksum_is_refused_and_no_weights_are_found(stick: Path, tmp_path: Path) -> None:
    path = stick / "F5TTS_v1_Base" / "model_1250000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="wrong size or checksum"):
        fetch(SMALL, fetched_folder(tmp_path), stick)
    assert locate(None, tmp_path) is None


def test_a_file_of_a_wrong_size_is_refused_before_a_byte_is_written(stick: Path, tmp_path: Path) -> None:
    with (stick / "F5TTS_v1_Base" / "vocab.txt").open("wb") as sparse:
        sparse.truncate(64 << 20)
    reports: list[tuple[str, int, int]] = []
    with pytest.raises(WeightsError, match="has 67108864 bytes instead of 4"):
        fetch(SMALL, tmp_path / "weights", stick, lambda *step: reports.append(step))
    assert reports == []
    assert files_in(tmp_path / "weights") == []


def test_a_file_that_grows_while_it_is_copied_is_copied_to_its_size(stick: Path, tmp_path: Path) -> None:
    source = stick / "F5TTS_v1_Base" / "vocab.txt"

    def grow(name: str, done: int, total: int) -> None:
        if name == "copy vocab.txt":
            assert done == total
            with source.open("ab") as file:
                file.write(b"more")

    fetch(SMALL, tmp_path / "weights", stick, grow)
    assert (tmp_path / "weights" / "vocab.txt").read_bytes() == OFFICIAL_FILES["F5TTS_v1_Base/vocab.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_copy_leaves_nothing(stick: Path, tmp_path: Path, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    with pytest.raises((WeightsError, KeyboardInterrupt)):
        fetch(SMALL, tmp_path / "weights", stick, fail)
    assert files_in(tmp_path / "weights") == []


def test_a_file_that_does_not_fit_is_refused_before_a_byte_is_written(stick: Path, small_disk: Path) -> None:
    size = shutil.disk_usage(small_disk).free + 1
    model = replace(SMALL, pinned=(replace(SMALL.pinned[0], size=size),))
    with (stick / "F5TTS_v1_Base" / "vocab.txt").open("wb") as sparse:
        sparse.truncate(size)
    with pytest.raises(WeightsError, match="needs 51 MB, and its disk has 1 MB free; free some space"):
        fetch(model, small_disk / "weights", stick)
    assert files_in(small_disk) == []


def test_a_stick_that_lacks_a_file_raises(stick: Path, tmp_path: Path) -> None:
    (stick / "F5TTS_v1_Base" / "vocab.txt").unlink()
    with pytest.raises(WeightsError, match=r"lacks vocab\.txt of SWivid/F5-TTS"):
        fetch(SMALL, tmp_path / "weights", stick)


def test_vocos_of_another_model_is_copied(stick: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.move(stick / "vocos", other / "vocos")
    fetch(SMALL, tmp_path / "weights", stick, others=[tmp_path / "none", other])
    assert (tmp_path / "weights/vocos/pytorch_model.bin").read_bytes() == b"tensors"
    assert (other / "vocos/pytorch_model.bin").exists()


def test_a_second_fetch_into_a_folder_is_refused(stick: Path, tmp_path: Path) -> None:
    def again(*_: object) -> None:
        with pytest.raises(WeightsError, match=r"another fetch into .* is under way"):
            fetch(SMALL, tmp_path / "weights", stick)

    fetch(SMALL, tmp_path / "weights", stick, again)
    fetch(SMALL, tmp_path / "weights", stick)


def test_without_a_network_one_sentence_says_so(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ishowtts.engines.weights_fetch import fetch\n"
        "from ishowtts.engines.weights_catalogue import OFFICIAL\n"
        "from ishowtts.errors import WeightsError\n"
        "try: fetch(OFFICIAL, Path(sys.argv[1]))\n"
        "except WeightsError as error: print(error)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "weights")],
        capture_output=True, text=True, timeout=60, check=True,
        env={
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path),
            "PYTHONPATH": str(Path(weights_fetch.__file__).parents[2]),
        },
    )  # fmt: skip
    assert done.stdout.startswith("F5TTS_v1_Base/vocab.txt cannot be downloaded from SWivid/F5-TTS: ")
    assert "offline" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


UNPINNED = replace(CATALOGUE["openf5"], pinned=SMALL.pinned[1:3])
READ_BY = "ishowtts.engines.weights_fetch.command"


@pytest.fixture
def openf5(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    quick_client(monkeypatch, chunk_bytes=50_000)
    repos = {
        UNPINNED.repo: {"model.pt": b"pickled" * 1000, "vocab.txt": b" \na\n", "README.md": b"x"},
        "charactr/vocos-mel-24khz": {"config.yaml": b"head: {}\n", "pytorch_model.bin": b"tensors"},
    }
    with FakeHub(repos) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (
            "echo 'model.pt holds more than tensors; fetch the weights again'; exit 1",
            "model.pt holds more than tensors",
        ),
        ("printf 'Traceback\\nMemoryError: no memory\\n' >&2; exit 1", "MemoryError: no memory"),
        ("kill -9 $$", "the reader ended with -9"),
    ],
)
def test_a_model_that_cannot_be_read_is_not_installed(
    openf5: FakeHub, tmp_path: Path, program: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(READ_BY, lambda *_: ["sh", "-c", program])
    sentence = (
        f"^the weights of mrfakename/OpenF5-TTS-Base cannot be used: {says}; `ishowtts fetch --list` shows others$"
    )
    with pytest.raises(WeightsError, match=sentence):
        fetch(UNPINNED, tmp_path)
    assert not (tmp_path / "model.yaml").exists()
    with pytest.raises(WeightsError, match=r"neither model\.yaml nor"):
        locate(tmp_path)
    openf5.requests.clear()
    with pytest.raises(WeightsError, match=says):
        fetch(UNPINNED, tmp_path)
    assert openf5.requests == ["/api/models/mrfakename/OpenF5-TTS-Base"], "what is verified is not downloaded again"


def converts(monkeypatch: pytest.MonkeyPatch, result: Path) -> None:
    """Replaces the program that reads models by one that takes no torch, and copies a result."""
    result.write_bytes(safetensors())
    monkeypatch.setattr(READ_BY, lambda *_: ["cp", str(result), "converted.safetensors"])


def test_a_model_is_verified_by_what_the_hub_says_and_recorded(
    openf5: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converts(monkeypatch, tmp_path / "result")
    target = tmp_path / "weights"
    found = fetch(UNPINNED, target)
    assert (found.name, found.licence, found.languages) == ("openf5", "Apache-2.0", ("en",))
    assert (target / "model.safetensors").read_bytes() == safetensors()
    assert sorted(path.name for path in target.iterdir()) == [
        "model.safetensors", "model.yaml", "source.json", "vocab.txt", "vocos"
    ]  # fmt: skip
    record = read_record(target)
    assert record is not None
    assert (record.model, record.revision, record.verified_by) == ("openf5", REVISION, "hub")

    openf5.requests.clear()
    (target / "model.yaml").unlink()  # as after a power cut before the last step
    fetch(UNPINNED, target)
    assert openf5.requests == []
    assert examine(target) == found, "the description comes from the catalogue"

    (target / "model.safetensors").write_bytes(b"changed")
    openf5.revision = "f" * 40
    fetch(UNPINNED, target)
    assert (target / "model.safetensors").read_bytes() == safetensors()
    assert (read_record(target) or record).revision == "f" * 40


def test_the_files_of_another_checkpoint_are_not_overwritten(
    openf5: FakeHub, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converts(monkeypatch, tmp_path / "result")
    (stick / "model.yaml").write_text("name: mine\n")
    for model in (SMALL, UNPINNED):
        with pytest.raises(WeightsError, match="holds other weights; name another folder with --to"):
            fetch(model, stick)
    fetch(UNPINNED, tmp_path / "weights")
    with pytest.raises(WeightsError, match="holds other weights"):
        fetch(replace(UNPINNED, name="silma"), tmp_path / "weights")


@pytest.mark.parametrize("path", ["model.pt", "vocab.txt"])
def test_a_file_that_differs_from_the_hubs_checksum_is_refused(openf5: FakeHub, tmp_path: Path, path: str) -> None:
    content = openf5.repos[UNPINNED.repo][path]
    openf5.fault(path).served = b"x" * len(content)
    with pytest.raises(WeightsError, match=f"^{path} arrived with a wrong size or checksum"):
        fetch(UNPINNED, tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha": None}, "names no revision"),
        ({"sha": "../../main"}, "names no revision"),
        ({"siblings": []}, r"has no file vocab\.txt now"),
        ({"siblings": [{"rfilename": "vocab.txt"}]}, "gives no size or no checksum for vocab.txt"),
        ({"siblings": [{"rfilename": "vocab.txt", "size": 4, "blobId": "x"}]}, "gives no size or no checksum"),
        (
            {"siblings": [{"rfilename": "vocab.txt", "size": 10**7, "blobId": "a" * 40}]},
            "from 1 to 1000000 are accepted",
        ),
        ({"siblings": [{"rfilename": "vocab.txt", "size": 0, "blobId": "a" * 40}]}, "has 0 bytes"),
        ({"siblings": 3}, "cannot be asked about"),
    ],
)
def test_an_answer_of_the_hub_is_checked(openf5: FakeHub, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    openf5.info_changes = change
    with pytest.raises(DownloadError, match=says):
        fetch(UNPINNED, tmp_path)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (429, "limits the requests"),
        (503, "HTTP status 503"),
        (401, "refuses access"),
        (404, "no such file or repository"),
    ],
)
def test_a_hub_that_does_not_tell_is_reported(openf5: FakeHub, tmp_path: Path, status: int, says: str) -> None:
    openf5.info_status = [status] * 10
    with pytest.raises(
        DownloadError, match=f"^the hub cannot be asked about mrfakename/OpenF5-TTS-Base: .*{says}"
    ) as caught:
        fetch(UNPINNED, tmp_path)
    assert "\n" not in str(caught.value)


def test_the_conversion_must_fit_too(openf5: FakeHub, small_disk: Path) -> None:
    with pytest.raises(WeightsError, match="needs 1453 MB, with room for the conversion, and its disk has 1 MB free"):
        fetch(UNPINNED, small_disk / "weights")
    assert files_in(small_disk) == []
    assert "/storage/" not in "".join(openf5.requests)


@pytest.mark.parametrize("metadata", [None, "right", "wrong"])
def test_a_model_comes_from_a_folder_with_or_without_checksums(
    stick: Path, tmp_path: Path, metadata: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    converts(monkeypatch, tmp_path / "result")
    (stick / "vocab.txt").write_bytes(b" \na\n")
    (stick / "model.pt").write_bytes(b"pickled")
    notes = stick / ".cache/huggingface/download"
    notes.mkdir(parents=True)
    for name in ("vocab.txt", "model.pt") if metadata else ():
        content = (stick / name).read_bytes() if metadata == "right" else b"other"
        (notes / f"{name}.metadata").write_text(f"{REVISION}\n{hashlib.sha256(content).hexdigest()}\n1.5\n")
    if metadata == "wrong":
        with pytest.raises(WeightsError, match="wrong size or checksum"):
            fetch(UNPINNED, tmp_path / "weights", stick)
        return
    fetch(UNPINNED, tmp_path / "weights", stick)
    record = read_record(tmp_path / "weights")
    assert record is not None
    expected = (REVISION, "download") if metadata else (None, "nothing")
    assert (record.revision, record.verified_by) == expected


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 3}', "x" * 70_000, "[" * 60_000, '{"sha256": "a"}'])
def test_a_damaged_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "source.json").write_text(content)
    assert read_record(tmp_path) is None
