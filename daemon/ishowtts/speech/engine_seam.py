"""The seam between two engines in one line: a pause of natural length, whatever silence the engines put there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from ishowtts.model import Samples, Utterance
from ishowtts.util.crossfade import raised_cosine
from ishowtts.util.samples import FloatPcm
from ishowtts.util.silence import edge_silence

EDGE_FADE_S = 0.003
"""A fade of this length takes the step at an edge away. espeak-ng begins with a step of up to -41 dBFS, and an F5 model
may end anywhere. A plosive lasts longer than 10 ms."""
SENTENCE_PAUSE_S = 0.4
CLAUSE_PAUSE_S = 0.2
_SENTENCE_END = ".!?…。！？؟।"
_Sound = TypeVar("_Sound", Samples, FloatPcm)
_CLOSING = " \"'”’»)]」』）"


@dataclass(frozen=True)
class SeamedSound:
    """A segment that follows one of another engine.

    Attributes:
        utterance: What the engine returned, with the pause or without the silence that was too much.
        sound: The same as it is played; its speech fades in.
    """

    utterance: Utterance
    sound: Samples | FloatPcm


def after_other_engine(
    utterance: Utterance, sound: Samples | FloatPcm, rate_hz: int, before: Utterance, text_before: str
) -> SeamedSound:
    """Makes the pause before a segment as long as the punctuation between the two segments asks for.

    What the engine before left of silence counts, since it may have been heard. Silence of this segment is cut if there
    is too much, else silence is added.

    Args:
        utterance: The segment, as its engine returned it.
        sound: The segment as it is played, at `rate_hz`.
        before: The segment before, of another engine.
        text_before: The text of the segment before.
    """
    sentence = text_before.rstrip(_CLOSING).endswith(tuple(_SENTENCE_END))
    wanted_s = SENTENCE_PAUSE_S if sentence else CLAUSE_PAUSE_S
    left_s = edge_silence(before.samples).after / before.rate_hz
    silence_s = edge_silence(utterance.samples).before / utterance.rate_hz
    missing_s = max(0.0, wanted_s - left_s) - silence_s
    return SeamedSound(
        replace(utterance, samples=_with_pause(utterance.samples, missing_s, utterance.rate_hz)),
        _with_pause(_faded_in(sound, round(EDGE_FADE_S * rate_hz)), missing_s, rate_hz),
    )


def _faded_in(sound: Samples | FloatPcm, count: int) -> FloatPcm:
    """Returns the sound with a fade over its first samples."""
    faded = sound.astype(np.float32)
    faded[:count] *= raised_cosine(count)[: len(faded)]
    return faded


def _with_pause(sound: _Sound, missing_s: float, rate_hz: int) -> _Sound:
    """Returns the sound after that much silence; without its first samples if `missing_s` is negative."""
    count = round(missing_s * rate_hz)
    return np.concatenate([np.zeros(count, sound.dtype), sound]) if count > 0 else sound[-count:]
