"""A Vocos that learns, stops and goes on, and speaks in the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from ishowtts.engines.f5 import checkpoint, random
from ishowtts.engines.f5.spectrum import log_mel
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.engines.weights import locate
from voice_training.vocoder.vocoder_trainer import VocoderRecipe, VocoderTrainer, export_weights

CPU = torch.device("cpu")

Begin = Callable[..., VocoderTrainer]


@pytest.fixture
def begin(speech: list[Any], tiny: dict[str, Any]) -> Begin:
    """`begin(seed=…, **changes of the recipe)`: a training of the tiny recipe."""

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
    told = losses(training, 50)
    assert set(told[0]) == {"mel", "stft"}
    for name in ("mel", "stft"):
        assert np.mean([loss[name] for loss in told[-10:]]) < 0.7 * np.mean([loss[name] for loss in told[:3]])
    assert _distance(training, speech[0]) < 0.7 * before


def test_the_same_seed_gives_the_same_training_and_another_one_another(begin: Begin) -> None:
    blurred = {"mel_blur": 1.0, "mel_noise": 0.1, "pretrain_steps": 3}
    first, second, other = (losses(begin(seed, **blurred), 5) for seed in (1, 1, 2))
    assert first == second
    assert first != other


@pytest.mark.parametrize("pretrain_steps", [100, 5])
def test_a_resumed_training_goes_on_where_it_was(begin: Begin, tmp_path: Path, pretrain_steps: int) -> None:
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


def test_beside_an_adversary_both_sides_learn(begin: Begin, speech: list[Any]) -> None:
    training = begin(pretrain_steps=2, learning_rate=8e-3)
    losses(training, 2)
    assert not any(name.startswith("adversary.") for name in training.state())
    told = losses(training, 1)
    assert set(told[0]) == {"mel", "adversary", "adversarial", "matching"}
    far = _distance(training, speech[0])
    before = {part: weights(training, part) for part in ("vocoder", "adversary")}
    told += losses(training, 20)
    assert told[-1]["adversary"] < 0.98 * told[0]["adversary"]
    assert _distance(training, speech[0]) < 0.95 * far
    for part, earlier in before.items():
        assert (weights(training, part) - earlier).norm() > 0.05 * earlier.norm()


def test_the_adversary_teaches_the_vocoder_without_any_other_loss(begin: Begin) -> None:
    alone = {"mel": 0.0, "matching": 0.0, "adversarial": 1.0}
    training = begin(pretrain_steps=0, loss=alone)
    before = weights(training, "vocoder")
    losses(training, 1)
    assert not torch.equal(weights(training, "vocoder"), before)


def test_what_is_exported_sounds_the_same_in_the_engine(
    begin: Begin, tmp_path: Path, speech: list[Any], tiny: dict[str, Any]
) -> None:
    training = begin()
    losses(training, 10)
    random.make(tmp_path, "tiny")
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
    assert np.abs(sound.numpy() - ours).max() <= 2e-3 * np.abs(ours).max()  # weights are fp16 on the disk


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


def test_losses_are_told_every_so_often_as_means(begin: Begin) -> None:
    each = losses(begin(), 6)
    seldom = losses(begin(log_every=3), 6)
    assert [bool(told) for told in seldom] == [False, False, True, False, False, True]
    assert seldom[5]["mel"] == pytest.approx(np.mean([told["mel"] for told in each[3:]]))


def test_the_state_of_the_default_size_fits_the_journey(speech: list[Any], tmp_path: Path) -> None:
    training = VocoderTrainer(VocoderRecipe(steps=9, pretrain_steps=0, batch=1, crop_frames=16), speech, CPU, 0)
    training.train_step()
    save_file(training.state(), tmp_path / "state")
    assert (tmp_path / "state").stat().st_size < 25_000_000


def test_a_state_of_something_else_is_refused(begin: Begin) -> None:
    training = begin()
    state = training.state()
    with pytest.raises(ValueError, match=r"asks for \[48, 100, 7\].*resume with the recipe"):
        begin(dim=48).resume(state)
    with pytest.raises(ValueError, match="no training of a vocoder"):
        training.resume({})


def test_the_rate_warms_up_and_falls(tiny: dict[str, Any]) -> None:
    recipe = VocoderRecipe(**(tiny | {"warmup_steps": 10, "learning_rate": 1e-3, "final_rate": 0.1, "steps": 1000}))
    rates = [recipe.rate(step) for step in range(1000)]
    assert rates[0] < 1.1e-4
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4, rel=0.01)
    assert recipe.rate(500, since=500) < 0.2 * recipe.rate(500)


def test_crops_shorter_than_a_window_are_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="shorter than half a window of 16384 samples; take 33 or more"):
        VocoderRecipe(**(tiny | {"stft_windows": (16384,)}))


def _distance(training: VocoderTrainer, wave: Any) -> float:
    made = training.sample(wave)
    ours, theirs = (log_mel(torch.from_numpy(np.array(sound[: len(made)]))) for sound in (made, wave))
    return float((ours - theirs).abs().mean())
