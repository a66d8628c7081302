"""Downloads from a hub with every fault, with the real client. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts.engines.hub_client import DownloadError
from ishowtts.engines.weights_fetch import fetch
from ishowtts.errors import WeightsError
from support.fake_hub import FakeHub, quick_client
from support.small_files import OFFICIAL_FILES, pinned_to, safetensors


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


MODEL_NAME = "F5TTS_v1_Base/model_1250000.safetensors"
MODEL_BYTES = safetensors(300_000)
LARGE = pinned_to({Path(name).name: content for name, content in OFFICIAL_FILES.items()} | {
    "model_1250000.safetensors": MODEL_BYTES
})  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    quick_client(monkeypatch, chunk_bytes=50_000)
    repos = {
        "SWivid/F5-TTS": {MODEL_NAME: MODEL_BYTES, "F5TTS_v1_Base/vocab.txt": b" \na\n"},
        "charactr/vocos-mel-24khz": {"config.yaml": b"head: {}\n", "pytorch_model.bin": b"tensors"},
    }
    with FakeHub(repos) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def fails(target: Path, says: str) -> None:
    with pytest.raises(DownloadError, match=says) as caught:
        fetch(LARGE, target)
    assert "\n" not in str(caught.value)
    assert not (target / "model_1250000.safetensors").exists()


def test_a_download_follows_redirects_and_goes_on_after_a_break(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(MODEL_NAME).break_after = [120_000, 60_000]
    fetch(LARGE, tmp_path)
    assert (tmp_path / "model_1250000.safetensors").read_bytes() == MODEL_BYTES
    assert hub.bytes_sent[MODEL_NAME] < len(MODEL_BYTES) + 2 * 50_000
    assert not list(tmp_path.glob(".*"))


def test_the_next_fetch_goes_on_where_a_broken_one_stopped(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(MODEL_NAME).break_after = [150_000, 0, 0, 0, 0, 0, 0]
    fails(tmp_path, "cannot be downloaded from SWivid/F5-TTS: .*run the command again")
    assert [path.stat().st_size for path in (tmp_path / ".arriving").glob("*.part")] == [150_000]
    hub.bytes_sent.clear()
    hub.fault(MODEL_NAME).break_after.clear()
    fetch(LARGE, tmp_path)
    assert hub.bytes_sent == {MODEL_NAME: len(MODEL_BYTES) - 150_000}
    assert (tmp_path / "model_1250000.safetensors").read_bytes() == MODEL_BYTES


def test_a_connection_that_stalls_is_replaced(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.fault(MODEL_NAME).stall_after = [100_000]
    fetch(LARGE, tmp_path)
    assert (tmp_path / "model_1250000.safetensors").read_bytes() == MODEL_BYTES


def test_what_arrived_of_another_revision_is_removed_and_not_counted(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(MODEL_NAME).break_after = [150_000, 0, 0, 0, 0, 0, 0]
    fails(tmp_path, "cannot be downloaded")
    [partial] = (tmp_path / ".arriving").glob("*.part")
    partial.rename(outdated := partial.with_name("0123456789abcdef-model_1250000.safetensors.part"))
    (tmp_path / ".arriving/.cache/huggingface").mkdir(parents=True)
    hub.fault(MODEL_NAME).break_after = [0] * 6
    fails(tmp_path, "cannot be downloaded")
    assert not outdated.exists()
    assert not (tmp_path / ".arriving/.cache").exists()


def test_a_hub_that_ignores_ranges_sends_the_file_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(MODEL_NAME).break_after = [150_000]
    hub.fault(MODEL_NAME).ignores_ranges = True
    fetch(LARGE, tmp_path)
    assert (tmp_path / "model_1250000.safetensors").read_bytes() == MODEL_BYTES


def test_a_wrong_checksum_from_the_hub_is_refused_and_not_continued(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(MODEL_NAME).served = MODEL_BYTES[:-1] + b"x"
    with pytest.raises(WeightsError, match="wrong size or checksum"):
        fetch(LARGE, tmp_path)
    assert not list((tmp_path / ".arriving").glob("*.part"))
    hub.fault(MODEL_NAME).served = None
    fetch(LARGE, tmp_path)
    assert (tmp_path / "model_1250000.safetensors").read_bytes() == MODEL_BYTES


def test_more_bytes_than_a_file_has_do_not_fill_the_disk(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(MODEL_NAME).served = MODEL_BYTES + bytes(10_000_000)
    fails(tmp_path, "more bytes arrive than the file has")
    assert sum(path.stat().st_size for path in files_in(tmp_path)) < len(MODEL_BYTES) + 1000


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "renamed or removed"), (403, "refuses access"), (500, "HTTP status 500; run the command again later")],
)
def test_what_the_hub_refuses_is_said_in_words(hub: FakeHub, tmp_path: Path, status: int, says: str) -> None:
    hub.fault(MODEL_NAME).status = [status] * 10
    fails(tmp_path, says)


def test_a_rate_limit_is_waited_for_and_told(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fault(MODEL_NAME).status = [429, 429]
    hub.fault(MODEL_NAME).retry_after_s = 7
    waits = quick_client(monkeypatch, chunk_bytes=50_000)
    fetch(LARGE, tmp_path)
    assert waits == [8, 8]
    assert [record.getMessage() for record in caplog.records if record.name.startswith("ishowtts")] == [
        f"{MODEL_NAME}: the hub limits requests; waiting as long as it asks"
    ] * 2
    assert not [record for record in caplog.records if record.name.startswith("huggingface_hub")]


def test_a_rate_limit_without_an_end_is_said_in_words(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(MODEL_NAME).status = [429] * 10
    fails(tmp_path, "limits the requests of this address for now")
