"""A pickled checkpoint becomes safetensors that F5 loads, or is refused in words. `ishowtts fetch` end to end."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ishowtts.engines.f5.checkpoint import load
from ishowtts.engines.f5.checkpoint_conversion import convert
from ishowtts.engines.weights_fetch import fetch
from ishowtts.engines.weights_record import read_record
from ishowtts.errors import WeightsError
from support.fake_hub import REVISION, FakeHub, quick_client
from support.hub_models import pickled, tiny_model, training_checkpoint, vocos_files

pytestmark = pytest.mark.f5


def converted(tmp_path: Path, content: Any, *, use_ema: bool = True) -> dict[str, Tensor]:
    (tmp_path / "model.pt").write_bytes(content if isinstance(content, bytes) else pickled(content))
    with (tmp_path / "model.safetensors").open("wb") as target:
        convert(tmp_path / "model.pt", target, use_ema=use_ema)
    return load_file(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("content", "use_ema", "value"),
    [
        ({"a": torch.ones(2)}, True, 1),
        ({"ema_model.a": torch.ones(2), "initted": torch.tensor(True), "step": torch.tensor(1)}, True, 1),
        ({"model_state_dict": {"a": torch.ones(2)}, "ema_model_state_dict": {"ema_model.a": torch.zeros(2)}}, True, 0),
        ({"model_state_dict": {"a": torch.ones(2)}, "ema_model_state_dict": {"ema_model.a": torch.zeros(2)}}, False, 1),
        ({"model_state_dict": {"a": torch.ones(2)}, "update": 3}, True, 1),
        ({"ema_model_state_dict": {"ema_model.a": torch.ones(2)}}, False, 1),
        ({"a": torch.ones(2, dtype=torch.float16)}, True, 1),
        ({"a": torch.ones(5)[2:4]}, True, 1),
        ({"a": torch.ones(2, 2).T[0]}, True, 1),
    ],
)
def test_the_table_of_the_model_is_taken(tmp_path: Path, content: Any, use_ema: bool, value: float) -> None:
    found = converted(tmp_path, content, use_ema=use_ema)
    assert found.keys() == {"a"}
    assert torch.equal(found["a"].float(), torch.full((2,), float(value)))


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


def packed(content: dict[str, Tensor], folder: Path) -> bytes:
    """Returns a checkpoint whose tensors are compressed, which torch never does."""
    (folder / "plain").write_bytes(pickled(content))
    with (
        zipfile.ZipFile(folder / "plain") as source,
        zipfile.ZipFile(folder / "packed", "w", zipfile.ZIP_DEFLATED) as to,
    ):
        for entry in source.infolist():
            to.writestr(entry.filename, source.read(entry))
    return (folder / "packed").read_bytes()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: pickled({"a": Command()}), "holds more than tensors"),
        (lambda _: pickle.dumps({"a": Command()}), "holds more than tensors"),
        (lambda _: pickle.dumps({"a": 1}), "holds more than tensors"),
        (lambda _: b"", "holds more than tensors"),
        (lambda _: pickled({"a": torch.ones(100)})[:-200], "truncated"),
        (lambda folder: packed({"a": torch.zeros(10_000)}, folder), "holds more than tensors"),
        (lambda _: pickled({"a": 3}), "holds 'a', which is not a tensor"),
        (lambda _: pickled({"a": torch.ones(2, dtype=torch.int64)}), "holds 'a', which is not a tensor"),
        (lambda _: pickled({"a": torch.eye(2).to_sparse()}), "holds 'a', which is not a tensor"),
        (lambda _: pickled({"a": torch.ones(2, device="meta")}), "holds 'a', which is not a tensor"),
        (lambda _: pickled({"a": torch._neg_view(torch.ones(2))}), "holds 'a', which is not a tensor"),
        (lambda _: pickled({"__metadata__": torch.ones(2)}), "holds '__metadata__', which is not a tensor"),
        (lambda _: pickled({"model_state_dict": "x"}), "holds no table of tensors"),
        (lambda _: pickled([torch.ones(2)]), "holds no table of tensors"),
        (lambda _: pickled({}), "holds no table of tensors"),
        (lambda _: pickled({"a": torch.zeros(1).expand(1_000_000)}), "describes more numbers than it holds"),
    ],
)
def test_anything_else_is_refused_in_words(
    tmp_path: Path, make: Callable[[Path], bytes], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=says):
        converted(tmp_path, make(tmp_path))
    assert not (tmp_path / "harmed").exists()
    assert (tmp_path / "model.safetensors").stat().st_size == 0


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> Iterator[FakeHub]:
    quick_client(monkeypatch, chunk_bytes=1_000_000)
    repos = {
        "silma-ai/silma-tts": {
            "model.pt": pickled(training_checkpoint(tiny_checkpoint)),
            "vocab.txt": (tiny_checkpoint / "vocab.txt").read_bytes(),
        },
        "charactr/vocos-mel-24khz": vocos_files(tiny_checkpoint),
    }
    with FakeHub(repos) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_a_pickled_model_is_fetched_converted_and_loaded(hub: FakeHub, tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = tiny_model(tiny_checkpoint, "silma")
    reports: list[tuple[str, int, int]] = []
    found = fetch(model, tmp_path / "silma", progress=lambda *step: reports.append(step))
    assert (found.name, found.licence, found.languages) == ("silma", "Apache-2.0", ("ar", "en"))
    original = load_file(tiny_checkpoint / "model.safetensors")
    assert all(torch.equal(tensor, original[name]) for name, tensor in load(found).cfm.items())
    assert sorted(path.name for path in found.folder.iterdir()) == [
        "model.safetensors", "model.yaml", "source.json", "vocab.txt", "vocos"
    ]  # fmt: skip
    record = read_record(found.folder)
    assert record is not None
    assert (record.repo, record.revision, record.verified_by) == ("silma-ai/silma-tts", REVISION, "hub")
    assert {status.st_mode & 0o777 for path in found.folder.glob("*.*") if (status := path.stat())} == {0o644}
    assert {path.stat().st_uid for path in found.folder.iterdir()} == {os.geteuid()}
    assert ("convert", 1, 1) in reports

    hub.requests.clear()
    reports.clear()
    assert fetch(model, tmp_path / "silma", progress=lambda *step: reports.append(step)) == found
    assert hub.requests == []
    assert not [name for name, _, _ in reports if not name.startswith("check ")]
