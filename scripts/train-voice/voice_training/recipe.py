"""A recipe: one YAML file that says what is spoken and how both parts are trained. Imports no torch."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voice_training.dataset.recipe import SpeechRecipe
from voice_training.errors import TrainingError
from voice_training.flow.recipe import FlowRecipe
from voice_training.vocoder.recipe import VocoderRecipe


class Recipe(BaseModel):
    """All of it.

    Args:
        name: of the model, in its `model.yaml`.
        seed: of texts, speakers, weights, samples and noise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")
    seed: int = Field(default=1, ge=0, lt=2**31)
    speech: SpeechRecipe
    flow: FlowRecipe
    vocoder: VocoderRecipe


def read(path: Path) -> Recipe:
    """Raises TrainingError with the first thing that is wrong."""
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path} cannot be read as a recipe; name a file of scripts/train-voice/recipes") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TrainingError(f"{path}: {where}: {first['msg']}; mend the recipe") from error
