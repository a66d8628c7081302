"""The configuration reaches the engine, and both have the same defaults."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.engines.f5.f5_options import Optimisations
from ishowtts.speech import FallbackSynthesizer


def test_configuration_and_engine_have_the_same_switches_and_defaults() -> None:
    """`streaming` and `batching` belong to the synthesizer; the engine knows all the others."""
    configured = Config().engine.f5.optimisations.model_dump()
    assert configured.pop("streaming") is True
    assert configured.pop("batching") is True
    assert configured == asdict(Optimisations())


@pytest.mark.f5
@pytest.mark.parametrize(("streaming", "batching"), [(True, False), (False, True)])
def test_streaming_and_batching_reach_the_synthesizer(tiny_checkpoint: Path, streaming: bool, batching: bool) -> None:
    switches = {"streaming": streaming, "batching": batching}
    config = Config.model_validate({"engine": {"f5": {"weights": tiny_checkpoint, "optimisations": switches}}})
    engines = build.build_engines(config, build.choose_engine(config), lambda: None)
    optimisations = config.engine.f5.optimisations
    synthesizer = FallbackSynthesizer.from_engines(
        engines, streaming=optimisations.streaming, batching=optimisations.batching
    )
    assert (synthesizer.streaming, synthesizer.batching) == (streaming, batching)
    engines.close()
