"""The engines are built as the configuration says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.engines.engine_choice import EngineChoice
from ishowtts.engines.weights import Weights
from ishowtts.model import Line
from ishowtts.speech import FallbackSynthesizer
from ishowtts.speech.line_notes import Substitution


@pytest.mark.f5
@pytest.mark.parametrize(("streaming", "batching"), [(True, False), (False, True)])
def test_the_switches_of_the_scheduler_reach_it(tiny_checkpoint: Path, streaming: bool, batching: bool) -> None:
    disabled = [name for name, on in (("streaming", streaming), ("batching", batching)) if not on]
    config = Config.model_validate(
        {"engine": {"fallback": ["espeak"], "f5": {"weights": tiny_checkpoint, "disable": disabled}}}
    )
    engines = build.build_engines(config, build.choose_engine(config), lambda: None)
    switches = config.engine.f5.switches
    settings = FallbackSynthesizer.from_engines(
        engines, streaming=switches.streaming, batching=switches.batching, language_of=lambda _: None
    ).settings
    assert (settings.streaming, settings.batching) == (streaming, batching)
    engines.close()


def test_espeak_as_the_primary_engine_says_for_which_voices_it_stands_in(tmp_path: Path) -> None:
    voice = tmp_path / "voices/anna"
    voice.mkdir(parents=True)
    (voice / "reference.wav").write_bytes(b"")
    config = Config.model_validate({"data_dir": tmp_path, "engine": {"kind": "espeak"}})
    engines = build.build_engines(config, build.choose_engine(config), lambda: None)
    reasons = {name: engines.cloned_voice_problem(name) for name in ("anna", "default", "nobody", None)}
    assert reasons == {
        "anna": "engine.kind is espeak",
        "default": "engine.kind is espeak",
        "nobody": None,
        None: None,
    }
    synthesizer = FallbackSynthesizer.from_engines(engines, streaming=True, batching=True, language_of=lambda _: None)
    synthesis = synthesizer.begin_line()
    [planned] = synthesis.plan(Line("a", "one", voice="anna"), "one")
    assert synthesis.substitution(planned.segment, "espeak") == Substitution("f5", "engine.kind is espeak")
    engines.close()


def test_weights_that_cannot_be_used_are_the_reason_for_every_voice(tmp_path: Path) -> None:
    config = Config.model_validate(
        {"data_dir": tmp_path, "engine": {"kind": "f5", "fallback": ["espeak"], "f5": {"weights": tmp_path}}}
    )
    choice = build.choose_engine(config)
    engines = build.build_engines(config, choice, lambda: None)
    assert choice.problem is not None
    assert engines.cloned_voice_problem("default") == choice.problem
    engines.close()


def test_the_gain_of_a_voice_is_for_its_own_engine_and_read_again_after_a_change(tmp_path: Path) -> None:
    voice = tmp_path / "voices/anna"
    voice.mkdir(parents=True)
    soundfile.write(voice / "reference.wav", np.zeros(24_000, np.int16), 24_000)
    (voice / "reference.txt").write_text("What is said.")
    config = Config.model_validate({"data_dir": tmp_path, "engine": {"kind": "espeak"}})
    engines = build.build_engines(config, build.choose_engine(config), lambda: None)
    assert engines.gain_db("f5", "anna") == 0.0
    (voice / "voice.yaml").write_text("gain_db: -20\n")
    assert engines.gain_db("f5", "anna") == -20.0
    assert engines.gain_db("espeak", "anna") == 0.0
    assert engines.gain_db("f5", "nobody") == 0.0
    engines.close()


@pytest.mark.parametrize(
    ("configured", "of_weights", "languages"),
    [
        (None, None, {"en", "zh", "de"}),
        (None, ("ar", "en"), {"ar", "en"}),
        (["pt-BR"], ("ar", "en"), {"pt"}),
    ],
)
def test_the_languages_of_f5_are_configured_or_those_of_its_weights_or_likely(
    configured: list[str] | None, of_weights: tuple[str, ...] | None, languages: set[str], tmp_path: Path
) -> None:
    voice = tmp_path / "voices/hans"
    voice.mkdir(parents=True)
    soundfile.write(voice / "reference.wav", np.zeros(24_000, np.int16), 24_000)
    (voice / "reference.txt").write_text("Was gesagt wird.")
    (voice / "voice.yaml").write_text("language: de-AT\n")
    weights = Weights(*(tmp_path / name for name in "abcde"), languages=of_weights)
    config = Config.model_validate({"data_dir": tmp_path, "engine": {"f5": {"languages": configured}}})
    engines = build.build_engines(
        config, EngineChoice("f5", "", weights, order=("f5", "hibari", "espeak")), lambda: None
    )
    f5, hibari, espeak = engines.order
    assert (f5.languages(), hibari.languages(), espeak.languages()) == (languages, {"en"}, None)
    assert f5.snapshot().speaks(min(languages))
    assert not hibari.speaks("de")
    engines.close()


def test_a_stage_has_no_engine_of_its_own_that_clones_and_any_voice_until_the_boards_are_known(tmp_path: Path) -> None:
    config = Config.model_validate({"data_dir": tmp_path, "engine": {"kind": "remote", "fallback": ["espeak"]}})
    engines = build.build_engines(config, build.choose_engine(config), lambda: None)
    assert engines.remote is not None
    assert (engines.f5, engines.workers) == (None, ())
    assert [(each.name, each.state()) for each in engines.order] == [("remote", "absent"), ("espeak", "ready")]
    assert engines.voice_library.has("anna")
    assert not engines.voice_library.has("../anna")
    assert engines.cloned_voice_problem("anna") is None
    assert engines.problems == (), "the boards had no time to report"
    engines.close()
