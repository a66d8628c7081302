"""Weights are found, checked, and fetched only if they are correct. No torch here."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ishowtts.engines import weights
from ishowtts.engines.weights import fetch, locate
from ishowtts.errors import WeightsError


def safetensors(size: int = 64) -> bytes:
    head = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(size)


OFFICIAL = {
    "F5TTS_v1_Base/model_1250000.safetensors": safetensors(),
    "F5TTS_v1_Base/vocab.txt": b" \na\n",
    "vocos/config.yaml": b"head: {}\n",
    "vocos/pytorch_model.bin": b"tensors",
}


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Returns a folder with files of the official names, as on a USB stick."""
    for name, content in OFFICIAL.items():
        path = tmp_path / "stick" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "stick"


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the pinned sizes and checksums by those of the small files above."""
    contents = {Path(name).name: content for name, content in OFFICIAL.items()}
    monkeypatch.setattr(
        weights,
        "FILES",
        tuple(
            replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest())
            for file in weights.FILES
            for content in [contents[Path(file.path).name]]
        ),
    )


def test_without_a_folder_and_a_fetch_there_are_no_weights(tmp_path: Path) -> None:
    assert locate(None) is None
    assert locate(None, tmp_path) is None


def test_the_hubs_layout_is_found_with_its_licence(stick: Path) -> None:
    found = locate(stick)
    assert found is not None
    assert found.architecture is None
    assert found.licence == "CC-BY-NC-4.0"


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_missing_or_empty_file_is_named(stick: Path, name: str) -> None:
    (stick / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=f"{Path(name).name}"):
        locate(stick)
    (stick / name).unlink()
    with pytest.raises(WeightsError, match=f"{Path(name).name}"):
        locate(stick)


@pytest.mark.parametrize(
    "content",
    [
        safetensors()[:-1],
        safetensors() + b"x",
        b"\xff" * 64,
        b"short",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"{}",
    ],
)
def test_a_truncated_or_damaged_file_raises(stick: Path, content: bytes) -> None:
    (stick / "F5TTS_v1_Base" / "model_1250000.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"truncated|damaged"):
        locate(stick)


def test_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a folder"):
        locate(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="ishowtts fetch"):
        locate(tmp_path)


@pytest.mark.usefixtures("pinned")
def test_a_fetch_from_a_stick_is_verified_and_found(stick: Path, tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    state = tmp_path / "state"
    fetched = fetch(weights.fetched_folder(state), stick, lambda *step: reports.append(step))
    assert fetched == locate(None, state)
    assert any(name.startswith("copy") and done == total for name, done, total in reports)
    assert not list((state / "weights").glob(".*"))
    (stick / "vocos" / "config.yaml").unlink()
    fetch(weights.fetched_folder(state), stick)  # a file that is there and correct is not read again


@pytest.mark.usefixtures("pinned")
def test_a_wrong_checksum_is_refused_and_no_weights_are_found(stick: Path, tmp_path: Path) -> None:
    path = stick / "F5TTS_v1_Base" / "model_1250000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="wrong size or checksum"):
        fetch(weights.fetched_folder(tmp_path), stick)
    assert locate(None, tmp_path) is None


@pytest.mark.usefixtures("pinned")
def test_a_file_of_a_wrong_size_is_refused_before_a_byte_is_written(stick: Path, tmp_path: Path) -> None:
    with (stick / "F5TTS_v1_Base" / "vocab.txt").open("wb") as sparse:
        sparse.truncate(64 << 20)
    reports: list[tuple[str, int, int]] = []
    with pytest.raises(WeightsError, match="has 67108864 bytes instead of 4"):
        fetch(tmp_path / "weights", stick, lambda *step: reports.append(step))
    assert reports == []
    assert files_in(tmp_path / "weights") == []


@pytest.mark.usefixtures("pinned")
def test_a_file_that_grows_while_it_is_copied_is_copied_to_its_size(stick: Path, tmp_path: Path) -> None:
    source = stick / "F5TTS_v1_Base" / "vocab.txt"

    def grow(name: str, done: int, total: int) -> None:
        if name == "copy vocab.txt":
            assert done == total
            with source.open("ab") as file:
                file.write(b"more")

    fetch(tmp_path / "weights", stick, grow)
    assert (tmp_path / "weights" / "vocab.txt").read_bytes() == OFFICIAL["F5TTS_v1_Base/vocab.txt"]


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_copy_leaves_nothing(stick: Path, tmp_path: Path, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    with pytest.raises((WeightsError, KeyboardInterrupt)):
        fetch(tmp_path / "weights", stick, fail)
    assert files_in(tmp_path / "weights") == []


def test_a_file_that_does_not_fit_is_refused_before_a_byte_is_written(
    stick: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = shutil.disk_usage(small_disk).free + 1
    monkeypatch.setattr(weights, "FILES", (replace(weights.FILES[0], size=size),))
    with (stick / "F5TTS_v1_Base" / "vocab.txt").open("wb") as sparse:
        sparse.truncate(size)
    with pytest.raises(WeightsError, match="free some space"):
        fetch(small_disk / "weights", stick)
    assert files_in(small_disk) == []


@pytest.mark.usefixtures("pinned")
def test_a_stick_that_lacks_a_file_raises(stick: Path, tmp_path: Path) -> None:
    (stick / "F5TTS_v1_Base" / "vocab.txt").unlink()
    with pytest.raises(WeightsError, match=r"lacks vocab\.txt of SWivid/F5-TTS"):
        fetch(tmp_path / "weights", stick)


def test_without_a_network_the_message_suggests_a_stick(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ishowtts.engines.weights import fetch\n"
        "from ishowtts.errors import WeightsError\n"
        "try: fetch(Path(sys.argv[1]))\n"
        "except WeightsError as error: print(error)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "weights")],
        capture_output=True, text=True, timeout=60, check=True,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(weights.__file__).parents[2])},
    )  # fmt: skip
    assert "ishowtts fetch --from DIR" in done.stdout
    assert len(done.stdout.splitlines()) == 1
