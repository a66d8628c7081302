"""The engine's own manners: cancelling, bad sound, bad voices, precision."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ishowtts.engines import Cancelled
from ishowtts.engines.f5.engine import F5Engine, F5Options, to_int16
from ishowtts.engines.f5.options import Optimisations
from ishowtts.errors import EngineError, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.speech import Segment

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
TEXT = "A short line."


def never() -> bool:
    return False


def say(text: str = TEXT, **fields: object) -> Segment:
    return Segment("line", 0, 1, text, **{"seed": 1, "nfe_step": 5, **fields})


def test_cancel_is_asked_before_every_evaluation_and_leaves_no_stale_text(make_engine: Make) -> None:
    engine = make_engine()
    other = engine.render(say("Another one."), never)
    asked = 0

    def on_the_third() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    with pytest.raises(Cancelled):
        engine.render(say(), on_the_third)
    assert asked == 3
    assert np.array_equal(engine.render(say("Another one."), never), other)


def test_a_model_that_makes_no_numbers_ends_the_segment(make_engine: Make) -> None:
    engine = make_engine()
    with torch.inference_mode():
        engine._model._dit.to_mel[1].fill_(float("nan"))
    with pytest.raises(SynthesisError, match="no finite sound"):
        engine.synthesize(say(), never)


def test_too_loud_is_clipped_not_wrapped() -> None:
    assert to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 1.5], np.float32)).tolist() == [-32767, -32767, 0, 16384, 32767]


def test_an_endless_text_is_refused_with_the_voices_measure(make_engine: Make) -> None:
    with pytest.raises(SynthesisError, match="too long for the voice 'default', which takes 159"):
        make_engine().synthesize(say("word " * 500), never)


def test_bf16_speaks(make_engine: Make) -> None:
    assert make_engine(precision="bf16").synthesize(say(), never).audio_s > 0.5


def test_options_cross_as_json_and_unknown_ones_are_named() -> None:
    options = F5Options("/weights", nfe_step=9, optimisations=Optimisations(int8=True, guidance_skip="reuse"))
    assert F5Options.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    with pytest.raises(EngineError, match="no option 'nfe'"):
        F5Options.from_dict({"weights": "/weights", "nfe": 9})
    with pytest.raises(EngineError, match="no optimisation 'graphs'"):
        F5Options.from_dict({"weights": "/weights", "optimisations": {"graphs": True}})


def test_an_engine_that_is_not_loaded_says_so(checkpoint: Path) -> None:
    with pytest.raises(EngineUnavailable):
        F5Engine(F5Options(str(checkpoint))).synthesize(say(), never)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(48_000), "silent"),
        (np.full(4_000, 0.1), r"0\.2 s long"),
        (np.full(24_000 * 16, 0.1), r"16\.0 s long"),
        (np.full(48_000, np.nan), "no numbers"),
        (None, "no WAV or FLAC"),
    ],
)
def test_a_voice_that_cannot_be_used_is_told_and_the_others_speak_on(
    make_engine: Make, tmp_path: Path, samples: np.ndarray | None, words: str
) -> None:
    (tmp_path / "odd").mkdir()
    if samples is None:
        (tmp_path / "odd" / "reference.wav").write_bytes(b"this is no sound")
    else:
        soundfile.write(tmp_path / "odd" / "reference.wav", samples, 24_000, subtype="FLOAT")
    (tmp_path / "odd" / "reference.txt").write_text("Words.")
    engine = make_engine(voices_dir=str(tmp_path))
    with pytest.raises(VoiceError, match=words):
        engine.prepare("odd")
    assert engine.synthesize(say(), never).voice == "default"
