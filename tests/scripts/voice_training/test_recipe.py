"""The shipped recipes are valid, mistakes are named, and schedules follow the recipe."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from voice_training.errors import TrainingError
from voice_training.recipe import FlowRecipe, VocoderRecipe, read

ARCH = {"dim": 64, "depth": 1, "heads": 1, "ff_mult": 1, "text_dim": 16, "conv_layers": 1}
RECIPES = Path(__file__).parents[3] / "scripts" / "train-voice" / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path):
    recipe = read(path)
    assert recipe.flow.arch.text_embedding_average_upsampling
    assert sum(recipe.speech.languages.values()) == pytest.approx(1.0)
    assert recipe.flow.short_s <= recipe.flow.longest_s


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "../box"}, "name: "),
        ({"speech": {"texts": "closed", "speakers": 0, "hours": 1}}, "speech.speakers: "),
        ({"flow": {"arch": {"dim": 100}}}, "flow.arch.dim: "),
        ({"more": 1}, "more: "),
    ],
)
def test_a_mistake_is_named(tmp_path, change, named):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load((RECIPES / "smoke.yaml").read_text()) | change))
    with pytest.raises(TrainingError, match=named):
        read(path)


@pytest.mark.parametrize("content", [None, b"a: [", b"\xff\xfe"])
def test_a_file_that_is_not_a_recipe_is_refused(tmp_path, content):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be read as a recipe"):
        read(path)


def flow_recipe(**changes):
    return FlowRecipe.model_validate({"arch": ARCH, "batch_s": 1, "short_s": 1, "longest_s": 1} | changes)


def test_the_learning_rate_of_the_transformer_rises_and_then_falls_like_a_cosine():
    recipe = flow_recipe(steps=1000, warmup_steps=100, learning_rate=2.0)
    rates = [recipe.learning_rate_at(step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[100] == 2.0
    assert rates[550] == pytest.approx(1.01)
    assert rates[1000] == pytest.approx(0.02)
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert recipe.learning_rate_at(5000) == pytest.approx(0.02)


def test_without_warm_up_the_learning_rate_begins_at_its_peak():
    assert flow_recipe(steps=10, warmup_steps=0, learning_rate=1.0).learning_rate_at(0) == 1.0


def test_the_maximum_sample_length_grows_and_then_stays():
    recipe = flow_recipe(steps=100, warmup_steps=0, learning_rate=1, short_s=2, longest_s=10, growing=0.2)
    assert [recipe.longest_s_at(step) for step in (0, 10, 20, 99)] == [2.0, 6.0, 10.0, 10.0]
    assert recipe.model_copy(update={"growing": 0.0}).longest_s_at(0) == 10.0


def test_the_learning_rate_of_the_vocoder_warms_up_and_falls(tiny):
    recipe = VocoderRecipe(**(tiny | {"warmup_steps": 10, "learning_rate": 1e-3, "final_rate": 0.1, "steps": 1000}))
    rates = [recipe.learning_rate_at(step) for step in range(1000)]
    assert rates[0] < 1.1e-4
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4, rel=0.01)
    assert recipe.learning_rate_at(500, since=500) < 0.2 * recipe.learning_rate_at(500)


def test_crops_shorter_than_a_window_are_refused(tiny):
    with pytest.raises(ValidationError, match="shorter than half a window of 16384 samples; take 33 or more"):
        VocoderRecipe(**(tiny | {"stft_windows": (16384,)}))
