"""A Vocos learns, resumes, and gives the same sound in the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from ishowtts.engines.f5 import checkpoint
from ishowtts.engines.f5.mel_spectrogram import log_mel
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.engines.weights import locate
from ishowtts_bench import random_checkpoint
from voice_training.recipe import VocoderRecipe
from voice_training.vocoder.vocoder_trainer import VocoderTrainer, export_weights

CPU = torch.device("cpu")

Begin = Callable[..., VocoderTrainer]


@pytest.fixture
def begin(speech: list[Any], tiny: dict[str, Any]) -> Begin:
    """`begin(seed=…, **changes of the recipe)`: a trainer of the tiny recipe."""

    def start(seed: int = 0, **changes: Any) -> VocoderTrainer:
        return VocoderTrainer(VocoderRecipe(**(tiny | changes)), speech, CPU, seed)

    return start


def losses(training: VocoderTrainer, steps: int) -> list[dict[str, float]]:
    return [training.train_step() for _ in range(steps)]


def weights(training: VocoderTrainer, part: str) -> torch.Tensor:
    return torch.cat([x.flatten() for name, x in training.state().items() if name.startswith(f"{part}.weights.")])


def test_it_learns_speech(begin: Begin, speech: list[Any]) -> None:
    training = begin()
    before = _distance(training, speech[0])
    means = losses(training, 50)
    assert set(means[0]) == {"mel", "stft"}
    for name in ("mel", "stft"):
        assert np.mean([loss[name] for loss in means[-10:]]) < 0.7 * np.mean([loss[name] for loss in means[:3]])
    assert _distance(training, speech[0]) < 0.7 * before


def test_a_training_depends_on_the_seed(begin: Begin) -> None:
    blurred = {"mel_blur": 1.0, "mel_noise": 0.1, "pretrain_steps": 3}
    first, second, other = (losses(begin(seed, **blurred), 5) for seed in (1, 1, 2))
    assert first == second
    assert first != other


@pytest.mark.parametrize("pretrain_steps", [100, 5])
def test_a_resumed_training_continues(begin: Begin, tmp_path: Path, pretrain_steps: int) -> None:
    unbroken = begin(pretrain_steps=pretrain_steps, learning_rate=5e-4)
    losses(unbroken, 12)
    save_file(unbroken.state(), tmp_path / "state.safetensors")
    resumed = begin(pretrain_steps=pretrain_steps, learning_rate=5e-4)
    resumed.resume(load_file(tmp_path / "state.safetensors"))
    assert resumed.step == 12
    for ours, theirs in zip(losses(unbroken, 6), losses(resumed, 6), strict=True):
        assert set(ours) == set(theirs)
        assert theirs == pytest.approx(ours, rel=0.05)
    for part in ("vocoder", "average"):
        apart = (weights(unbroken, part) - weights(resumed, part)).norm() / weights(unbroken, part).norm()
        assert apart < 0.02


def test_vocoder_and_discriminators_both_learn(begin: Begin, speech: list[Any]) -> None:
    training = begin(pretrain_steps=2, learning_rate=8e-3)
    losses(training, 2)
    assert not any(name.startswith("adversary.") for name in training.state())
    means = losses(training, 1)
    assert set(means[0]) == {"mel", "discriminators", "adversarial", "matching"}
    far = _distance(training, speech[0])
    before = {part: weights(training, part) for part in ("vocoder", "adversary")}
    means += losses(training, 20)
    assert means[-1]["discriminators"] < 0.98 * means[0]["discriminators"]
    assert _distance(training, speech[0]) < 0.95 * far
    for part, earlier in before.items():
        assert (weights(training, part) - earlier).norm() > 0.05 * earlier.norm()


def test_the_adversarial_loss_alone_changes_the_vocoder(begin: Begin) -> None:
    alone = {"mel": 0.0, "matching": 0.0, "adversarial": 1.0}
    training = begin(pretrain_steps=0, loss=alone)
    before = weights(training, "vocoder")
    losses(training, 1)
    assert not torch.equal(weights(training, "vocoder"), before)


def test_exported_weights_give_the_same_sound_in_the_engine(
    begin: Begin, tmp_path: Path, speech: list[Any], tiny: dict[str, Any]
) -> None:
    training = begin()
    losses(training, 10)
    random_checkpoint.make_checkpoint(tmp_path, "tiny")
    config, tensors = export_weights(VocoderRecipe(**tiny), training.state())
    save_file(tensors, tmp_path / "vocos" / "model.safetensors")
    (tmp_path / "vocos" / "config.yaml").write_text(yaml.safe_dump(config))
    found = locate(tmp_path)
    assert found is not None
    loaded = checkpoint.load(found)
    mel = log_mel(torch.from_numpy(speech[0])).unsqueeze(0)
    with torch.inference_mode():
        (sound,) = FastVocoder(loaded.vocoder, loaded.vocos, CPU).decode(mel, [mel.shape[1]])
    ours = training.sample(speech[0])
    assert ours.dtype == np.float32
    assert len(ours) == len(speech[0]) // 256 * 256
    assert np.abs(sound.numpy() - ours).max() <= 2e-3 * np.abs(ours).max()  # exported weights are fp16


def test_exported_weights_are_averages(begin: Begin, tiny: dict[str, Any]) -> None:
    training = begin()
    losses(training, 10)
    name = "backbone.embed.weight"
    state = training.state()
    tensors = export_weights(VocoderRecipe(**tiny), state)[1]
    assert torch.equal(tensors[name], state[f"average.weights.{name}"])
    assert not torch.allclose(tensors[name], state[f"vocoder.weights.{name}"], atol=1e-4)
    assert tensors[name].dtype is torch.float16
    assert tensors["head.istft.window"].dtype is torch.float32


def test_losses_are_returned_as_means_of_several_steps(begin: Begin) -> None:
    each = losses(begin(), 6)
    seldom = losses(begin(log_every=3), 6)
    assert [bool(means) for means in seldom] == [False, False, True, False, False, True]
    assert seldom[5]["mel"] == pytest.approx(np.mean([means["mel"] for means in each[3:]]))


def test_the_state_of_the_default_size_is_small(speech: list[Any], tmp_path: Path) -> None:
    training = VocoderTrainer(VocoderRecipe(steps=9, pretrain_steps=0, batch=1, crop_frames=16), speech, CPU, 0)
    training.train_step()
    save_file(training.state(), tmp_path / "state")
    assert (tmp_path / "state").stat().st_size < 25_000_000


def test_the_state_of_another_model_is_refused(begin: Begin) -> None:
    training = begin()
    state = training.state()
    with pytest.raises(ValueError, match=r"asks for \[48, 100, 7\].*resume with the recipe"):
        begin(dim=48).resume(state)
    with pytest.raises(ValueError, match="not one of a vocoder"):
        training.resume({})


def _distance(training: VocoderTrainer, wave: Any) -> float:
    made = training.sample(wave)
    ours, theirs = (log_mel(torch.from_numpy(np.array(sound[: len(made)]))) for sound in (made, wave))
    return float((ours - theirs).abs().mean())
