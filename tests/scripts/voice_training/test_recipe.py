"""Recipes: those that come with the project, and what a broken one is told."""

from pathlib import Path

import pytest
import yaml

from voice_training.errors import TrainingError
from voice_training.recipe import read

RECIPES = Path(__file__).parents[3] / "scripts" / "train-voice" / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_ours_are_read(path):
    recipe = read(path)
    assert recipe.flow.arch.text_embedding_average_upsampling
    assert sum(recipe.speech.languages.values()) == pytest.approx(1.0)
    assert recipe.flow.short_s <= recipe.flow.longest_s


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "../box"}, "name: "),
        ({"speech": {"texts": "closed", "speakers": 0, "hours": 1}}, "speech.speakers: "),
        ({"flow": {"arch": {"dim": 100}}}, "flow.arch.dim: "),
        ({"more": 1}, "more: "),
    ],
)
def test_a_mistake_is_named(tmp_path, change, told):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load((RECIPES / "smoke.yaml").read_text()) | change))
    with pytest.raises(TrainingError, match=told):
        read(path)


@pytest.mark.parametrize("content", [None, b"a: [", b"\xff\xfe"])
def test_what_is_no_recipe_is_refused(tmp_path, content):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be read as a recipe"):
        read(path)
