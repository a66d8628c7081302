"""Weights that do not fit are reported in one sentence, and never run code."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from ishowtts.engines.f5 import checkpoint as checkpoints
from ishowtts.engines.f5.architecture import read_model
from ishowtts.engines.f5.checkpoint_conversion import convert
from ishowtts.engines.f5.engine import F5Engine, F5Options
from ishowtts.engines.f5.shapes import dit_shapes, vocoder_shapes
from ishowtts.engines.f5.upstream_model import build_cfm, build_vocos
from ishowtts.engines.weights import locate
from ishowtts.engines.weights_catalogue import CATALOGUE
from ishowtts.errors import WeightsError
from ishowtts_bench import random_checkpoint

pytestmark = pytest.mark.f5

Damage = Callable[[Path], None]


def edit(path: Path, change: Callable[[dict], None]) -> None:
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def lose_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["transformer.proj_out.bias"]
    save_file(tensors, folder / "model.safetensors")


def add_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "vocos" / "model.safetensors")
    save_file({**tensors, "stranger": torch.ones(1)}, folder / "vocos" / "model.safetensors")


def cut(name: str) -> Damage:
    def damage(folder: Path) -> None:
        os.truncate(folder / name, (folder / name).stat().st_size - 1)

    return damage


def architecture(key: str, value: object) -> Damage:
    return lambda folder: edit(folder / "model.yaml", lambda content: content["arch"].update({key: value}))


def description(key: str, value: object) -> Damage:
    return lambda folder: edit(folder / "model.yaml", lambda content: content.update({key: value}))


def repeat_a_token(folder: Path) -> None:
    lines = (folder / "vocab.txt").read_text().splitlines(keepends=True)
    (folder / "vocab.txt").write_text("".join([*lines[:-1], lines[3]]))


def class_path(folder: Path) -> None:
    edit(folder / "vocos" / "config.yaml", lambda content: content["head"].update(class_path="os.system"))


def drop_tokens(folder: Path) -> None:
    lines = (folder / "vocab.txt").read_text().splitlines(keepends=True)
    (folder / "vocab.txt").write_text("".join(lines[:-7]))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose_a_tensor, "model.safetensors lacks the tensor transformer.proj_out.bias"),
        (add_a_tensor, "holds stranger"),
        (cut("model.safetensors"), "truncated"),
        (cut("vocos/model.safetensors"), "truncated"),
        (architecture("dim", 256), "its description asks for"),
        (architecture("depth", 4), "lacks the tensor transformer.transformer_blocks.3"),
        (architecture("colour", "blue"), "arch.colour"),
        (class_path, "head.class_path"),
        (description("tokenizer", "custom"), "tokenizer: Input should be 'pinyin' or 'char'; use the file"),
        (description("languages", ["Hindi"]), "languages.0: String should match"),
        (description("languages", []), "languages: Tuple should have at least 1 item"),
        (description("licence", "MIT\n<b>"), "licence: String should match"),
        (repeat_a_token, "vocab.txt names a token twice"),
        (lambda folder: (folder / "vocab.txt").write_text("a\nb\n"), "vocab.txt has no space"),
        (drop_tokens, "vocab.txt has .* tokens, but"),
        (lambda folder: (folder / "vocab.txt").write_bytes(b"\xff\xfe\n"), "vocab.txt cannot be read"),
        (lambda folder: (folder / "model.yaml").write_text("arch: ["), "model.yaml cannot be read"),
        (lambda folder: (folder / "model.yaml").write_text("a list"), "model.yaml describes a model"),
        (lambda folder: (folder / "vocos" / "config.yaml").unlink(), "config.yaml is missing"),
    ],
)
def test_weights_that_do_not_fit_are_reported(checkpoint: Path, tmp_path: Path, damage: Damage, words: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    damage(folder)
    engine = F5Engine(F5Options(str(folder), device="cpu"))
    with pytest.raises(WeightsError, match=words) as told:
        engine.load(lambda _: None)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vocab.txt", "vocab.txt has 142 tokens, but .* was trained on 129; use the vocab.txt that came with it"),
        ("model.yaml", r"0.weight with the shape \[128, 256\], but its description asks for \[1024, 256\]"),
        ("model.safetensors", "was trained on 142"),
    ],
)
def test_a_file_of_other_weights_is_reported(
    hindi_checkpoint: Path, silma_checkpoint: Path, tmp_path: Path, name: str, words: str
) -> None:
    shutil.copytree(hindi_checkpoint, tmp_path, dirs_exist_ok=True)
    if name == "model.yaml":
        base = random_checkpoint.describe("v1", "base").model_dump(mode="json")
        (tmp_path / name).write_text(yaml.safe_dump(base))
    else:
        shutil.copy(silma_checkpoint / name, tmp_path)
    with pytest.raises(WeightsError, match=words) as told:
        checkpoints.load(locate(tmp_path))
    assert "\n" not in str(told.value)


def test_a_description_may_have_languages_and_a_licence(
    checkpoint: Path, silma_checkpoint: Path, hindi_checkpoint: Path
) -> None:
    found = [read_model(folder / "model.yaml") for folder in (checkpoint, silma_checkpoint, hindi_checkpoint)]
    assert [model.languages for model in found] == [None, ("ar", "en"), ("hi",)]
    assert [model.licence for model in found] == [None, "Apache-2.0", "CC-BY-4.0"]
    assert [model.tokenizer for model in found] == ["pinyin", "char", "pinyin"]
    assert [model.arch.text_mask_padding for model in found] == [True, True, False]
    assert [model.arch.pe_attn_head for model in found] == [None, None, 1]


def test_published_weights_are_the_same_weights(hindi_checkpoint: Path, silma_checkpoint: Path, tmp_path: Path) -> None:
    for name, folder in (("hindi", hindi_checkpoint), ("silma", silma_checkpoint)):
        published = CATALOGUE[name]
        out = tmp_path / name
        random_checkpoint.publish(folder, out, use_ema=published.use_ema)
        shutil.copy(folder / "model.yaml", out)
        if published.is_pickled:
            with (out / "model.safetensors").open("wb") as target:
                convert(out / "model.pt", target, use_ema=published.use_ema)
        ours, theirs = (checkpoints.load(locate(place)).cfm for place in (folder, out))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[tensor], theirs[tensor]) for tensor in ours)


class Program:
    """An object that runs code when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self._proof),))


@pytest.fixture
def official(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny checkpoint with the official layout and the official names of tensors."""
    folder = tmp_path / "official"
    (folder / "vocos").mkdir(parents=True)
    tensors = {f"ema_model.{name}": tensor for name, tensor in load_file(checkpoint / "model.safetensors").items()}
    tensors |= {"initted": torch.tensor(True), "step": torch.tensor(1_250_000)}
    tensors["ema_model.mel_spec.mel_stft.mel_scale.fb"] = torch.zeros(2)
    tensors["ema_model.mel_spec.mel_stft.spectrogram.window"] = torch.zeros(2)
    save_file(tensors, folder / "model_1250000.safetensors")
    torch.save(load_file(checkpoint / "vocos" / "model.safetensors"), folder / "vocos" / "pytorch_model.bin")
    shutil.copy(checkpoint / "vocos" / "config.yaml", folder / "vocos")
    shutil.copy(checkpoint / "vocab.txt", folder)
    monkeypatch.setattr(checkpoints, "BASE", random_checkpoint.ModelConfig(arch=random_checkpoint._DITS["tiny"]))
    return folder


def test_the_official_layout_gives_the_same_model(checkpoint: Path, official: Path) -> None:
    ours, theirs = (checkpoints.load(locate(folder)) for folder in (checkpoint, official))
    assert (ours.model.arch, ours.vocab) == (theirs.model.arch, theirs.vocab)
    for one, other in ((ours.cfm, theirs.cfm), (ours.vocos, theirs.vocos)):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("shape", "size"), [("v1", "tiny"), ("v1", "small"), ("hindi", "tiny")])
def test_the_expected_tensors_are_those_of_upstreams_modules(
    shape: random_checkpoint.Shape, size: random_checkpoint.Size
) -> None:
    dim, layers = random_checkpoint._VOCODERS[size]
    model, vocoder = random_checkpoint.describe(shape, size), random_checkpoint.vocoder_of(dim, 3 * dim, layers)
    cfm = build_cfm(model, {str(i): i for i in range(40)})
    vocos = build_vocos(vocoder)
    assert dit_shapes(model.arch, 40) == {name: tuple(tensor.shape) for name, tensor in cfm.state_dict().items()}
    assert vocoder_shapes(vocoder) == {name: tuple(tensor.shape) for name, tensor in vocos.state_dict().items()}


def test_code_in_a_pickle_does_not_run(official: Path, tmp_path: Path) -> None:
    proof = tmp_path / "it-ran"
    path = official / "vocos" / "pytorch_model.bin"
    torch.save({"weight": Program(proof)}, path)
    with pytest.raises(WeightsError, match="holds more than tensors"):
        checkpoints.load(locate(official))
    path.write_bytes(pickle.dumps({"weight": Program(proof)}))
    with pytest.raises(WeightsError, match="holds more than tensors"):
        checkpoints.load(locate(official))
    assert not proof.exists()


def test_a_truncated_pickle_is_reported(official: Path) -> None:
    path = official / "vocos" / "pytorch_model.bin"
    assert zipfile.is_zipfile(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(WeightsError, match="truncated"):
        checkpoints.load(locate(official))


def test_the_same_seed_makes_the_same_checkpoint_and_nothing_in_it_is_zero(checkpoint: Path, tmp_path: Path) -> None:
    random_checkpoint.make_checkpoint(tmp_path / "again", "tiny", seed=0)
    random_checkpoint.make_checkpoint(tmp_path / "other", "tiny", seed=1)
    first, again, other = (
        load_file(folder / "model.safetensors") for folder in (checkpoint, tmp_path / "again", tmp_path / "other")
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["transformer.proj_out.weight"], other["transformer.proj_out.weight"])
    assert all(tensor.any() for tensor in first.values())
