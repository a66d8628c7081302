"""Weights are found and checked, and one of the fetched ones is used. No torch here."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import yaml

from ishowtts.engines.f5.architecture import read_model
from ishowtts.engines.weights import fetched_folder, locate, use, used_name
from ishowtts.engines.weights_catalogue import CATALOGUE
from ishowtts.errors import WeightsError
from support.small_files import OFFICIAL_FILES, safetensors


def test_without_a_folder_and_a_fetch_there_are_no_weights(tmp_path: Path) -> None:
    assert locate(None) is None
    assert locate(None, tmp_path) is None


def test_the_hubs_layout_is_found_with_its_licence(stick: Path) -> None:
    found = locate(stick)
    assert found is not None
    assert found.architecture is None
    assert (found.name, found.licence, found.languages) == ("official", "CC-BY-NC-4.0", ("en", "zh"))


@pytest.mark.parametrize("name", OFFICIAL_FILES)
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


DESCRIPTION = {"name": "openf5", "languages": ["en"], "licence": "Apache-2.0"}
ARCH = {"dim": 128, "depth": 1, "heads": 2, "ff_mult": 2, "text_dim": 64, "conv_layers": 1}


def make_folder_of(model: str, data_dir: Path, **described: object) -> Path:
    """Makes a folder as `ishowtts fetch --model` leaves it, with the official file of Vocos."""
    folder = fetched_folder(data_dir, model)
    (folder / "vocos").mkdir(parents=True)
    (folder / "model.yaml").write_text(json.dumps({**DESCRIPTION, "name": model, "arch": ARCH, **described}))
    (folder / "model.safetensors").write_bytes(safetensors())
    for name in ("vocab.txt", "vocos/config.yaml", "vocos/pytorch_model.bin"):
        (folder / name).write_bytes(b" \n")
    return folder


def test_the_model_that_was_fetched_last_is_used(stick: Path, tmp_path: Path) -> None:
    stick.rename(tmp_path / "weights")
    (tmp_path / "weights/F5TTS_v1_Base/model_1250000.safetensors").rename(
        tmp_path / "weights/model_1250000.safetensors"
    )
    (tmp_path / "weights/F5TTS_v1_Base/vocab.txt").rename(tmp_path / "weights/vocab.txt")
    (tmp_path / "weights/F5TTS_v1_Base").rmdir()
    folder = make_folder_of("openf5", tmp_path)
    before = locate(None, tmp_path)
    assert before is not None
    assert before.name == "official", "as an earlier version left it"
    use(tmp_path, "openf5")
    found = locate(None, tmp_path)
    assert found is not None
    assert (found.folder, found.name, found.licence, found.languages) == (folder, "openf5", "Apache-2.0", ("en",))
    assert found.vocoder == folder / "vocos/pytorch_model.bin"
    use(tmp_path, "official")
    assert locate(None, tmp_path) == before
    assert locate(folder, tmp_path) == found, "engine.f5.weights has precedence"
    assert {path.name for path in (tmp_path / "weights").iterdir() if path.name.startswith("used")} == {"used"}


def test_languages_and_licence_of_an_own_checkpoint_may_be_unknown(tmp_path: Path) -> None:
    found = locate(make_folder_of("own", tmp_path, languages=None, licence=None))
    assert found is not None
    assert (found.name, found.licence, found.languages) == ("own", None, None)


@pytest.mark.parametrize("content", ["../../etc\n", "", "x" * 200, "offıcial", "official\0"])
def test_a_damaged_record_of_the_used_model_is_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/used").write_text(content)
    with pytest.raises(WeightsError, match=r"weights/used .*(sudo ishowtts fetch|larger)"):
        locate(None, tmp_path)


def test_a_used_model_that_is_gone_is_reported(tmp_path: Path) -> None:
    use(tmp_path, "silma")
    assert used_name(tmp_path) == "silma"
    with pytest.raises(WeightsError, match=r"weights/silma is not a folder; `sudo ishowtts fetch`"):
        locate(None, tmp_path)


def test_every_description_of_the_catalogue_is_one_that_f5_reads(tmp_path: Path) -> None:
    described = {}
    for model in CATALOGUE.values():
        if model.description is None:
            continue
        (tmp_path / "model.yaml").write_text(yaml.safe_dump(model.model_yaml()))
        one = described[model.name] = read_model(tmp_path / "model.yaml")
        assert (one.name, one.languages, one.licence) == (model.name, model.languages, model.licence)
    small, old = described["silma"], described["hindi"]
    assert (small.tokenizer, small.arch.text_mask_padding, small.arch.pe_attn_head) == ("char", True, None)
    assert (old.tokenizer, old.arch.text_mask_padding, old.arch.pe_attn_head) == ("pinyin", False, 1)
