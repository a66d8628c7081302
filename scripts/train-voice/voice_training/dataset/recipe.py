"""What speech is made to learn from. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from voice_training.texts import Language


class SpeechRecipe(BaseModel):
    """What is spoken, by whom.

    Args:
        texts: the closed list of twenty words, or everything.
        languages: the shares of the packs.
        speakers: the five voices of Kokoro first, then mixes of them.
        hours: of speech to keep, over all.
        speeds: slowest and fastest.
        worst: share of words (Mandarin: characters) that may be misheard in a clip that is kept; `None` hears none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: Literal["closed", "open"]
    languages: dict[Language, float] = {"en": 1.0}
    speakers: int = Field(ge=1, le=1000)
    hours: float = Field(gt=0)
    pack_clips: int = Field(default=60, ge=1, le=1000)
    speeds: tuple[float, float] = (0.9, 1.15)
    worst: float | None = Field(default=0.15, ge=0)
