"""What a training of the transformer is told. Imports no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ishowtts.engines.f5.architecture import Dit


class FlowRecipe(BaseModel):
    """How the transformer is trained.

    Args:
        batch_s: speech in one step, together.
        short_s, longest_s: the longest sample grows from the one to the other over the first share `growing` of all
            steps: an alignment is found in short utterances first.
        prefix: share of samples that are hidden behind their first clip, as the engine hides what it is to speak; of
            the others a span of 70 to 100 % is hidden, as upstream has it.
        time_power: times are a power of a uniform number: 1 is upstream; above it more of them lie near 0, where
            nothing but the text says what is spoken, so that an alignment is found sooner.
        compiled: the transformer, by torch's compiler; for CUDA.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arch: Dit
    steps: int = Field(ge=1)
    batch_s: float = Field(gt=0)
    short_s: float = Field(gt=0)
    longest_s: float = Field(gt=0)
    growing: float = Field(default=0.2, ge=0, le=1)
    prefix: float = Field(default=0.5, ge=0, le=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    time_power: float = Field(default=1.0, ge=1, le=4)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    ema_decay: float = Field(default=0.999, gt=0, lt=1)
    log_every: int = Field(default=100, ge=1)
    compiled: bool = False
